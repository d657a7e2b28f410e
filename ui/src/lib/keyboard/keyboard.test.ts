import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import { frameShortcuts } from '../frame/shortcuts';
import { setLanguage, t } from '../i18n';
import { Desk, deskContext } from '../state/desk.svelte';
import { fakeTransport } from '../transport/fake';
import { keyCaps, matches } from './keys';
import Help from './Help.svelte';
import { Shortcuts } from './shortcuts.svelte';

const press = (key: string, more: KeyboardEventInit = {}) => new KeyboardEvent('keydown', { key, cancelable: true, bubbles: true, ...more });

describe('key combinations', () => {
  it.each([
    ['Mod+k', press('k', { ctrlKey: true }), false, true],
    ['Mod+k', press('k', { metaKey: true }), false, false],
    ['Mod+k', press('k', { metaKey: true }), true, true],
    ['Mod+k', press('k', { ctrlKey: true, shiftKey: true }), false, false],
    ['?', press('?', { shiftKey: true }), false, true],
    ['?', press('?'), false, true],
    ['Shift+Enter', press('Enter'), false, false],
  ] as const)('%s', (combination, event, mac, expected) => {
    expect(matches(event, combination, mac)).toBe(expected);
  });

  it('are shown as they are called on the machine', () => {
    expect(keyCaps('Mod+k', true)).toEqual(['⌘', 'K']);
    expect(keyCaps('Mod+k', false)).toEqual(['Ctrl', 'K']);
    expect(keyCaps('Mod++', false)).toEqual(['Ctrl', '+']);
  });
});

describe('shortcuts', () => {
  const base = { label: 'frame.close', scope: 'frame.keyboard.general' };

  it('do not disturb typing, unless they say so or use Mod', () => {
    const shortcuts = new Shortcuts();
    const [plain, own, mod] = [vi.fn(), vi.fn(), vi.fn()];
    shortcuts.register({ ...base, id: 'a', keys: '?', run: plain });
    shortcuts.register({ ...base, id: 'b', keys: 'Escape', run: own, inFields: true });
    shortcuts.register({ ...base, id: 'c', keys: 'Mod+j', run: mod });
    const field = document.body.appendChild(document.createElement('textarea'));
    const stop = shortcuts.attach();
    for (const event of [press('?'), press('Escape'), press('j', { ctrlKey: true })]) field.dispatchEvent(event);
    expect([plain, own, mod].map((run) => run.mock.calls.length)).toEqual([0, 1, 1]);
    stop();
    field.dispatchEvent(press('Escape'));
    expect(own).toHaveBeenCalledTimes(1);
    field.remove();
  });

  it('that came later win, until they are taken away', () => {
    const shortcuts = new Shortcuts();
    const [early, late] = [vi.fn(), vi.fn()];
    shortcuts.register({ ...base, id: 'a', keys: 'x', run: early });
    const stop = shortcuts.register({ ...base, id: 'b', keys: 'x', run: late });
    shortcuts.handle(press('x'));
    stop();
    shortcuts.handle(press('x'));
    expect([early.mock.calls.length, late.mock.calls.length]).toEqual([1, 1]);
  });
});

describe('the list of shortcuts', () => {
  it.each(['en', 'de'])('opens on ? and names every shortcut (%s)', async (language) => {
    setLanguage(language);
    const desk = new Desk(fakeTransport());
    frameShortcuts(desk.app).forEach((shortcut) => desk.shortcuts.register(shortcut));
    const stop = desk.shortcuts.attach();
    render(Help, { context: deskContext(desk) });
    expect(screen.queryByRole('dialog')).toBeNull();
    await userEvent.keyboard('?');
    const dialog = screen.getByRole('dialog', { name: t('frame.keyboard') });
    for (const { label } of desk.shortcuts.all) {
      expect(t(label)).not.toBe(label);
      expect(within(dialog).getByText(t(label))).toBeTruthy();
    }
    stop();
    setLanguage('en');
  });
});
