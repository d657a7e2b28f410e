import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { notBuilt, status, training } from '../experts/scripted';
import { setLanguage } from '../i18n';
import { Desk } from '../state/desk.svelte';
import { fakeTransport, type FakeTransport } from '../transport/fake';
import ExpertsView from './ExpertsView.svelte';
import OnDesk from './OnDesk.test.svelte';

let transport: FakeTransport;
let stop: () => void;
const user = userEvent.setup();

function prepare(documents = 3) {
  transport = fakeTransport({ documents, pace: 0 });
  transport.reply('hello', () => ({ version: '0', language: 'en', theme: 'auto', data_folder: '', problems: [] }));
}
beforeEach(() => {
  setLanguage('en');
  prepare();
});
afterEach(() => {
  cleanup();
  stop();
});

function open(): Desk {
  const desk = new Desk(transport);
  stop = desk.start();
  render(OnDesk, { desk, view: ExpertsView });
  return desk;
}
const calls = (name: string) => transport.calls.filter((call) => call.name === name);

describe('the methods', () => {
  it('teach what an expert is where nothing can be trained', async () => {
    transport.reply('methods', () => notBuilt);
    open();
    expect(await screen.findByText(/Nothing can be trained in this version/)).toBeTruthy();
    expect(screen.getAllByText('Not in this version')).toHaveLength(3);
    expect(screen.queryByRole('button', { name: /Start training/ })).toBeNull();
    expect(screen.queryByRole('table')).toBeNull();
  });

  it('say what they need and how long it takes, and begin with the chosen preset', async () => {
    transport.reply('methods', () => [status('gag', 'needs_training'), status('iag', 'ready')]);
    transport.reply('start_training', () => training(9, 'queued', { curve: [] }));
    open();
    const gag = within(await screen.findByRole('article', { name: 'GAG' }));
    expect(gag.getByText('An expert trained on this collection.')).toBeTruthy();
    expect(gag.getByText('Takes about 42 min')).toBeTruthy();
    await user.click(gag.getByRole('radio', { name: 'Quick' }));
    expect(gag.getByText(/about 10 minutes/)).toBeTruthy();
    await user.click(gag.getByRole('button', { name: 'Start training of GAG' }));
    expect(await screen.findByRole('article', { name: 'Training 9 on Research' })).toBeTruthy();
    expect(calls('start_training')[0]?.request).toEqual({ method: 'gag', collection: 'Research', preset: 'quick' });
  });

  it('say why a training could not begin', async () => {
    transport.reply('methods', () => [status('gag', 'needs_training')]);
    transport.reply('start_training', () => {
      throw { code: 'busy', message: 'another training is running', hint: 'Wait for it, or cancel it.', subject: null };
    });
    open();
    await user.click(await screen.findByRole('button', { name: 'Start training of GAG' }));
    expect(await screen.findByText('another training is running')).toBeTruthy();
  });

  it('are asked for again when another collection is opened', async () => {
    transport = fakeTransport({ documents: 60, pace: 0 });
    transport.reply('methods', () => notBuilt);
    const desk = open();
    await screen.findAllByText('Not in this version');
    desk.library.open('House');
    await waitFor(() => expect(calls('methods').at(-1)?.request).toEqual({ collection: 'House' }));
  });

  it('ask for documents where there is no collection', async () => {
    prepare(0);
    const desk = open();
    await user.click(await screen.findByRole('button', { name: 'Go to the documents' }));
    expect(desk.app.view).toBe('library');
  });
});

describe('trainings', () => {
  it('show where they stand, and can be paused, resumed and cancelled', async () => {
    transport.reply('methods', () => [status('gag', 'needs_training')]);
    transport.reply('list_jobs', () => [training(3, 'running'), training(2, 'paused'), training(1, 'finished')]);
    for (const name of ['pause_job', 'resume_job', 'cancel_job'] as const) transport.reply(name, () => ({}));
    open();
    const running = within(await screen.findByRole('article', { name: 'Training 3 on Research' }));
    expect(running.getByText('780 of 2,400 steps')).toBeTruthy();
    expect(running.getByText('1.4 steps/s')).toBeTruthy();
    expect(running.getByText('19 min left')).toBeTruthy();
    expect(running.getByRole('slider', { name: /Loss by training step/ })).toBeTruthy();
    await user.click(running.getByRole('button', { name: 'Pause training 3' }));
    expect(calls('pause_job')[0]?.request).toEqual({ job: 3 });
    await user.click(screen.getByRole('button', { name: 'Resume training 2' }));
    expect(calls('resume_job')[0]?.request).toEqual({ job: 2 });
    const finished = within(screen.getByRole('article', { name: 'Training 1 on Research' }));
    expect(finished.queryByRole('button', { name: /Cancel/ })).toBeNull();

    await user.click(running.getByRole('button', { name: 'Cancel training 3' }));
    expect(calls('cancel_job')).toHaveLength(0);
    const dialog = within(await screen.findByRole('dialog', { name: 'Cancel training 3?' }));
    await user.click(dialog.getByRole('button', { name: 'Cancel the training' }));
    expect(calls('cancel_job')[0]?.request).toEqual({ job: 3 });
  });

  it('follow along, and say why one failed', async () => {
    transport.reply('methods', () => [status('gag', 'needs_training')]);
    open();
    await screen.findByText('Nothing is being trained.');
    transport.emit({ kind: 'job', job: training(5, 'running', { curve: [] }) });
    expect(await screen.findByText('The curve begins with the first measured step.')).toBeTruthy();
    const failed = training(5, 'failed');
    failed.job.error = { code: 'worker_died', message: 'the trainer ran out of memory', hint: 'Train with the quick preset.', subject: null };
    transport.emit({ kind: 'job', job: failed });
    expect(await screen.findByText('the trainer ran out of memory')).toBeTruthy();
    expect(screen.getByText('Train with the quick preset.')).toBeTruthy();
  });
});
