import { beforeEach, describe, expect, it } from 'vitest';
import { answerOf, failure, passage, Scripted } from '../chat/scripted';
import { ChatState } from './chat.svelte';

let transport: Scripted;
let chat: ChatState;
let frames: (() => void)[];

/** Lets replies arrive and frames pass. */
async function settle(): Promise<void> {
  for (let round = 0; round < 12; round += 1) {
    for (const frame of frames.splice(0)) frame();
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve));
  }
}

beforeEach(async () => {
  transport = new Scripted();
  frames = [];
  chat = new ChatState(transport, { schedule: (callback) => void frames.push(callback) });
  chat.listen();
  await chat.show('papers');
});

async function ask(question = 'Where is the key?'): Promise<void> {
  chat.draft = question;
  await chat.send();
}

const columns = () => {
  const item = chat.items.at(-1);
  return (item && chat.runOf(item)?.columns) ?? [];
};

describe('asking', () => {
  it('makes a chat with the first question and shows the stages', async () => {
    await ask();
    expect(transport.lastAsk).toMatchObject({ chat: 1000, methods: ['rag'], replaces: null, abstain: true, blind: false });
    expect(chat.draft).toBe('');
    const [column] = columns();
    expect(column?.phase).toBe('waiting');
    const stages: [Parameters<Scripted['say']>[1], string][] = [
      [{ loading: 0.4 }, 'loading'],
      [{ loading: 1 }, 'waiting'],
      [{ rewritten: 'Where is the spare key?' }, 'searching'],
      [{ retrieved: [passage(0)] }, 'reading'],
      [{ prefill: { done: 10, total: 90 } }, 'reading'],
      [{ text: 'Beh' }, 'writing'],
      [{ text: 'ind' }, 'writing'],
    ];
    for (const [event, phase] of stages) {
      transport.say('rag', event);
      await settle();
      expect(column?.phase).toBe(phase);
    }
    expect(column).toMatchObject({ text: 'Behind', rewritten: 'Where is the spare key?', prefill: { done: 10, total: 90 } });
    transport.say('rag', { finished: answerOf('rag', 'Behind the barometer.') });
    transport.end();
    await settle();
    expect(column?.text).toBe('Behind the barometer.');
    expect(chat.running).toBeUndefined();
    const turn = chat.turnOf(chat.items[0]!);
    expect(chat.turns.get(turn!)?.outcomes[0]?.answer?.text).toBe('Behind the barometer.');
  });

  it('takes in the events of a frame together', async () => {
    await ask();
    for (const word of ['a', 'b', 'c']) transport.say('rag', { text: word });
    expect(columns()[0]?.text).toBe('');
    expect(frames).toHaveLength(1);
    await settle();
    expect(columns()[0]?.text).toBe('abc');
  });

  it('copes with events before the reply to ask', async () => {
    let reply = (_: unknown): void => undefined;
    transport.instead.ask = () => new Promise((resolve) => (reply = resolve));
    chat.draft = 'Where?';
    const sending = chat.send();
    await settle();
    transport.say('rag', { text: 'early' });
    transport.say('rag', { finished: answerOf('rag', 'early indeed') });
    transport.end();
    await settle();
    expect(chat.items).toHaveLength(1);
    expect(chat.turnOf(chat.items[0]!)).toBe(1);
    reply({ id: 1, question: 'Where?', created_at: 5 });
    await sending;
    await settle();
    expect(chat.items).toHaveLength(1);
    expect(chat.items[0]).toMatchObject({ run: null, head: { id: 1 } });
    expect(chat.running).toBeUndefined();
  });

  it('ignores what comes after the end', async () => {
    await ask();
    const [column] = columns();
    transport.say('rag', { finished: answerOf('rag', 'done') });
    transport.say('rag', { text: ' and more' });
    transport.fail('rag', failure('internal'));
    transport.end();
    transport.say('rag', { text: ' late' });
    await settle();
    expect(column).toMatchObject({ phase: 'finished', text: 'done', error: null });
    expect(chat.items).toHaveLength(1);
    expect(chat.running).toBeUndefined();
  });

  it('gives the question back when it is not taken', async () => {
    transport.instead.ask = () => {
      throw failure('busy', 'Too much at once.');
    };
    await ask('What now?');
    expect(chat.items).toEqual([]);
    expect(chat.draft).toBe('What now?');
    expect(chat.askError?.error.message).toBe('Too much at once.');
    transport.instead = {};
    await chat.retry();
    expect(chat.draft).toBe('');
    expect(chat.items).toHaveLength(1);
  });

  it('asks nothing without a ready method, without words, or twice at once', async () => {
    chat.asking.choice = 'gag';
    await ask();
    chat.asking.choice = 'rag';
    await ask('   ');
    expect(transport.asked()).toEqual([]);
    await ask('one');
    await ask('two');
    expect(transport.asked()).toHaveLength(1);
    expect(chat.draft).toBe('two');
  });
});

describe('endings', () => {
  it('keeps what one method wrote when it fails, while the other finishes', async () => {
    chat.asking.choice = 'compare';
    await ask();
    expect(transport.lastAsk.methods).toEqual(['none', 'rag']);
    const [none, rag] = columns();
    transport.say('none', { text: 'Perhaps' });
    transport.fail('none', failure('worker_died'), 'Perhaps');
    transport.say('rag', { finished: answerOf('rag', 'Here.') });
    await settle();
    expect(none).toMatchObject({ phase: 'failed', text: 'Perhaps', error: { code: 'worker_died' } });
    expect(rag?.phase).toBe('finished');
    expect(chat.running).toBeDefined();
    transport.end();
    await settle();
    expect(chat.running).toBeUndefined();
  });

  it('stops the run in sight, once', async () => {
    await ask();
    const [column] = columns();
    transport.say('rag', { text: 'Half' });
    await settle();
    await Promise.all([chat.stop(), chat.stop()]);
    expect(transport.calls.filter(({ name }) => name === 'stop')).toEqual([{ name: 'stop', request: { run: transport.lastAsk.run } }]);
    transport.fail('rag', failure('cancelled'), 'Half');
    transport.end();
    await settle();
    expect(column).toMatchObject({ phase: 'stopped', text: 'Half' });
  });

  it('gives up waiting when the core cannot be told to stop', async () => {
    await ask();
    const [column] = columns();
    transport.say('rag', { text: 'Half' });
    await settle();
    expect(chat.answering(1000)).toBe(true);
    transport.instead.stop = () => {
      throw failure('io', 'Quartet does not answer.');
    };
    await chat.stop();
    expect(column).toMatchObject({ phase: 'failed', text: 'Half', error: { message: 'Quartet does not answer.' } });
    expect(chat.running).toBeUndefined();
    expect(chat.answering(1000)).toBe(false);
  });

  it('gives up waiting for a run that the core has forgotten', async () => {
    chat = new ChatState(transport, { schedule: (callback) => void frames.push(callback), grace: 0 });
    chat.listen();
    await chat.show('papers');
    await ask();
    const [column] = columns();
    await chat.stop();
    await settle();
    expect(column?.phase).toBe('stopped');
    expect(chat.running).toBeUndefined();
  });

  it('marks a method whose end never arrived', async () => {
    await ask();
    const [column] = columns();
    transport.end();
    await settle();
    expect(column?.phase).toBe('failed');
    // Nothing was stored, so what arrived stays in sight.
    expect(chat.items[0]?.run).not.toBeNull();
  });
});

describe('a chat', () => {
  const turn = (id: number) => ({ id, chat: 5, question: `q${id}`, created_at: 0, blind: false, outcomes: [], vote: null });

  beforeEach(() => {
    transport.chats = [{ id: 5, title: 'Old', collection: 'papers', turns: 3, updated_at: 0 }];
    for (const id of [1, 2, 3]) transport.add(5, turn(id));
  });

  it('puts the edited question in the place of the turn and what followed it', async () => {
    await chat.open(5);
    await chat.ask({ question: 'better', methods: ['rag'], blind: false, abstain: true, replaces: 2 });
    expect(transport.lastAsk).toMatchObject({ chat: 5, question: 'better', replaces: 2 });
    expect(chat.items.map(({ question }) => question)).toEqual(['q1', 'better']);
  });

  it('brings the turns back when the edited question is not taken', async () => {
    await chat.open(5);
    transport.instead.ask = () => {
      throw failure('io');
    };
    await chat.ask({ question: 'better', methods: ['rag'], blind: false, abstain: true, replaces: 2 });
    expect(chat.items.map(({ question }) => question)).toEqual(['q1', 'q2', 'q3']);
    expect(chat.draft).toBe('');
  });

  it('goes on answering out of sight and is found again', async () => {
    await ask('slow one');
    const first = chat.chat!.id;
    transport.say('rag', { text: 'Half' });
    await settle();
    await chat.open(5);
    expect(chat.running).toBeUndefined();
    expect(chat.items).toHaveLength(3);
    transport.say('rag', { text: ' way' });
    await settle();
    await chat.open(first);
    expect(chat.items).toHaveLength(1);
    expect(columns()[0]?.text).toBe('Half way');
    expect(chat.running).toBeDefined();
  });

  it('takes over a run that began before the page was loaded', async () => {
    await chat.open(5);
    transport.emit({ kind: 'answer', run: 'elsewhere', turn: 3, method: 'rag', event: { text: 'going on' } });
    transport.emit({ kind: 'answer', run: 'foreign', turn: 99, method: 'rag', event: { text: 'not here' } });
    await settle();
    expect(columns()[0]?.text).toBe('going on');
    expect(chat.items).toHaveLength(3);
  });

  it('keeps a draft for each chat', async () => {
    chat.draft = 'new one';
    await chat.open(5);
    expect(chat.draft).toBe('');
    chat.draft = 'old one';
    chat.begin();
    expect(chat.draft).toBe('new one');
    await chat.open(5);
    expect(chat.draft).toBe('old one');
  });

  it('does not fill the chat in sight with a late reply about another', async () => {
    let reply = (_: unknown): void => undefined;
    transport.instead.open_chat = () => new Promise((resolve) => (reply = resolve));
    const opening = chat.open(5);
    await settle();
    chat.begin();
    reply({ chat: transport.chats[0], turns: transport.heads.get(5) });
    await opening;
    expect(chat.items).toEqual([]);
    expect(chat.chat).toBeNull();
  });

  it('is stopped, deleted and gone from sight', async () => {
    await chat.open(5);
    await ask('last words');
    await chat.delete(5);
    const names = transport.calls.map(({ name }) => name);
    expect(names.indexOf('stop')).toBeLessThan(names.indexOf('delete_chat'));
    expect(chat.chat).toBeNull();
    expect(chat.history.chats.map(({ id }) => id)).not.toContain(5);
  });

  it('fetches answers together and lets go of those not seen for long', async () => {
    for (let id = 4; id <= 400; id += 1) transport.add(5, turn(id));
    await chat.open(5);
    expect(transport.calls.filter(({ name }) => name === 'turns')).toEqual([]);
    for (let id = 1; id <= 20; id += 1) chat.turns.want(id);
    for (let id = 1; id <= 20; id += 1) chat.turns.want(id);
    await settle();
    expect(transport.calls.filter(({ name }) => name === 'turns')).toHaveLength(2);
    for (let id = 21; id <= 400; id += 1) chat.turns.want(id);
    await settle();
    expect(chat.turns.size).toBeLessThan(200);
    expect(chat.turns.get(1)).toBeUndefined();
    expect(chat.turns.get(400)).toBeDefined();
  });

  it('counts a vote', async () => {
    await chat.open(5);
    chat.turns.want(1);
    await settle();
    await chat.vote(1, 'rag');
    expect(chat.turns.get(1)?.vote).toEqual({ turn: 1, winner: 'rag', blind: false });
    await settle();
    expect(chat.votes).toHaveLength(1);
  });
});

describe('the list of chats', () => {
  const summary = (id: number) => ({ id, title: `chat ${id}`, collection: 'papers', turns: 1, updated_at: 1000 - id });

  it('is read page by page, without doubles', async () => {
    transport.chats = Array.from({ length: 250 }, (_, id) => summary(id));
    await chat.history.reload();
    await Promise.all([chat.history.more(), chat.history.more()]);
    expect(chat.history.chats).toHaveLength(200);
    transport.chats = [summary(900), ...transport.chats];
    await chat.history.more();
    const ids = chat.history.chats.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('drops a late reply to an older search', async () => {
    const replies: ((value: unknown) => void)[] = [];
    transport.instead.list_chats = () => new Promise((resolve) => replies.push(resolve));
    const first = chat.history.search('a');
    const second = chat.history.search('ab');
    await settle();
    replies[1]?.({ total: 1, chats: [summary(2)] });
    replies[0]?.({ total: 1, chats: [summary(1)] });
    await Promise.all([first, second]);
    expect(chat.history.chats.map(({ id }) => id)).toEqual([2]);
  });
});
