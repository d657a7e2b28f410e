import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { setLanguage } from '../i18n';
import { journal, privacyView } from '../privacy/scripted';
import { selectsKnowWhatIsChosen } from '../settings/selects';
import { Desk } from '../state/desk.svelte';
import { fakeTransport, type FakeTransport } from '../transport/fake';
import OnDesk from './OnDesk.test.svelte';
import PrivacyView from './PrivacyView.svelte';

let transport: FakeTransport;
let stop: () => void;
let user: ReturnType<typeof userEvent.setup>;

function prepare(documents = 3) {
  transport = fakeTransport({ documents, pace: 0 });
  transport.reply('hello', () => ({ version: '0', language: 'en', theme: 'auto', data_folder: '/d', problems: [] }));
  transport.reply('privacy', () => privacyView());
  transport.reply('history', () => journal(300));
}
selectsKnowWhatIsChosen();
beforeEach(() => {
  user = userEvent.setup();
  setLanguage('en');
  prepare();
});
afterEach(() => {
  cleanup();
  stop();
});

function open(kind: 'window' | 'browser' = 'window'): Desk {
  const desk = new Desk({ ...transport, kind });
  stop = desk.start();
  render(OnDesk, { desk, view: PrivacyView });
  return desk;
}

describe('what is open', () => {
  it('shows no internet socket, and every process with its files in groups', async () => {
    open();
    expect((await screen.findByText('internet sockets are open')).closest('[role=status]')?.textContent).toContain('0');
    expect(screen.getByText(/nothing here is connected to a network/)).toBeTruthy();
    const cards = screen.getAllByRole('article');
    expect(cards.map((card) => card.querySelector('h3')?.textContent?.split(',')[0])).toEqual(['Window', 'Engine', 'PDF reader']);
    const first = within(screen.getByRole('article', { name: /Window/ }));
    expect(first.getByText('Unix (within this machine): 12')).toBeTruthy();
    await user.click(first.getByText('5 files open'));
    for (const kind of ['Documents', 'Data folder', 'Other']) expect(first.getByText(kind)).toBeTruthy();
    expect(first.getByRole('button', { name: /Maintenance handbook of the pump station\.pdf/ })).toBeTruthy();
  });

  it('raises the alarm about a socket in the window', async () => {
    const [engine, ...rest] = privacyView().processes;
    if (!engine) throw new Error('no process');
    const talking = { ...engine, sockets: [{ family: 'internet', count: 1 }] };
    transport.reply('privacy', () => privacyView({ internet_sockets: 1, processes: [talking, ...rest] }));
    open();
    expect(await screen.findByText('internet socket is open')).toBeTruthy();
    expect(screen.getByText(/There should be none/)).toBeTruthy();
    expect(within(screen.getByRole('article', { name: /Engine/ })).getByText('Internet: 1')).toBeTruthy();
  });

  it('says in a browser why the count is not zero', async () => {
    transport.reply('privacy', () => privacyView({ internet_sockets: 2 }));
    open('browser');
    expect(await screen.findByText(/This page runs in a browser/)).toBeTruthy();
    expect(screen.queryByText(/There should be none/)).toBeNull();
    expect(screen.getByRole('article', { name: /Server on this machine/ })).toBeTruthy();
  });

  it('says where a system does not tell', async () => {
    transport.reply('privacy', () => privacyView({ available: false, processes: [] }));
    open();
    expect(await screen.findByText(/does not let a program look at itself/)).toBeTruthy();
    expect(screen.queryByText('internet sockets are open')).toBeNull();
  });

  it('can be paused', async () => {
    open();
    await screen.findByText('internet sockets are open');
    await user.click(screen.getByRole('button', { name: 'Pause' }));
    expect(screen.getByText('Paused')).toBeTruthy();
    expect(screen.getByRole('button', { name: 'Go on' })).toBeTruthy();
  });

  it('says why it is not known', async () => {
    transport.reply('privacy', () => {
      throw { code: 'io', message: 'the table of processes cannot be read', hint: null, subject: '/proc' };
    });
    open();
    expect(await screen.findByText('the table of processes cannot be read')).toBeTruthy();
  });
});

it('commands to check it can be copied', async () => {
  const written = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
  open();
  const name = 'Copy the command “Watch the running program ask for sockets”';
  await user.click(await screen.findByRole('button', { name }));
  expect(written).toHaveBeenCalledWith('strace -f -e trace=socket,connect,bind,listen -p 4211');
  expect(await screen.findAllByText('Copied')).not.toHaveLength(0);
});

describe('the journal', () => {
  it('draws only the lines in sight, and filters', async () => {
    open();
    const list = await screen.findByRole('list', { name: 'Entries of the journal' });
    expect(screen.getByText('300 entries')).toBeTruthy();
    expect(within(list).getAllByRole('listitem').length).toBeLessThan(80);
    await user.type(screen.getByRole('textbox', { name: 'Filter by file' }), 'number 299.pdf');
    expect(screen.getByText('1 of 300 entries')).toBeTruthy();
    expect(within(list).getByText('updated')).toBeTruthy();
    await user.selectOptions(screen.getByRole('combobox', { name: 'Show' }), 'failed');
    expect(screen.getByText('No entry matches.')).toBeTruthy();
  });

  it('is read again when something happens', async () => {
    open();
    await screen.findByText('300 entries');
    transport.reply('history', () => journal(301));
    transport.emit({ kind: 'library' });
    await waitFor(() => expect(screen.getByText('301 entries')).toBeTruthy(), { timeout: 3000 });
  });

  it('is empty at first, and absent without a collection', async () => {
    transport.reply('history', () => []);
    open();
    expect(await screen.findByText('Nothing has happened in this collection yet.')).toBeTruthy();
    cleanup();
    stop();
    prepare(0);
    open();
    expect(await screen.findByText('There is no collection yet.')).toBeTruthy();
  });
});
