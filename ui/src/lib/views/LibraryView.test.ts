import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setLanguage } from '../i18n';
import { Desk, deskContext } from '../state/desk.svelte';
import { fakeTransport, type FakeOptions } from '../transport/fake';
import LibraryView from './LibraryView.svelte';

let stop = () => {};
beforeEach(() => setLanguage('en'));
afterEach(() => stop());

function show(options: FakeOptions = {}) {
  const transport = fakeTransport(options);
  const desk = new Desk(transport);
  stop = desk.start();
  render(LibraryView, { context: deskContext(desk) });
  const calls = (name: string) => transport.calls.filter((call) => call.name === name).map(({ request }) => request);
  return { transport, desk, calls, user: userEvent.setup() };
}

describe('documents', () => {
  it('teaches how to begin when there is nothing', async () => {
    const { transport, calls, user } = show({ documents: 0 });
    await screen.findByText('Start with a few PDFs');
    transport.chosen.pick = { id: 'p1', names: ['a.pdf'], files: 1, folders: 0 };
    await user.click(screen.getByRole('button', { name: 'Add PDFs' }));
    expect(calls('import_pick')).toEqual([{ pick: 'p1', collection: 'Documents', link: false }]);
    expect(await screen.findByText('Documents', { selector: 'h1' })).toBeTruthy();
    expect(screen.getByRole('progressbar', { name: 'Reading documents' })).toBeTruthy();
  });

  it('shows status, reason and hint in words', async () => {
    const { user } = show();
    await screen.findByRole('list', { name: 'Documents in Research' });
    expect(screen.getAllByText('Searchable', { selector: '.badge' }).length).toBeGreaterThan(1);
    await user.selectOptions(screen.getByLabelText('Status'), 'failed');
    const row = (await screen.findAllByText(/the file ends in the middle of a page/))[0]?.closest('article') as HTMLElement;
    expect(within(row).getByText('Not readable')).toBeTruthy();
    expect(within(row).getByText(/save it anew/)).toBeTruthy();
  });

  it('of a large collection are fetched in portions, and only where they are looked at', async () => {
    const { calls } = show({ documents: 10_000 });
    const list = await screen.findByRole('list', { name: 'Documents in Research' });
    expect(list.querySelectorAll('article').length).toBeLessThan(40);
    expect(calls('list_documents')).toHaveLength(1);
    list.scrollTop = 59 * 5_000;
    list.dispatchEvent(new Event('scroll'));
    await waitFor(() => expect(calls('list_documents').at(-1)).toMatchObject({ offset: 5000, limit: 100 }));
    await waitFor(() => expect(list.querySelector('[aria-posinset="5001"] article')).toBeTruthy());
    expect(calls('list_documents').length).toBeLessThan(4);
  });

  it('are found by words and by status', async () => {
    const { calls, user } = show();
    await screen.findByRole('list', { name: 'Documents in Research' });
    await user.type(screen.getByLabelText('Find by title or path'), 'handbook');
    await waitFor(() => expect(calls('list_documents').at(-1)).toMatchObject({ query: 'handbook', status: null }));
    await user.selectOptions(screen.getByLabelText('Status'), 'failed');
    await waitFor(() => expect(calls('list_documents').at(-1)).toMatchObject({ query: 'handbook', status: 'failed' }));
    await user.type(screen.getByLabelText('Find by title or path'), ' of nothing');
    await screen.findByText('No document matches');
    await user.click(screen.getByRole('button', { name: 'Show all documents' }));
    await screen.findByRole('list', { name: 'Documents in Research' });
    expect(calls('list_documents').at(-1)).toMatchObject({ query: '', status: null });
  });

  it('are removed only after a question', async () => {
    const { calls, user } = show({ documents: 3 });
    await user.click(await screen.findByRole('button', { name: /More about Maintenance handbook/ }));
    await user.keyboard('{End}{Enter}');
    expect(calls('delete_documents')).toEqual([]);
    const dialog = await screen.findByRole('dialog', { name: /Remove “Maintenance handbook/ });
    await user.click(within(dialog).getByRole('button', { name: 'Remove' }));
    expect(calls('delete_documents')).toEqual([{ documents: [1] }]);
    await waitFor(() => expect(screen.queryByText(/Maintenance handbook/)).toBeNull());
  });
});

describe('collections', () => {
  it('are deleted after saying what is lost', async () => {
    const { calls, user } = show({ documents: 10 });
    await user.click(await screen.findByRole('button', { name: 'More about this collection' }));
    await user.click(screen.getByRole('menuitem', { name: 'Delete collection' }));
    const dialog = await screen.findByRole('dialog', { name: 'Delete “Research”?' });
    expect(dialog.textContent).toContain('10 documents');
    expect(dialog.textContent).toContain('Your PDF files stay where they are');
    await user.click(within(dialog).getByRole('button', { name: 'Delete' }));
    expect(calls('delete_collection')).toEqual([{ name: 'Research' }]);
  });

  it('show in the dialog why they cannot be renamed', async () => {
    const { transport, user } = show({ documents: 10 });
    transport.reply('rename_collection', () => {
      throw { code: 'busy', message: 'another Quartet is writing', hint: 'Close it.', subject: 'Research' };
    });
    await user.click(await screen.findByRole('button', { name: 'More about this collection' }));
    await user.click(screen.getByRole('menuitem', { name: 'Rename collection' }));
    const dialog = await screen.findByRole('dialog', { name: 'Rename collection' });
    const field = within(dialog).getByLabelText('Name');
    await user.clear(field);
    await user.type(field, 'House');
    expect(within(dialog).getByText('There is already a collection of this name.')).toBeTruthy();
    await user.type(field, ' 2{Enter}');
    const alert = await within(dialog).findByRole('alert');
    expect(alert.textContent).toContain('another Quartet is writing');
    expect(alert.textContent).toContain('Close it.');
  });
});

describe('imports', () => {
  it('of files dropped anywhere go to the open collection and can be paused', async () => {
    const { transport, calls, user } = show();
    await screen.findByRole('list', { name: 'Documents in Research' });
    transport.emit({ kind: 'dropped', pick: { id: 'd1', names: ['x.pdf'], files: 1, folders: 0 } });
    const job = await screen.findByRole('article', { name: 'Reading documents' });
    expect(calls('import_pick')).toEqual([{ pick: 'd1', collection: 'Research', link: false }]);
    expect(job.textContent).toContain('148 of 620 pages · 23 pages/s · 47 sec left');
    await user.click(within(job).getByRole('button', { name: 'Pause' }));
    await within(job).findByText('paused');
    await user.click(within(job).getByRole('button', { name: 'Go on' }));
    await within(job).findByText('reading');
  });

  it('show at which document they are, and keep the place in a long list', async () => {
    const { transport, desk, calls } = show({ documents: 10_000 });
    const list = await screen.findByRole('list', { name: 'Documents in Research' });
    list.scrollTop = 59 * 5_000;
    list.dispatchEvent(new Event('scroll'));
    await waitFor(() => expect(list.querySelector('[aria-posinset="5001"] article')).toBeTruthy());
    transport.emit({ kind: 'dropped', pick: { id: 'd1', names: ['x.pdf'], files: 1, folders: 0 } });
    await screen.findByRole('article', { name: 'Reading documents' });
    const fetched = calls('list_documents').length;
    transport.emit({ kind: 'library' });
    await waitFor(() => expect(calls('list_documents').length).toBeGreaterThan(fetched));
    for (const request of calls('list_documents').slice(fetched)) expect(request).toMatchObject({ limit: 100 });
    expect(calls('list_documents')[fetched]).toMatchObject({ offset: 5000 });
    expect(list.querySelector('[aria-posinset="5001"] article')).toBeTruthy();

    const waiting = desk.library.documents.find((document) => document?.status === 'queued' || document?.status === 'extracted');
    const job = desk.jobs.open[0]?.job;
    if (!waiting || !job) throw new Error('the made-up library has changed');
    const progress = { ...job.progress, stage: 'embedding', subject: waiting.path.split('/').at(-1) ?? '' };
    transport.emit({ kind: 'job', job: { job: { ...job, progress }, collection: 'Research', curve: [] } });
    desk.library.filter(waiting.title, null);
    const row = (await screen.findByText(waiting.title, { selector: 'button' })).closest('article') as HTMLElement;
    await within(row).findByText('embedding');
  });

  it('do not take model files', async () => {
    const { transport, calls } = show();
    await screen.findByRole('list', { name: 'Documents in Research' });
    transport.emit({ kind: 'dropped', pick: { id: 'm1', names: ['base.gguf'], files: 1, folders: 0 } });
    expect(calls('import_pick')).toEqual([]);
  });

  it('follow linked folders until they are unlinked', async () => {
    const { calls, user } = show();
    await screen.findByText('/home/anna/Papers');
    await user.click(screen.getByRole('button', { name: 'Bring up to date now' }));
    expect(calls('sync_folder')).toEqual([{ folder: 1 }]);
    await user.click(screen.getByRole('button', { name: 'Unlink' }));
    const dialog = await screen.findByRole('dialog', { name: 'Unlink this folder?' });
    await user.click(within(dialog).getByRole('button', { name: 'Unlink' }));
    await waitFor(() => expect(screen.queryByText('/home/anna/Papers')).toBeNull());
  });
});
