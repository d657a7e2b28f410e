import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { createRawSnippet } from 'svelte';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { setLanguage } from '../i18n';
import ConfirmDialog from './ConfirmDialog.svelte';
import ErrorNotice from './ErrorNotice.svelte';
import Menu from './Menu.svelte';
import MultiToggleGroup from './MultiToggleGroup.svelte';
import Select from './Select.svelte';
import SplitPane from './SplitPane.svelte';
import TextField from './TextField.svelte';
import ToggleGroup from './ToggleGroup.svelte';

beforeEach(() => setLanguage('en'));

const words = (text: string) => createRawSnippet(() => ({ render: () => `<span>${text}</span>` }));
const options = [
  { value: 'a', label: 'Alpha' },
  { value: 'b', label: 'Beta', disabled: true },
  { value: 'c', label: 'Gamma' },
];
const focused = () => document.activeElement?.textContent?.trim();

describe('a menu', () => {
  it('is worked by keyboard alone', async () => {
    const user = userEvent.setup();
    const run = vi.fn();
    render(Menu, { label: 'More', items: ['Open', 'Rename', 'Delete'].map((label) => ({ label, run: () => run(label) })) });
    const button = screen.getByRole('button', { name: 'More' });
    button.focus();
    await user.keyboard('{ArrowDown}');
    expect([button.getAttribute('aria-expanded'), focused()]).toEqual(['true', 'Open']);
    await user.keyboard('{ArrowUp}');
    expect(focused()).toBe('Delete');
    await user.keyboard('r');
    expect(focused()).toBe('Rename');
    await user.keyboard('{Escape}');
    expect(document.activeElement).toBe(button);
    expect(screen.queryByRole('menu')).toBeNull();
    await user.keyboard('{Enter}{End}{Enter}');
    expect(run).toHaveBeenCalledExactlyOnceWith('Delete');
    expect(document.activeElement).toBe(button);
  });
});

describe('a choice of one', () => {
  it('is one stop of the Tab key, and arrows leave out what cannot be chosen', async () => {
    const user = userEvent.setup();
    const onchange = vi.fn();
    render(ToggleGroup, { label: 'Letters', options, value: 'a', onchange });
    await user.tab();
    expect(focused()).toBe('Alpha');
    await user.keyboard('{ArrowRight}');
    expect(focused()).toBe('Gamma');
    expect(screen.getByRole('radio', { name: 'Gamma' }).getAttribute('aria-checked')).toBe('true');
    await user.keyboard('{ArrowRight}');
    expect(onchange.mock.calls).toEqual([['c'], ['a']]);
    await user.tab();
    expect(document.activeElement).toBe(document.body);
  });
});

describe('a choice of several', () => {
  it('keeps the order of the options and the least number', async () => {
    const user = userEvent.setup();
    const onchange = vi.fn();
    render(MultiToggleGroup, { label: 'Letters', options, values: ['c'], least: 1, onchange });
    await user.click(screen.getByRole('button', { name: 'Alpha' }));
    await user.click(screen.getByRole('button', { name: 'Alpha' }));
    await user.click(screen.getByRole('button', { name: 'Gamma' }));
    expect(onchange.mock.calls).toEqual([[['a', 'c']], [['c']]]);
  });
});

describe('a panel', () => {
  it.each([
    ['end', '{ArrowLeft}', 316],
    ['end', '{ArrowRight}', 284],
    ['start', '{ArrowRight}', 316],
    ['end', '{Shift>}{ArrowLeft}{/Shift}', 380],
    ['end', '{Home}', 200],
    ['end', '{End}', 400],
  ] as const)('at the %s is resized by %s', async (side, keys, expected) => {
    render(SplitPane, { label: 'Width', size: 300, min: 200, max: 400, side, start: words('one'), end: words('two') });
    const handle = screen.getByRole('separator', { name: 'Width' });
    handle.focus();
    await userEvent.keyboard(keys);
    expect(handle.getAttribute('aria-valuenow')).toBe(String(expected));
  });

  it('that is collapsed is not there', () => {
    render(SplitPane, { label: 'Width', size: 300, collapsed: true, start: words('one'), end: words('two') });
    expect(screen.queryByText('two')).toBeNull();
    expect(screen.queryByRole('separator')).toBeNull();
  });
});

describe('fields', () => {
  it('are named by their labels and say what is wrong', () => {
    render(TextField, { value: '', label: 'Name', help: 'Any name.', problem: 'Too long.' });
    const field = screen.getByRole('textbox', { name: 'Name' });
    expect(field.getAttribute('aria-invalid')).toBe('true');
    const described = document.getElementById(field.getAttribute('aria-describedby') ?? '');
    expect(described?.textContent).toBe('Too long.');
  });

  it('give numbers as numbers', async () => {
    const onchange = vi.fn();
    render(Select, { label: 'Size', value: 1, options: [{ value: 1, label: 'one' }, { value: 2, label: 'two' }], onchange });
    await userEvent.selectOptions(screen.getByRole('combobox', { name: 'Size' }), 'two');
    expect(onchange).toHaveBeenCalledExactlyOnceWith(2);
  });
});

describe('an error', () => {
  it('shows message, subject and hint, and never its code', () => {
    render(ErrorNotice, { error: { code: 'disk_full', message: 'the disk is full', hint: 'Free some space.', subject: '/data' } });
    const alert = screen.getByRole('alert');
    for (const part of ['the disk is full', 'Free some space.', '/data']) expect(alert.textContent).toContain(part);
    expect(alert.textContent).not.toContain('disk_full');
  });
});

describe('a question', () => {
  const base = { open: true, title: 'Delete?', text: 'All of it.', confirm: 'Delete' };

  it('begins at the harmless answer', () => {
    render(ConfirmDialog, { ...base, action: () => {} });
    expect(focused()).toBe('Cancel');
  });

  it('stays open and says why when it cannot be done', async () => {
    const error = { code: 'busy', message: 'it is in use', hint: null, subject: null };
    render(ConfirmDialog, { ...base, action: () => Promise.reject(error) });
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }));
    await screen.findByText('it is in use');
    expect(screen.getByRole('dialog', { name: 'Delete?' })).toBeTruthy();
  });

  it('closes when it is done', async () => {
    const action = vi.fn(async () => {});
    render(ConfirmDialog, { ...base, action });
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }));
    await vi.waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
    expect(action).toHaveBeenCalledOnce();
  });
});
