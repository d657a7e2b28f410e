import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { blindOrder } from '../chat/blind';
import { answerOf, failure, passage, Scripted } from '../chat/scripted';
import { setLanguage } from '../i18n';
import { Desk } from '../state/desk.svelte';
import ChatView from './ChatView.svelte';
import OnDesk from './OnDesk.test.svelte';

let transport: Scripted;
let desk: Desk;
let stop: () => void;
const user = userEvent.setup();

beforeEach(async () => {
  setLanguage('en');
  transport = new Scripted();
  desk = new Desk(transport);
  stop = desk.start();
  render(OnDesk, { desk, view: ChatView });
  await screen.findByText('Ask papers');
});

afterEach(() => {
  cleanup();
  stop();
});

const composer = () => screen.getByRole('textbox', { name: 'Question' });
const choose = (name: RegExp | string) => user.click(screen.getByRole('radio', { name }));

async function ask(question = 'Where is the key?'): Promise<void> {
  await user.type(composer(), `${question}{Enter}`);
  await waitFor(() => expect(transport.asked().length).toBeGreaterThan(0));
}

async function compare(blind = false): Promise<void> {
  await choose('Compare');
  if (blind) await user.click(screen.getByRole('switch', { name: 'Blind' }));
  await ask();
}

describe('one answer', () => {
  it('streams, and then shows citations and what is not supported', async () => {
    await ask();
    transport.say('rag', { loading: 0.25 });
    await screen.findByText('Loading the model, 25%');
    transport.say('rag', { retrieved: [passage(0), passage(1)] });
    transport.say('rag', { prefill: { done: 40, total: 200 } });
    await screen.findByText('Reading, 40 of 200 tokens');
    screen.getByText('2 passages found');
    transport.say('rag', { text: 'Behind 🗝 ' });
    await screen.findByText(/Behind 🗝/);
    expect(screen.getByTestId('announcement').textContent).toBe('Answering');

    const text = 'Behind the 🗝 board. It is blue.';
    const support = { passage: 1, document: 7, span: { page: 12, start: 3, end: 20 }, score: 0.9 };
    const sentences = [
      { start: 0, end: 19, support },
      { start: 20, end: 31, support: null },
    ];
    transport.say('rag', { finished: answerOf('rag', text, { sentences, searched_question: 'Where is the spare key?' }) });
    transport.end();
    const chip = await screen.findByRole('button', { name: 'Citation 1, p. 12: Letter. Show the passage' });
    expect(chip.textContent).toBe('1, p. 12');
    expect(chip.previousElementSibling?.textContent).toBe('Behind the 🗝 board.');
    const mark = screen.getByRole('img', { name: 'not found in the documents' });
    expect(mark.previousElementSibling?.textContent).toBe('It is blue.');
    expect(mark.previousElementSibling?.className).toContain('unsupported');
    screen.getByText('1 of 2 sentences found in the documents');
    screen.getByText('Understood as: Where is the spare key?');
    screen.getByText('576 tokens read, 17 written');
    await waitFor(() =>
      expect(screen.getByTestId('announcement').textContent).toBe('Answer finished. 1 of 2 sentences found in the documents'),
    );

    await user.click(chip);
    expect(desk.app.evidence).toMatchObject({ sentence: 0, place: { document: 7, title: 'Letter', page: 12, span: { start: 3, end: 20 } } });
    expect(screen.getByRole('button', { name: /Citation 1/ }).getAttribute('aria-pressed')).toBe('true');
    await user.click(screen.getByRole('button', { name: /^Why\?/ }));
    expect(desk.app.evidence?.sentence).toBeNull();
  });

  it('never reads HTML in what a model writes', async () => {
    await ask();
    transport.say('rag', { finished: answerOf('rag', '<img src=x onerror=alert(1)> **so**') });
    transport.end();
    await screen.findByText('so');
    expect(screen.getByText(/<img src=x/)).toBeTruthy();
    expect(document.querySelector('img')).toBeNull();
  });

  it('says calmly that it is not in the documents', async () => {
    await ask();
    const answer = answerOf('rag', 'Your documents do not seem to answer this.', {
      outcome: 'not_in_documents',
      withheld: 'Perhaps Paris.',
      sentences: [],
      abstention: { probability: 0.12, threshold: 0.4, features: [['overlap', 0.1]] },
    });
    transport.say('rag', { finished: answer });
    transport.end();
    const notice = await screen.findByTestId('not-in-documents');
    within(notice).getByText(/12%.*40%/);
    expect(notice.querySelector('details')?.open).toBe(false);
    within(notice).getByText('Perhaps Paris.');
  });

  it('stops on Escape, also from the question field, and keeps what was written', async () => {
    await ask();
    transport.say('rag', { text: 'Half a' });
    await screen.findByText('Half a');
    await user.click(composer());
    await user.keyboard('{Escape}');
    await waitFor(() => expect(transport.calls.some(({ name }) => name === 'stop')).toBe(true));
    transport.fail('rag', failure('cancelled'), 'Half a');
    transport.end();
    await screen.findByText('Stopped before the end.');
    screen.getByText('Half a');
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('says that the engine was started anew, and tries again in the same place', async () => {
    await ask();
    transport.say('rag', { text: 'Half' });
    transport.fail('rag', { ...failure('worker_died', 'The engine ended.'), subject: 'small.gguf' }, 'Half');
    transport.end();
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toContain('The engine ended.');
    expect(alert.textContent).toContain('small.gguf');
    expect(alert.textContent).toContain('Nothing else is lost');
    screen.getByText(/Incomplete/);
    await user.click(await within(alert).findByRole('button', { name: 'Try again' }));
    await waitFor(() => expect(transport.asked()).toHaveLength(2));
    expect(transport.lastAsk).toMatchObject({ replaces: 1, question: 'Where is the key?', methods: ['rag'] });
    expect(screen.getAllByTestId('turn')).toHaveLength(1);
  });
});

describe('asking again', () => {
  beforeEach(async () => {
    await ask('First?');
    transport.say('rag', { finished: answerOf('rag', 'One.') });
    transport.end();
    await screen.findByRole('button', { name: /Citation/ });
    await waitFor(() => expect(screen.getByRole('button', { name: 'Edit and ask again' })).toHaveProperty('disabled', false));
  });

  it('edits in place and replaces the turn', async () => {
    await user.click(screen.getByRole('button', { name: 'Edit and ask again' }));
    const field = screen.getByRole('textbox', { name: 'Edit the question' });
    expect(document.activeElement).toBe(field);
    await user.clear(field);
    await user.type(field, 'Better?{Enter}');
    await waitFor(() => expect(transport.asked()).toHaveLength(2));
    expect(transport.lastAsk).toMatchObject({ question: 'Better?', replaces: 1, methods: ['rag'] });
    expect(screen.getAllByTestId('question').map(({ textContent }) => textContent)).toEqual(['Better?']);
  });

  it('leaves the edit on Escape', async () => {
    await user.click(screen.getByRole('button', { name: 'Edit and ask again' }));
    await user.keyboard('xyz{Escape}');
    expect(screen.getByTestId('question').textContent).toBe('First?');
    expect(transport.asked()).toHaveLength(1);
  });

  it('asks before turns go out of sight', async () => {
    await user.type(composer(), 'Second?{Enter}');
    await waitFor(() => expect(transport.asked()).toHaveLength(2));
    transport.say('rag', { finished: answerOf('rag', 'Two.', { id: 2 }) });
    transport.end();
    await waitFor(() => expect(screen.getAllByRole('button', { name: /Citation/ })).toHaveLength(2));
    const [again] = screen.getAllByRole('button', { name: 'Ask again' });
    await waitFor(() => expect(again).toHaveProperty('disabled', false));
    await user.click(again!);
    await screen.findByText('The question after this one will go out of sight.');
    expect(transport.asked()).toHaveLength(2);
  });
});

describe('comparing', () => {
  it('shows a column per method, and one that fails leaves the others alone', async () => {
    await compare();
    expect(transport.lastAsk).toMatchObject({ methods: ['none', 'rag'], blind: false });
    transport.say('none', { text: 'Perhaps' });
    transport.say('rag', { text: 'Surely' });
    await screen.findByText('Surely');
    const names = screen.getAllByTestId('column').map(({ dataset }) => dataset.method);
    expect(names).toEqual(['none', 'rag']);
    transport.fail('none', failure('prompt_too_long', 'Too long.'), 'Perhaps');
    transport.say('rag', { finished: answerOf('rag', 'Surely so.') });
    await screen.findByText('Too long.');
    screen.getByText('Perhaps');
    screen.getByText('Surely so.');
    expect(screen.queryByRole('button', { name: /Vote for/ })).toBeNull();
    transport.end();
    const vote = await screen.findByRole('button', { name: 'Vote for RAG' });
    expect(screen.getByRole('button', { name: 'Vote for Base alone' })).toHaveProperty('disabled', true);
    await user.click(vote);
    await screen.findByText('Your vote: RAG');
    expect(transport.calls.find(({ name }) => name === 'cast_vote')?.request).toEqual({ turn: 1, winner: 'rag' });
  });

  it('hides everything that tells the methods apart until the vote', async () => {
    await compare(true);
    expect(transport.lastAsk.blind).toBe(true);
    transport.say('rag', { retrieved: [passage(0)] });
    transport.say('rag', { finished: answerOf('rag', 'Found it.') });
    transport.say('none', { finished: answerOf('none', 'Guessed it.', { sentences: [{ start: 0, end: 11, support: null }], retrieved: [], used: [], read: [] }) });
    await screen.findByText('Guessed it.');
    const order = blindOrder(1, ['none', 'rag']);
    const texts = { rag: 'Found it.', none: 'Guessed it.' } as Record<string, string>;
    const columns = () => screen.getAllByTestId('column');
    expect(columns().map((column) => column.getAttribute('aria-label'))).toEqual(['Answer A', 'Answer B']);
    expect(columns().map((column) => within(column).getByText(/it\.$/).textContent)).toEqual(order.map((method) => texts[method]));
    const hidden = () => {
      const thread = screen.getByTestId('compare').innerHTML;
      return /RAG|Base alone|Citation|tokens|not found in|support|data-method="(rag|none)"/.test(thread);
    };
    expect(hidden()).toBe(false);
    transport.end();
    await user.click(await screen.findByRole('button', { name: 'Vote for Answer B' }));
    await screen.findByText(`Your vote: ${order[1] === 'rag' ? 'RAG' : 'Base alone'}`);
    expect(hidden()).toBe(true);
    expect(columns().map(({ dataset }) => dataset.method)).toEqual(order);
    screen.getByText(/Answer A was .*, Answer B was /);
  });

  it('lets no method be compared alone', async () => {
    await choose('Compare');
    const group = screen.getByRole('group', { name: 'Methods to compare' });
    await user.click(within(group).getByRole('button', { name: 'RAG' }));
    await ask();
    expect(transport.lastAsk.methods).toEqual(['none', 'rag']);
    expect(within(group).getByRole('button', { name: 'GAG' })).toHaveProperty('disabled', true);
  });

  it('sums the votes', async () => {
    await user.click(screen.getByRole('button', { name: 'Your votes' }));
    const panel = await screen.findByTestId('votes');
    await waitFor(() => expect(within(panel).getByRole('row', { name: /RAG/ }).textContent).toMatch(/2\s*1\s*0\s*1/));
  });
});

describe('a method that is not ready', () => {
  it('says what it needs and offers to start', async () => {
    await choose(/GAG.*not ready yet/);
    const needs = screen.getByTestId('method-needs');
    expect(needs.textContent).toContain('Needs an expert trained on this collection.');
    expect(needs.textContent).toContain('10 min');
    await user.type(composer(), 'What?{Enter}');
    expect(transport.asked()).toEqual([]);
    await user.click(within(needs).getByRole('button', { name: 'Start training' }));
    expect(transport.calls.find(({ name }) => name === 'start_training')?.request).toEqual({
      method: 'gag',
      collection: 'papers',
      preset: 'quick',
    });
    await user.click(within(needs).getByRole('button', { name: 'Answer with RAG instead' }));
    expect(screen.queryByTestId('method-needs')).toBeNull();
    expect((composer() as HTMLTextAreaElement).value).toBe('What?');
  });
});

describe('the keyboard', () => {
  it('chooses methods, begins chats and finds the question field', async () => {
    const checked = () => screen.getByRole('radio', { checked: true }).textContent?.trim();
    await user.keyboard('{Alt>}5{/Alt}');
    await waitFor(() => expect(checked()).toBe('Base alone'));
    await user.keyboard('{Alt>}c{/Alt}');
    await waitFor(() => expect(checked()).toBe('Compare'));
    await user.keyboard('{Alt>}c{/Alt}');
    await waitFor(() => expect(checked()).toBe('Base alone'));
    (document.activeElement as HTMLElement).blur();
    await user.keyboard('/');
    expect(document.activeElement).toBe(composer());
    await ask('One?');
    await user.keyboard('{Control>}n{/Control}');
    await screen.findByText('Ask papers');
    expect((composer() as HTMLTextAreaElement).value).toBe('');
  });

  it('asks on Enter and begins a line on Shift+Enter', async () => {
    await user.type(composer(), 'one{Shift>}{Enter}{/Shift}two');
    expect((composer() as HTMLTextAreaElement).value).toBe('one\ntwo');
    expect(transport.asked()).toEqual([]);
    await user.keyboard('{Enter}');
    await waitFor(() => expect(transport.lastAsk.question).toBe('one\ntwo'));
  });
});

describe('a chat of 5,000 turns', () => {
  it('draws and fetches only what is in sight', async () => {
    transport.chats = [{ id: 5, title: 'Long', collection: 'papers', turns: 5000, updated_at: 0 }];
    for (let id = 1; id <= 5000; id += 1) {
      const outcome = { method: 'rag' as const, answer: answerOf('rag', `Answer ${id}.`, { id }), error: null, partial: null };
      transport.add(5, { id, chat: 5, question: `Question ${id}?`, created_at: 0, blind: false, outcomes: [outcome], vote: null });
    }
    const history = screen.getByTestId('history');
    await user.type(within(history).getByRole('searchbox'), 'Lo');
    await user.click(await within(history).findByText('Long'));
    await screen.findAllByText(/^Answer \d+\.$/);
    const asked = transport.calls.filter(({ name }) => name === 'turns').flatMap(({ request }) => (request as { turns: number[] }).turns);
    expect(screen.getAllByTestId('turn').length).toBeLessThan(60);
    expect(asked.length).toBeLessThan(120);
  });
});

describe('for whoever does not see it', () => {
  // What depends on layout is looked at in a real browser.
  const check = async () => {
    const { violations } = await axe.run(document.body, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  };

  it('has no finding with one answer, a comparison and a vote', async () => {
    await ask();
    transport.say('rag', { finished: answerOf('rag', 'Here. **So**\n- one\n- two') });
    transport.end();
    await screen.findByRole('button', { name: /Citation/ });
    await compare(true);
    await waitFor(() => expect(transport.asked()).toHaveLength(2));
    transport.say('rag', { finished: answerOf('rag', 'Here.', { id: 2 }) });
    transport.fail('none', failure('io'), 'Half');
    transport.end();
    await user.click(await screen.findByRole('button', { name: 'No difference' }));
    await choose(/GAG/);
    await user.click(screen.getByRole('button', { name: 'Your votes' }));
    expect(await check()).toEqual([]);
  });
});

describe('the list of chats', () => {
  it('opens, renames, exports and deletes', async () => {
    await ask('One?');
    transport.end();
    const history = screen.getByTestId('history');
    transport.chats = transport.chats.map((chat) => ({ ...chat, title: 'One?' }));
    transport.emit({ kind: 'run_ended', run: 'x', turn: 9 });
    await desk.keep('chat', () => ({}) as never as { history: { reload(): Promise<void> } }).history.reload();
    const more = await within(history).findByRole('button', { name: 'More for “One?”' });
    await user.click(more);
    await user.click(await screen.findByRole('menuitem', { name: 'Export as Markdown' }));
    await waitFor(() => expect(transport.exports).toEqual(['1000 markdown']));
    expect(desk.app.toasts.at(-1)?.text).toBe('Saved as chat.markdown');

    await user.click(more);
    await user.click(await screen.findByRole('menuitem', { name: 'Rename' }));
    const field = await screen.findByRole('textbox', { name: 'Title' });
    await user.clear(field);
    await user.type(field, 'Keys{Enter}');
    await within(history).findByText('Keys');

    await user.click(within(history).getByRole('button', { name: 'More for “Keys”' }));
    await user.click(await screen.findByRole('menuitem', { name: 'Delete' }));
    expect(transport.calls.some(({ name }) => name === 'delete_chat')).toBe(false);
    await user.click(await screen.findByRole('button', { name: 'Delete' }));
    await waitFor(() => expect(within(history).queryByText('Keys')).toBeNull());
    screen.getByText('Ask papers');
  });

  it('keeps drafts over a change of view', async () => {
    await user.type(composer(), 'half a thought');
    cleanup();
    render(OnDesk, { desk, view: ChatView });
    expect((composer() as HTMLTextAreaElement).value).toBe('half a thought');
  });
});
