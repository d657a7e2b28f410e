import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Settings } from '../bindings';
import { setLanguage } from '../i18n';
import { diagnosis, modelsView, settingsView } from '../models/scripted';
import { selectsKnowWhatIsChosen } from '../settings/selects';
import { Desk } from '../state/desk.svelte';
import { fakeTransport, type FakeTransport } from '../transport/fake';
import OnDesk from './OnDesk.test.svelte';
import SettingsView from './SettingsView.svelte';

let transport: FakeTransport;
let stop: () => void;
let user: ReturnType<typeof userEvent.setup>;
let saved: Settings;

selectsKnowWhatIsChosen();
beforeEach(() => {
  user = userEvent.setup();
  setLanguage('en');
  saved = settingsView().settings;
  transport = fakeTransport({ documents: 3, pace: 0 });
  transport.reply('hello', () => ({ version: '0', language: 'en', theme: 'auto', data_folder: '', problems: [] }));
  transport.reply('list_models', () => modelsView());
  transport.reply('settings', () => settingsView(saved));
  transport.reply('save_settings', (settings) => settingsView((saved = settings)));
});
afterEach(() => {
  cleanup();
  stop();
  delete document.documentElement.dataset.theme;
});

function open(): Desk {
  const desk = new Desk(transport);
  stop = desk.start();
  render(OnDesk, { desk, view: SettingsView });
  return desk;
}
const field = (name: string | RegExp) => screen.findByRole<HTMLInputElement>('textbox', { name });
const calls = (name: string) => transport.calls.filter((call) => call.name === name);

async function type(name: string | RegExp, text: string) {
  const input = await field(name);
  await user.clear(input);
  if (text) await user.type(input, text);
}

describe('the settings', () => {
  it('apply nothing before they are saved', async () => {
    open();
    await user.selectOptions(await screen.findByRole('combobox', { name: 'Colours' }), 'dark');
    await type(/Context/, '8192');
    expect(document.documentElement.dataset.theme).toBeUndefined();
    expect(calls('save_settings')).toHaveLength(0);
    const bar = within(screen.getByRole('region', { name: 'Unsaved changes' }));
    expect(bar.getByText('2 changes not saved')).toBeTruthy();
    expect(bar.getByText(/model is loaded again/)).toBeTruthy();

    await user.click(bar.getByRole('button', { name: 'Save' }));
    await screen.findByText('Saved.');
    expect(calls('save_settings')[0]?.request).toEqual({ ...settingsView().settings, theme: 'dark', context: 8192 });
    expect(document.documentElement.dataset.theme).toBe('dark');
    expect(screen.queryByRole('region', { name: 'Unsaved changes' })).toBeNull();
  });

  it('can be reverted', async () => {
    open();
    await type('Threads', '3');
    await user.click(screen.getByRole('button', { name: 'Revert' }));
    expect((await field('Threads')).value).toBe('0');
    expect(screen.queryByRole('region', { name: 'Unsaved changes' })).toBeNull();
  });

  it.each([
    [/Context/, '100', 'Must be between 512 and 1,048,576.'],
    [/Context/, '', 'Enter a number.'],
    ['Threads', '1.5', 'Enter a whole number.'],
    [/Longest time/, '0', 'Must be at least 1.'],
  ])('say why %s = "%s" cannot be saved', async (name, text, reason) => {
    open();
    await type(name, text);
    const input = await field(name);
    expect(input.getAttribute('aria-invalid')).toBe('true');
    expect(document.getElementById(input.getAttribute('aria-describedby') ?? '')?.textContent).toBe(reason);
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Save' }).disabled).toBe(true);
  });

  it('go back to a default field by field', async () => {
    saved = { ...saved, context: 2048, threads: 4 };
    open();
    await user.click(await screen.findByRole('button', { name: 'Reset to default: Context' }));
    expect((await field(/Context/)).value).toBe('4096');
    expect((await field('Threads')).value).toBe('4');
    expect(screen.getByText('1 change not saved')).toBeTruthy();
  });

  it('tell what a longer context costs', async () => {
    open();
    expect(await screen.findByText(/about 115 MB of memory with standard/)).toBeTruthy();
    await type(/Context/, '16384');
    expect(await screen.findByText(/about 460 MB of memory with standard/)).toBeTruthy();
    await user.selectOptions(screen.getByRole('combobox', { name: 'Model that answers' }), 'small');
    expect(await screen.findByText(/with small/)).toBeTruthy();
  });

  it('keep edits when something else changed the settings', async () => {
    open();
    await type('Threads', '3');
    saved = { ...saved, base: 'small' };
    transport.emit({ kind: 'models' });
    await waitFor(() => expect(screen.getByRole<HTMLSelectElement>('combobox', { name: 'Model that answers' }).value).toBe('small'));
    expect((await field('Threads')).value).toBe('3');
    expect(screen.getByText('1 change not saved')).toBeTruthy();
  });

  it('say why they could not be saved, and keep the edits', async () => {
    transport.reply('save_settings', () => {
      throw { code: 'read_only', message: 'the file cannot be written', hint: 'Check its permissions.', subject: '/config.toml' };
    });
    open();
    await type('Threads', '3');
    await user.keyboard('{Control>}s{/Control}');
    const bar = within(screen.getByRole('region', { name: 'Unsaved changes' }));
    expect((await bar.findByRole('alert')).textContent).toMatch(/cannot be written.*config\.toml.*permissions/s);
    expect((await field('Threads')).value).toBe('3');
  });

  it('change the language of the whole window', async () => {
    open();
    await user.selectOptions(await screen.findByRole('combobox', { name: 'Language' }), 'de');
    await user.click(screen.getByRole('button', { name: 'Save' }));
    expect(await screen.findByRole('heading', { name: 'Einstellungen' })).toBeTruthy();
  });

  it('say why they could not be read', async () => {
    transport.reply('settings', () => {
      throw { code: 'invalid_input', message: 'context: 3 is not between 512 and 1048576', hint: 'Correct the file.', subject: '/config.toml' };
    });
    open();
    expect(await screen.findByText(/3 is not between/)).toBeTruthy();
  });
});

describe('the check of the machine', () => {
  it('says that all is well, and copies what it found', async () => {
    const written = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
    transport.reply('diagnose', () => diagnosis());
    open();
    await user.click(await screen.findByRole('button', { name: 'Check now' }));
    expect(await screen.findByText('Everything is in order.')).toBeTruthy();
    expect(screen.getByText(/CPU: An 8-core processor/)).toBeTruthy();
    await user.click(screen.getByRole('button', { name: 'Copy as text' }));
    expect(written.mock.calls[0]?.[0]).toContain('no problems');
  });

  it('shows every problem with what to do about it', async () => {
    const problem = { code: 'bad_model', message: 'its SHA-256 is another', hint: 'Run make models.', subject: '/m.gguf' } as const;
    transport.reply('diagnose', () => diagnosis({ problems: [problem], devices: { Err: { ...problem, message: 'the engine stopped' } } }));
    open();
    await user.click(await screen.findByRole('button', { name: 'Check now' }));
    expect(await screen.findByText('1 problem')).toBeTruthy();
    expect(screen.getByText('its SHA-256 is another')).toBeTruthy();
    expect(screen.getByText('the engine stopped')).toBeTruthy();
  });
});
