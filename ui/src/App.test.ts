import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import App from './App.svelte';
import { setLanguage, t } from './lib/i18n';
import { views } from './lib/state/app.svelte';
import { Desk } from './lib/state/desk.svelte';
import { fakeTransport, type FakeOptions } from './lib/transport/fake';

beforeEach(() => setLanguage('en'));

function show(options: FakeOptions = {}) {
  const transport = fakeTransport(options);
  const desk = new Desk(transport);
  const view = render(App, { props: { desk } });
  return { transport, desk, user: userEvent.setup(), ...view };
}

describe('the window', () => {
  it('goes to every view by mouse and by keyboard', async () => {
    const { user } = show();
    const nav = within(screen.getByRole('navigation', { name: 'Views' }));
    for (const [index, view] of views.entries()) {
      await user.keyboard(`{Control>}${index + 1}{/Control}`);
      const button = nav.getByRole('button', { name: t(`frame.${view}`) });
      expect(button.getAttribute('aria-current')).toBe('page');
      expect(screen.getByRole('main', { name: t(`frame.${view}`) })).toBeTruthy();
    }
    await user.click(nav.getByRole('button', { name: 'Documents' }));
    expect(screen.getByRole('main', { name: 'Documents' })).toBeTruthy();
  });

  it('says where dropped files would go', async () => {
    const { transport } = show();
    await screen.findByRole('button', { name: /Research/ });
    transport.emit({ kind: 'drag', over: true });
    await screen.findByText('Drop PDFs to add them to Research');
    transport.emit({ kind: 'drag', over: false });
    await waitFor(() => expect(screen.queryByText('Drop PDFs to add them to Research')).toBeNull());
  });

  it('says what is wrong when the core does not answer, and tries again', async () => {
    const transport = fakeTransport();
    let down = true;
    const hello = { version: '0', language: 'en', theme: 'dark', data_folder: '', problems: [] };
    transport.reply('hello', () => {
      if (down) throw { code: 'busy', message: 'another Quartet is running', hint: 'Close it first.', subject: '/data' };
      return hello;
    });
    render(App, { props: { desk: new Desk(transport) } });
    const alert = await screen.findByRole('alert');
    for (const words of ['another Quartet is running', 'Close it first.', '/data']) expect(alert.textContent).toContain(words);
    expect(transport.calls.map(({ name }) => name)).not.toContain('list_collections');
    down = false;
    await userEvent.click(within(alert).getByRole('button', { name: 'Try again' }));
    await screen.findByRole('button', { name: /Research/ });
    expect(document.documentElement.dataset.theme).toBe('dark');
  });

  it('shows errors that nobody caught, with what to do, until they are dismissed', async () => {
    const { user } = show();
    const reason = { code: 'disk_full', message: 'the disk is full', hint: 'Free some space.', subject: null };
    const event = new Event('unhandledrejection') as Event & { reason: unknown };
    event.reason = reason;
    window.dispatchEvent(event);
    window.dispatchEvent(event);
    const messages = within(screen.getByRole('region', { name: 'Messages' }));
    await messages.findByText('the disk is full');
    expect(messages.getAllByText('Free some space.')).toHaveLength(1);
    await user.click(messages.getByRole('button', { name: 'Dismiss' }));
    await waitFor(() => expect(messages.queryByText('the disk is full')).toBeNull());
  });

  it('shows work under way and says when it ends', async () => {
    const { transport, desk, user } = show();
    await screen.findByRole('button', { name: /Research/ });
    const view = await transport.call('retry_documents', { collection: 'Research' });
    const jobs = await screen.findByRole('region', { name: 'At work' });
    expect(within(jobs).getByText(/23 pages\/s/)).toBeTruthy();
    await user.click(within(jobs).getByRole('button', { name: 'Cancel' }));
    const dialog = await screen.findByRole('dialog', { name: 'Cancel this work?' });
    await user.click(within(dialog).getByRole('button', { name: 'Cancel the work' }));
    await waitFor(() => expect(desk.jobs.open).toEqual([]));
    transport.emit({ kind: 'job', job: view });
    transport.emit({ kind: 'job', job: { ...view, job: { ...view.job, state: 'finished' } } });
    await screen.findByText('Reading documents (Research): done');
  });
});
