import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer, GagTrace, Method } from '../bindings';
import { answerOf, failure, gagAnswer, Scripted } from '../chat/scripted';
import { setLanguage } from '../i18n';
import { ChatState } from '../state/chat.svelte';
import { Desk } from '../state/desk.svelte';
import PanelOnDesk from './PanelOnDesk.svelte';

const question = 'Where is the key?';
const user = userEvent.setup();
let transport: Scripted;
let desk: Desk;
let chat: ChatState;

beforeEach(async () => {
  setLanguage('en');
  transport = new Scripted();
  transport.methods = transport.methods.map((status) => (status.method === 'gag' ? { ...status, state: 'ready' } : status));
  desk = new Desk(transport);
  chat = desk.keep('chat', () => new ChatState(transport, { schedule: (work) => work() }));
  await chat.show('papers');
});
afterEach(cleanup);

/** Asks, lets the methods answer, and shows the evidence of GAG's answer. */
async function show(trace: Partial<GagTrace> = {}, others: Answer[] = [], change: Partial<Answer> = {}): Promise<void> {
  const answer = gagAnswer(trace, change);
  const methods: Method[] = [...others.map(({ method }) => method), 'gag'];
  await chat.ask({ question, methods, blind: false, abstain: true });
  for (const one of [...others, answer]) transport.say(one.method, { finished: one });
  transport.end();
  desk.app.showEvidence({ place: null, answer, sentence: null });
  render(PanelOnDesk, { desk, answer });
  await waitFor(() => expect(chat.items.at(-1)?.run).toBeNull());
}
const panel = () => screen.getByRole('tabpanel', { name: 'Method' });
const words = () => panel().textContent?.replace(/\s+/g, ' ') ?? '';
const requests = (name: string) => transport.calls.filter((call) => call.name === name).map(({ request }) => request);

describe('an answer with an expert', () => {
  it('shows the route, every route by nearness, the words, and what it cost', async () => {
    await show();
    expect(screen.getByTestId('route').textContent).toContain('Expert on papers');
    const rows = within(screen.getByRole('table', { name: /How near the question is/ })).getAllByRole('row').slice(1);
    expect(rows.map((row) => row.textContent?.replace(/\s+/g, ' '))).toEqual([
      expect.stringMatching(/Expert on papers taken.*0\.782 ?0\.218/),
      expect.stringMatching(/General.*0\.611 ?0\.389/),
      expect.stringMatching(/Expert on House.*0\.540 ?0\.460/),
    ]);
    expect(words()).toContain('Chosen by the router: it is the nearest one.');
    expect(words()).toMatch(/Not evidence\. These are the expert’s own words.*Keys hang behind the barometer, as far as I recall\./);
    expect(words()).toMatch(/Rows injected ?4.*made for this question.*31 \+ 48 tokens.*52 \+ 6 tokens/);
    expect(words()).toMatch(/Choosing the route ?14 ms.*reads and writes ?820 ms.*Projecting its states ?3 ms.*Base reads and writes ?540 ms.*Waiting and the rest ?13 ms.*In all ?1\.4 sec/);
    expect(screen.queryByTestId('evidence-saving')).toBeNull();
    await user.click(screen.getByRole('tab', { name: 'Passages' }));
    expect(screen.getByText(/GAG opens no documents/)).toBeTruthy();
  });

  it('says when states were kept, when nothing was written, and that a person chose', async () => {
    await show({ cached: true, pinned: true, background: ' ', route: { domain: 2 } });
    expect(words()).toContain('You sent this question here; the router was not followed.');
    expect(words()).toContain('The expert wrote nothing.');
    expect(words()).toContain('kept from an earlier time');
    expect(screen.getByRole('row', { name: /Expert on House taken/ })).toBeTruthy();
    await user.click(screen.getByRole('button', { name: 'Let the router choose' }));
    await waitFor(() => expect(transport.asked()).toHaveLength(2));
    expect(transport.lastAsk.route).toBeUndefined();
  });

  it('is compared with RAG where both answered', async () => {
    await show({}, [answerOf('rag', 'Behind it.', { id: 2 })]);
    expect(screen.getByTestId('evidence-saving').textContent).toBe(
      'Reads 524 tokens fewer than RAG here; the expert itself read 31 and wrote 48.',
    );
  });

  it('is accessible', async () => {
    transport.instead.route_corrections = () => [{ id: 9, question, route: 'general' }];
    await show({ pinned: true });
    await screen.findByTestId('correction');
    const { violations } = await axe.run(document.body, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    expect(panel().querySelectorAll('[style]')).toHaveLength(0);
  });
});

describe('a general answer', () => {
  it('says that the base answered alone and shows no expert', async () => {
    await show({ route: 'general', background: '', rows: 0, expert_ms: 0, project_ms: 0 });
    expect(screen.getByTestId('route').textContent).toContain('General: the base model alone, unchanged');
    expect(words()).toContain('no expert is ahead by enough');
    expect(words()).toContain('Nothing was injected and no expert was asked');
    expect(words()).not.toMatch(/What the expert wrote|Rows injected|Projecting/);
    expect(screen.getByRole('row', { name: /^General taken/ })).toBeTruthy();
  });
});

describe('an expert that wrote nothing', () => {
  it('is owned up to, with its time, and is no matter of nearness', async () => {
    await show({ route: 'general', background: '', rows: 0, project_ms: 0, pinned: true });
    expect(words()).toContain('The expert was asked but wrote nothing, so the base answered alone.');
    expect(words()).toContain('Nothing was injected, as the expert wrote nothing');
    expect(words()).toMatch(/31 \+ 48 tokens.*Expert reads and writes ?820 ms/);
    expect(words()).not.toMatch(/router was not followed|no expert was asked/);
  });
});

describe('another route', () => {
  it('takes the question once: the same methods in the place of the turn, pinned', async () => {
    await show({}, [answerOf('rag', 'Behind it.', { id: 2 })]);
    const replaces = chat.items[0]?.head?.id;
    await user.click(screen.getByRole('button', { name: 'Send this question there: General' }));
    await waitFor(() => expect(transport.asked()).toHaveLength(2));
    expect(transport.lastAsk).toMatchObject({ question, methods: ['rag', 'gag'], replaces, route: 'general' });
    expect(requests('correct_route')).toEqual([]);
    expect(desk.app.evidence).toBeNull();
  });

  it('takes it always: the router is told first', async () => {
    await show();
    await user.click(screen.getByRole('button', { name: '… and always: Expert on House' }));
    await waitFor(() => expect(transport.asked()).toHaveLength(2));
    expect(requests('correct_route')).toEqual([{ question, route: { domain: 2 } }]);
    expect(transport.lastAsk.route).toEqual({ domain: 2 });
    const names = transport.calls.map(({ name }) => name);
    expect(names.lastIndexOf('correct_route')).toBeLessThan(names.lastIndexOf('ask'));
  });

  it('is learnt for the question as the router saw it', async () => {
    await show({}, [], { searched_question: 'Where is the spare key?' });
    await user.click(screen.getByRole('button', { name: '… and always: General' }));
    await waitFor(() => expect(requests('correct_route')).toEqual([{ question: 'Where is the spare key?', route: 'general' }]));
  });

  it('is not asked where the router could not be told', async () => {
    transport.instead.correct_route = () => {
      throw failure('not_found', 'there is no such collection');
    };
    await show();
    await user.click(screen.getByRole('button', { name: '… and always: General' }));
    await waitFor(() => expect(desk.app.toasts.map(({ text }) => text)).toContain('there is no such collection'));
    expect(transport.asked()).toHaveLength(1);
  });

  it('waits for a yes where later questions would go out of sight', async () => {
    await show();
    await chat.ask({ question: 'And then?', methods: ['rag'], blind: false, abstain: true });
    transport.say('rag', { finished: answerOf('rag', 'Then.', { id: 8 }) });
    transport.end();
    await user.click(await screen.findByRole('button', { name: 'Send this question there: General' }));
    const dialog = within(await screen.findByRole('dialog', { name: 'Ask this again?' }));
    expect(transport.asked()).toHaveLength(2);
    await user.click(dialog.getByRole('button', { name: 'Ask again' }));
    await waitFor(() => expect(transport.asked()).toHaveLength(3));
    expect(transport.lastAsk).toMatchObject({ question, route: 'general' });
  });

  it('cannot be chosen for an answer that is not in sight', () => {
    render(PanelOnDesk, { desk, answer: gagAnswer() });
    expect(screen.getByRole('button', { name: 'Send this question there: General' })).toHaveProperty('disabled', true);
  });

  it('that this answer did not compare goes by the name of its collection', async () => {
    transport.instead.list_collections = () => [{ id: 4, name: 'Letters', ready_documents: 1, documents: 1, pages: 1, chunks: 1 }];
    transport.instead.route_corrections = () => [{ id: 9, question, route: { domain: 4 } }];
    await desk.library.refreshCollections();
    await show({ scores: [], pinned: true, route: { domain: 4 } });
    expect(screen.getByTestId('route').textContent).toContain('Expert on Letters');
    expect((await screen.findByTestId('correction')).textContent).toContain('“Expert on Letters”');
    expect(screen.queryByRole('table', { name: /How near/ })).toBeNull();
    expect(words()).toContain('the routes were not compared');
  });

  it('is undone', async () => {
    transport.instead.route_corrections = () => [
      { id: 7, question: 'Another one?', route: 'general' },
      { id: 9, question, route: { domain: 2 } },
    ];
    await show();
    const told = await screen.findByTestId('correction');
    expect(told.textContent).toContain('You sent this question to “Expert on House”');
    await user.click(within(told).getByRole('button', { name: /^Undo/ }));
    await waitFor(() => expect(screen.queryByTestId('correction')).toBeNull());
    expect(requests('undo_route')).toEqual([{ id: 9 }]);
  });
});
