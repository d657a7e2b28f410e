/**
 * A transport for tests of the chat: it keeps chats in memory like the core does, but answers
 * nothing by itself. A test sends the events of a run one by one, in whatever order.
 */

import type {
  Answer,
  AnswerEvent,
  AskTurn,
  ChatSummary,
  Commands,
  DeskEvent,
  Error as DeskError,
  GagTrace,
  IagTrace,
  ImpragTrace,
  Method,
  MethodStatus,
  SearchHit,
  Turn,
  TurnHead,
} from '../bindings';
import type { Transport } from '../transport/transport';

type Handlers = { [K in keyof Commands]?: (request: Commands[K]['request']) => unknown };

export const passage = (index: number, title = 'Handbook', page = 1): SearchHit => ({
  passage: {
    chunk: 100 + index,
    document: 7,
    title,
    path: `/papers/${title}.pdf`,
    span: { page, start: 0, end: 40 },
    heading: null,
    text: 'The spare key hangs behind the barometer.',
  },
  score: 1 / (index + 1),
  lexical: [3, index + 1],
  dense: [0.6, index + 1],
});

/** An answer with one supported sentence, and then whatever a test changes. */
export function answerOf(method: Method, text: string, change: Partial<Answer> = {}): Answer {
  return {
    id: 1,
    question: 'Where is the key?',
    searched_question: null,
    method,
    model: 'small',
    outcome: 'answered',
    text,
    withheld: null,
    sentences: [
      {
        start: 0,
        end: [...text].length,
        support: { passage: 1, document: 7, span: { page: 12, start: 3, end: 20 }, score: 0.9 },
      },
    ],
    retrieved: [passage(0), passage(1, 'Letter', 12)],
    read: [0, 1],
    used: [1],
    abstention: { probability: 0.8, threshold: 0.4, features: [] },
    search: null,
    timings: { queue_ms: 0, search_ms: 12, prefill_ms: 300, first_token_ms: 420, decode_ms: 900, total_ms: 1300 },
    usage: { tokens_read: 576, tokens_written: 17, bytes_read: 2400 },
    gag: null,
    imprag: null,
    iag: null,
    prompt: '',
    ...change,
  };
}

/** How an answer by GAG came about: on the route of the expert on `papers`, unless a test changes it. */
export const gagTrace = (change: Partial<GagTrace> = {}): GagTrace => ({
  route: { domain: 1 },
  scores: [
    { route: { domain: 1 }, name: 'papers', score: 0.782 },
    { route: 'general', name: 'general', score: 0.611 },
    { route: { domain: 2 }, name: 'House', score: 0.54 },
  ],
  pinned: false,
  background: 'Keys hang behind the barometer, as far as I recall.',
  rows: 4,
  cached: false,
  expert: { tokens_read: 31, tokens_written: 48, bytes_read: 0 },
  route_ms: 14,
  expert_ms: 820,
  project_ms: 3,
  ...change,
});

/** An answer by GAG: nothing was searched, and no sentence has support. */
export function gagAnswer(trace: Partial<GagTrace> = {}, change: Partial<Answer> = {}): Answer {
  const text = 'Behind the barometer.';
  return answerOf('gag', text, {
    id: 3,
    sentences: [{ start: 0, end: text.length, support: null }],
    retrieved: [],
    read: [],
    used: [],
    abstention: null,
    gag: gagTrace(trace),
    timings: { queue_ms: 0, search_ms: 0, prefill_ms: 240, first_token_ms: 1080, decode_ms: 300, total_ms: 1390 },
    usage: { tokens_read: 52, tokens_written: 6, bytes_read: 0 },
    ...change,
  });
}

/** How an answer by IAG came about: with an imagined document, unless a test changes it. */
export const iagTrace = (change: Partial<IagTrace> = {}): IagTrace => ({
  mode: 'own_document',
  document: 'Spare key hangs barometer hall.',
  cached: false,
  control: null,
  form: 'hypernetwork',
  imagine: { tokens_read: 21, tokens_written: 9, bytes_read: 0 },
  feature_tokens: 24,
  adapter_bytes: 1_204_000,
  imagine_ms: 210,
  feature_ms: 40,
  generate_ms: 2,
  load_ms: 3,
  ...change,
});

/** An answer by IAG: no sentence has support. */
export function iagAnswer(trace: Partial<IagTrace> = {}, change: Partial<Answer> = {}): Answer {
  const text = 'Behind the barometer.';
  return answerOf('iag', text, {
    id: 5,
    sentences: [{ start: 0, end: text.length, support: null }],
    retrieved: [],
    read: [],
    used: [],
    abstention: null,
    iag: iagTrace(trace),
    timings: { queue_ms: 0, search_ms: 0, prefill_ms: 60, first_token_ms: 330, decode_ms: 120, total_ms: 450 },
    usage: { tokens_read: 28, tokens_written: 6, bytes_read: 0 },
    ...change,
  });
}

/** How an answer by implicit query came about: in fast mode, unless a test changes it. */
export const impragTrace = (change: Partial<ImpragTrace> = {}): ImpragTrace => ({
  mode: 'fast',
  tier: 't0',
  layers: [7, 17],
  scores: [41.3, 38.6],
  best: 41.3,
  threshold: null,
  is_hybrid: false,
  control: null,
  passage_tokens: 118,
  query_ms: 42,
  search_ms: 2,
  encoded: 0,
  encode_ms: 0,
  restored_bytes: 664_576,
  ...change,
});

/** An answer by ImpRAG: two passages read, the second cited, a third one found. */
export function impragAnswer(trace: Partial<ImpragTrace> = {}, change: Partial<Answer> = {}): Answer {
  const near = (index: number, product: number, title?: string, page?: number): SearchHit => ({
    ...passage(index, title, page),
    score: product,
    lexical: null,
    dense: [product, index + 1],
  });
  return answerOf('imprag', 'Behind the barometer.', {
    id: 4,
    retrieved: [near(0, 41.3), near(1, 38.6, 'Letter', 12), near(2, 30.2, 'Minutes', 3)],
    abstention: null,
    imprag: impragTrace(trace),
    timings: { queue_ms: 0, search_ms: 44, prefill_ms: 31, first_token_ms: 95, decode_ms: 300, total_ms: 390 },
    usage: { tokens_read: 24, tokens_written: 6, bytes_read: 82 },
    ...change,
  });
}

export const failure = (code: DeskError['code'], message = 'It failed.'): DeskError => ({
  code,
  message,
  hint: null,
  subject: null,
});

const status = (method: Method, ready: boolean): MethodStatus => ({
  method,
  state: ready ? 'ready' : 'needs_training',
  needs: ready ? null : 'Needs an expert trained on this collection.',
  estimate_seconds: ready ? null : 600,
  can_start: !ready,
});

export class Scripted implements Transport {
  readonly kind = 'fake';
  readonly calls: { name: keyof Commands; request: unknown }[] = [];
  readonly #handlers = new Set<(event: DeskEvent) => void>();
  readonly exports: string[] = [];
  methods: MethodStatus[] = [
    status('none', true),
    status('rag', true),
    status('gag', false),
    status('iag', false),
    status('imprag', false),
  ];
  chats: ChatSummary[] = [];
  readonly heads = new Map<number, TurnHead[]>();
  readonly turns = new Map<number, Turn>();
  /** Replies of a test in the place of the usual ones. */
  instead: Handlers = {};
  #ids = 0;

  call<K extends keyof Commands>(name: K, request: Commands[K]['request']): Promise<Commands[K]['reply']> {
    this.calls.push({ name, request });
    const reply = (this.instead[name] ?? this.#usual[name]) as ((request: unknown) => unknown) | undefined;
    return Promise.resolve().then(() => {
      if (!reply) throw failure('not_supported', `no reply to ${name}`);
      return reply(request) as Commands[K]['reply'];
    });
  }

  asked(): AskTurn[] {
    return this.calls.filter(({ name }) => name === 'ask').map(({ request }) => request as AskTurn);
  }

  get lastAsk(): AskTurn {
    const ask = this.asked().at(-1);
    if (!ask) throw new globalThis.Error('nothing was asked');
    return ask;
  }

  emit(event: DeskEvent): void {
    for (const handler of this.#handlers) handler(event);
  }

  /** The last run says something. */
  say(method: Method, event: AnswerEvent, ask: AskTurn = this.lastAsk): void {
    if ('finished' in event) this.#keep(ask, method, { answer: event.finished });
    this.emit({ kind: 'answer', run: ask.run, turn: this.turnOf(ask), method, event });
  }

  fail(method: Method, error: DeskError, partial: string | null = null, ask: AskTurn = this.lastAsk): void {
    this.#keep(ask, method, { error, partial });
    this.emit({ kind: 'answer_failed', run: ask.run, turn: this.turnOf(ask), method, error });
  }

  end(ask: AskTurn = this.lastAsk): void {
    this.emit({ kind: 'run_ended', run: ask.run, turn: this.turnOf(ask) });
  }

  #turns = new Map<string, number>();

  /** The turn of a run; it has one before `ask` has replied, as in the core. */
  turnOf(ask: AskTurn): number {
    const known = this.#turns.get(ask.run);
    if (known !== undefined) return known;
    this.#ids += 1;
    const id = this.#ids;
    this.#turns.set(ask.run, id);
    this.add(ask.chat, { id, chat: ask.chat, question: ask.question, created_at: 0, blind: ask.blind, outcomes: [], vote: null });
    return id;
  }

  /** Keeps a turn as if it had been asked before. */
  add(chat: number, turn: Turn): void {
    this.#ids = Math.max(this.#ids, turn.id);
    this.turns.set(turn.id, turn);
    this.heads.set(chat, [...(this.heads.get(chat) ?? []), { id: turn.id, question: turn.question, created_at: turn.created_at }]);
  }

  #keep(ask: AskTurn, method: Method, outcome: Partial<Turn['outcomes'][number]>): void {
    const turn = this.turns.get(this.turnOf(ask));
    turn?.outcomes.push({ method, answer: null, error: null, partial: null, ...outcome });
  }

  readonly #usual: Handlers = {
    hello: () => ({ version: '0', language: 'en', theme: 'light', data_folder: '/data', problems: [] }),
    methods: () => this.methods,
    list_collections: () => [{ id: 1, name: 'papers', ready_documents: 3, documents: 3, pages: 30, chunks: 90 }],
    list_jobs: () => [],
    list_chats: ({ query, offset, limit }) => {
      const found = this.chats.filter(({ title }) => title.includes(query));
      return { total: found.length, chats: found.slice(offset, offset + limit) };
    },
    create_chat: ({ collection }) => {
      const chat = { id: 1000 + this.chats.length, title: '', collection, turns: 0, updated_at: 0 };
      this.chats = [chat, ...this.chats];
      return chat;
    },
    rename_chat: ({ chat, title }) => {
      this.chats = this.chats.map((known) => (known.id === chat ? { ...known, title } : known));
      return this.chats.find(({ id }) => id === chat);
    },
    delete_chat: ({ chat }) => {
      this.chats = this.chats.filter(({ id }) => id !== chat);
      return {};
    },
    open_chat: ({ chat }) => ({ chat: this.chats.find(({ id }) => id === chat), turns: this.heads.get(chat) ?? [] }),
    turns: ({ turns }) => turns.flatMap((turn) => structuredClone(this.turns.get(turn) ?? [])),
    ask: (ask) => {
      const id = this.turnOf(ask);
      return { id, question: ask.question, created_at: 0 };
    },
    stop: () => ({}),
    cast_vote: ({ turn, winner }) => {
      const vote = { turn, winner, blind: this.turns.get(turn)?.blind ?? false };
      const known = this.turns.get(turn);
      if (known) known.vote = vote;
      return vote;
    },
    votes: () => [{ method: 'rag', won: 2, lost: 1, tied: 0, blind: 1 }],
    route_corrections: () => [],
    correct_route: ({ question, route }) => [{ id: 5, question, route }],
    undo_route: () => [],
    start_training: () => ({ job: { id: 1 }, collection: 'papers', curve: [] }),
  };

  listen(handler: (event: DeskEvent) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  documentBytes(): Promise<ArrayBuffer> {
    return Promise.resolve(new ArrayBuffer(0));
  }

  pick(): Promise<null> {
    return Promise.resolve(null);
  }

  saveExport(chat: number, format: string): Promise<string> {
    this.exports.push(`${chat} ${format}`);
    return Promise.resolve(`chat.${format}`);
  }
}
