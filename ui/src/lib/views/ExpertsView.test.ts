import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { artefact, status, training, untrained } from '../experts/scripted';
import { collapsed, iagArtefact } from '../experts/scriptedIag';
import { gagArtefact } from '../experts/scriptedGag';
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
  transport.reply('artefacts', () => []);
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
  it('that were not trained yet can be trained, each by itself', async () => {
    transport.reply('methods', () => untrained);
    transport.reply('start_training', () => training(9, 'queued', { curve: [] }));
    open();
    expect(await screen.findAllByText('Needs training')).toHaveLength(2);
    expect(screen.getByRole('button', { name: 'Train the expert on Research' })).toBeTruthy();
    expect(screen.queryByRole('table')).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Start training of IAG' }));
    await waitFor(() => expect(calls('start_training')[0]?.request).toMatchObject({ method: 'iag', collection: 'Research' }));
  });

  it('show what was trained for them, and own up where it was worth nothing', async () => {
    transport.reply('methods', () => [status('iag', 'ready', { can_start: true })]);
    transport.reply('artefacts', () => [iagArtefact({ controls: collapsed })]);
    open();
    const iag = within(await screen.findByRole('article', { name: 'IAG' }));
    expect(await iag.findByText(/^Collapsed:/)).toBeTruthy();
    expect(iag.getByRole('button', { name: 'Train again: IAG' })).toBeTruthy();
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

  it('that were trained show what they are worth, and can be trained again', async () => {
    transport.reply('methods', () => [status('gag', 'ready', { can_start: true })]);
    transport.reply('artefacts', () => [artefact(), gagArtefact({}, { stale: true })]);
    transport.reply('start_training', () => training(9, 'queued', { curve: [] }));
    open();
    const gag = within(await screen.findByRole('article', { name: 'GAG' }));
    expect(await gag.findByText(/The expert’s states carry information/)).toBeTruthy();
    expect(gag.getByText('Out of date')).toBeTruthy();
    expect(gag.getByText(/Documents were added, changed or removed/)).toBeTruthy();
    // The expert's card shows the expert alone.
    const expert = within(screen.getByRole('article', { name: 'Domain expert' }));
    expect(expert.getByText('Trained')).toBeTruthy();
    expect(expert.queryByText(/states carry information/)).toBeNull();
    const button = gag.getByRole('button', { name: 'Train again: GAG' }) as HTMLButtonElement;
    await user.click(button);
    expect(calls('start_training')[0]?.request).toEqual({ method: 'gag', collection: 'Research', preset: 'standard' });
    await waitFor(() => expect(button.disabled).toBe(true));
    expect(gag.getByText(/is waiting its turn/)).toBeTruthy();
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
    transport.reply('methods', () => untrained);
    transport.reply('artefacts', ({ collection }) => (collection === 'House' ? [] : [artefact()]));
    const desk = open();
    await screen.findAllByText('Needs training');
    expect(screen.getByText('Trained')).toBeTruthy();
    desk.library.open('House');
    await waitFor(() => expect(calls('methods').at(-1)?.request).toEqual({ collection: 'House' }));
    expect(await screen.findByText('Nothing has been trained on “House” yet.')).toBeTruthy();
    expect(screen.queryByText('Trained')).toBeNull();
  });

  it('ask for documents where there is no collection', async () => {
    prepare(0);
    const desk = open();
    await user.click(await screen.findByRole('button', { name: 'Go to the documents' }));
    expect(desk.app.view).toBe('library');
  });
});

describe('the expert', () => {
  const card = async () => within(await screen.findByRole('article', { name: 'Domain expert' }));

  it('is trained with the chosen preset', async () => {
    transport.reply('train_expert', () => training(9, 'queued', { curve: [] }));
    open();
    const expert = await card();
    expect(await expert.findByText('Not trained yet')).toBeTruthy();
    expect(expert.getByText(/its own words are never evidence/)).toBeTruthy();
    await user.click(expert.getByRole('radio', { name: 'Thorough' }));
    expect(expert.getByText('overnight')).toBeTruthy();
    await user.click(expert.getByRole('button', { name: 'Train the expert on Research' }));
    expect(calls('train_expert')[0]?.request).toEqual({ collection: 'Research', preset: 'thorough' });
    expect(await screen.findByRole('article', { name: 'Training 9 on Research' })).toBeTruthy();
  });

  it.each([
    ['queued', /waiting its turn/],
    ['running', /is running/],
  ] as const)('cannot be trained twice at once: one is %s', async (state, reason) => {
    transport.reply('list_jobs', () => [training(3, state)]);
    open();
    const button = (await (await card()).findByRole('button', { name: /Train the expert/ })) as HTMLButtonElement;
    await waitFor(() => expect(button.disabled).toBe(true));
    const described = document.getElementById(button.getAttribute('aria-describedby') ?? '');
    expect(described?.textContent).toMatch(reason);
  });

  it('can be trained while another collection is at it, or when a training has stopped', async () => {
    transport.reply('list_jobs', () => [training(3, 'running', { collection: 'House' }), training(2, 'paused')]);
    open();
    const expert = await card();
    expect(await expert.findByText(/can go on below/)).toBeTruthy();
    expect((expert.getByRole('button', { name: /Train the expert/ }) as HTMLButtonElement).disabled).toBe(false);
  });

  it('says why a training could not begin', async () => {
    transport.reply('train_expert', () => {
      throw { code: 'model_missing', message: 'the expert model is not installed', hint: 'Add it under Models.', subject: null };
    });
    open();
    await user.click(await screen.findByRole('button', { name: /Train the expert/ }));
    expect(await screen.findByText('the expert model is not installed')).toBeTruthy();
    expect((screen.getByRole('button', { name: /Train the expert/ }) as HTMLButtonElement).disabled).toBe(false);
  });

  it('is asked for again when a training or an import ends, and when documents are deleted', async () => {
    let trained = [] as ReturnType<typeof artefact>[];
    transport.reply('artefacts', () => trained);
    open();
    const expert = await card();
    await expert.findByText('Not trained yet');
    trained = [artefact()];
    transport.emit({ kind: 'job', job: training(5, 'finished') });
    expect(await expert.findByText('Trained')).toBeTruthy();
    trained = [artefact({}, { stale: true })];
    transport.emit({ kind: 'library' });
    expect(await expert.findByText('Out of date')).toBeTruthy();
    expect(expert.getByText(/Documents were added, changed or removed/)).toBeTruthy();
    expect(expert.getByRole('button', { name: 'Train again on Research' })).toBeTruthy();
  });

  it('that cannot be asked for says why, and leaves the methods', async () => {
    let broken = true;
    transport.reply('methods', () => untrained);
    transport.reply('artefacts', () => {
      if (broken) throw { code: 'io', message: 'the library cannot be read', hint: null, subject: null };
      return [artefact()];
    });
    open();
    expect(await screen.findByText('the library cannot be read')).toBeTruthy();
    expect(screen.getByRole('article', { name: 'GAG' })).toBeTruthy();
    expect(screen.queryByRole('article', { name: 'Domain expert' })).toBeNull();
    broken = false;
    await user.click(screen.getByRole('button', { name: /again/i }));
    expect(await (await card()).findByText('Trained')).toBeTruthy();
    expect(screen.queryByText('the library cannot be read')).toBeNull();
  });
});

describe('trainings', () => {
  it('show where they stand, and can be paused, resumed and cancelled', async () => {
    transport.reply('methods', () => [status('gag', 'needs_training')]);
    transport.reply('list_jobs', () => [training(3, 'running'), training(2, 'paused'), training(1, 'finished')]);
    for (const name of ['pause_job', 'resume_job', 'cancel_job'] as const) transport.reply(name, () => ({}));
    open();
    const running = within(await screen.findByRole('article', { name: 'Training 3 on Research' }));
    expect(running.getByText('learning to answer')).toBeTruthy();
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
    const article = within(screen.getByRole('article', { name: 'Training 5 on Research' }));
    expect(await article.findByText('the trainer ran out of memory')).toBeTruthy();
    expect(article.getByText('Train with the quick preset.')).toBeTruthy();
  });
});
