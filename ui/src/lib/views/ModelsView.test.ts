import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setLanguage } from '../i18n';
import { modelsOf } from '../models/models.svelte';
import { graphics, model, modelsView, processor, settingsView } from '../models/scripted';
import { Desk } from '../state/desk.svelte';
import { fakeTransport, type FakeTransport } from '../transport/fake';
import ModelsView from './ModelsView.svelte';
import OnDesk from './OnDesk.test.svelte';

let transport: FakeTransport;
let stop: () => void;
const user = userEvent.setup();

beforeEach(() => {
  setLanguage('en');
  transport = fakeTransport({ documents: 3, pace: 0 });
  transport.reply('list_models', () => modelsView());
  transport.reply('devices', () => [processor]);
});
afterEach(() => {
  cleanup();
  stop();
});

function open(): Desk {
  const desk = new Desk(transport);
  stop = desk.start();
  // The settings of the made-up core choose the language of the browser; tests read English.
  transport.reply('hello', () => ({ version: '0', language: 'en', theme: 'auto', data_folder: '', problems: [] }));
  render(OnDesk, { desk, view: ModelsView });
  return desk;
}
const card = (name: string) => screen.findByRole('article', { name });
const calls = (name: string) => transport.calls.filter((call) => call.name === name);

describe('the list of models', () => {
  it('tells what is installed, what it is for, and how to get the rest', async () => {
    open();
    const expert = within(await card('expert'));
    expect(expert.getByText('Not installed')).toBeTruthy();
    expect(expert.getByText('LicenseRef-Gemma')).toBeTruthy();
    expect(expert.getByText('250 MB')).toBeTruthy();
    expect(screen.getByText('make models')).toBeTruthy();
    const standard = within(await card('standard'));
    expect(standard.getByText('Installed')).toBeTruthy();
    expect(standard.getByText('Answers now')).toBeTruthy();
    expect(standard.getByText('computes on CPU')).toBeTruthy();
  });

  it('shows whether a model fits, and what to do if not', async () => {
    const desk = open();
    const fits = within(await card('standard'));
    expect(fits.getByRole('img', { name: 'Memory standard would take: 1.5 GB of 9 GB available' })).toBeTruthy();
    expect(fits.getByText(/Fits: needs 1.5 GB/)).toBeTruthy();
    const big = within(await card('a-model-with-a-very-long-name-24b-instruct-2026-q4_k_m'));
    expect(big.getByText(/Does not fit: needs 15.3 GB, 9 GB are available, 6.3 GB are missing/)).toBeTruthy();
    await user.click(big.getByRole('button', { name: 'Open Settings' }));
    expect(desk.app.view).toBe('settings');
  });

  it('shows what is wrong with a file, and about which', async () => {
    open();
    const alert = await within(await card('broken')).findByRole('alert');
    expect(alert.textContent).toMatch(/the file ends in the middle.*broken\.gguf.*Copy the file again/s);
  });

  it('says why there is no list, and tries again', async () => {
    transport.reply('list_models', () => {
      throw { code: 'io', message: 'the folder cannot be read', hint: 'Check its permissions.', subject: '/models' };
    });
    open();
    expect((await screen.findByRole('alert')).textContent).toContain('the folder cannot be read');
    transport.reply('list_models', () => modelsView());
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    await card('standard');
    expect(screen.queryByText('the folder cannot be read')).toBeNull();
  });

  it('follows changes', async () => {
    open();
    await card('standard');
    transport.reply('list_models', () => modelsView({ models: [model('newcomer')] }));
    transport.emit({ kind: 'models' });
    await card('newcomer');
  });
});

describe('which model answers', () => {
  it('is explained for automatic, and saved when another is chosen', async () => {
    transport.reply('settings', () => settingsView({ context: 8192 }));
    open();
    const choice = within(await screen.findByRole('radiogroup', { name: 'Which model answers' }));
    const automatic = choice.getByRole<HTMLInputElement>('radio', { name: /Automatic/ });
    expect(automatic.checked).toBe(true);
    expect(choice.getByText(/Chose standard/)).toBeTruthy();
    expect(choice.getByText(/a first word after 11 s/)).toBeTruthy();
    expect(choice.queryByRole('radio', { name: /expert/ })).toBeNull();
    await user.click(choice.getByRole('radio', { name: /small/ }));
    await screen.findByText('small answers from the next question on.');
    expect(calls('save_settings')[0]?.request).toMatchObject({ base: 'small', context: 8192 });
  });
});

describe('devices', () => {
  it('warn when the processor computes though there is an accelerator', async () => {
    transport.reply('devices', () => [processor, graphics]);
    open();
    const warning = await screen.findByRole('note');
    expect(warning.textContent).toContain('Only the processor is computing');
    expect(warning.textContent).toContain('Vulkan0 (A graphics card)');
  });

  it('do not warn when the accelerator is in use', async () => {
    transport.reply('devices', () => [processor, graphics]);
    transport.reply('list_models', () => modelsView({ loaded: [{ name: 'standard', device: 'Vulkan0', context: 4096 }] }));
    open();
    await screen.findByText('in use');
    expect(screen.queryByRole('note')).toBeNull();
  });

  it('say why they are not known', async () => {
    transport.reply('devices', () => {
      throw { code: 'worker_died', message: 'the engine stopped', hint: 'Ask again.', subject: null };
    });
    open();
    expect(await screen.findByText('the engine stopped')).toBeTruthy();
    await card('standard');
  });
});

describe('adding and removing', () => {
  it('adds a file that was chosen', async () => {
    transport.chosen.pick = { id: 'pick-7', names: ['mine.gguf'], files: 1, folders: 0 };
    transport.reply('add_model', () => model('mine', { added_by_user: true }));
    open();
    await card('standard');
    await user.click(screen.getByRole('button', { name: /Add a GGUF file/ }));
    await screen.findByText('mine was added.');
    expect(calls('add_model')[0]?.request).toEqual({ pick: 'pick-7' });
  });

  it('adds a file that was dropped, but no PDF', async () => {
    transport.reply('add_model', () => model('dropped'));
    open();
    await card('standard');
    transport.emit({ kind: 'dropped', pick: { id: 'pdf', names: ['a.pdf'], files: 1, folders: 0 } });
    transport.emit({ kind: 'dropped', pick: { id: 'gguf', names: ['a.gguf'], files: 1, folders: 0 } });
    await screen.findByText('dropped was added.');
    expect(calls('add_model').map(({ request }) => request)).toEqual([{ pick: 'gguf' }]);
  });

  it('shows itself when a model is dropped while another view is open', async () => {
    const desk = new Desk(transport);
    stop = desk.start();
    modelsOf(desk);
    desk.app.go('chat');
    transport.reply('add_model', () => model('dropped'));
    transport.emit({ kind: 'dropped', pick: { id: 'gguf', names: ['a.GGUF'], files: 1, folders: 0 } });
    expect(desk.app.view).toBe('models');
    await waitFor(() => expect(desk.app.toasts.map(({ text }) => text)).toContain('dropped was added.'));
    expect(calls('import_pick')).toHaveLength(0);
  });

  it('says why a file was refused', async () => {
    transport.chosen.pick = { id: 'p', names: ['x.gguf'], files: 1, folders: 0 };
    transport.reply('add_model', () => {
      throw { code: 'bad_model', message: 'this is not a GGUF file', hint: 'Choose another.', subject: '/x.gguf' };
    });
    open();
    await card('standard');
    await user.click(screen.getByRole('button', { name: /Add a GGUF file/ }));
    expect(await screen.findByText('this is not a GGUF file')).toBeTruthy();
  });

  it('asks before it takes a model off the list, and only those added by the user', async () => {
    open();
    await card('standard');
    expect(screen.queryByRole('button', { name: 'Remove standard' })).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Remove broken' }));
    expect(calls('remove_model')).toHaveLength(0);
    const dialog = within(await screen.findByRole('dialog', { name: 'Take broken off the list?' }));
    await user.click(dialog.getByRole('button', { name: 'Take off the list' }));
    await waitFor(() => expect(calls('remove_model')[0]?.request).toEqual({ name: 'broken' }));
  });
});
