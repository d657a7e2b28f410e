import type { Answer, AskTurn, ChatSummary, DeskEvent, IagMode, Method, RouteChoice, SearchHit, Turn, VoteCount } from '../../bindings';
import type { Handlers } from '../fake';
import { fakeRoutes, withRoute, type FakeRoutes } from './gag';
import { withImagination } from './iag';

const passage = 'The filter is changed every 500 operating hours. In dusty surroundings, halve the interval.';

const hit: SearchHit = {
  passage: {
    chunk: 31,
    document: 1,
    title: 'Maintenance handbook 2001-0001',
    path: '/home/anna/Papers/2001/Maintenance handbook 2001-0001.pdf',
    span: { page: 3, start: 0, end: passage.length },
    heading: 'Filters',
    text: passage,
  },
  score: 0.91,
  lexical: [11.2, 1],
  dense: [0.78, 1],
};

/** What an implicit query found: the same passage, by its inner product. */
function withQuery(answer: Answer): Answer {
  const near: SearchHit = { ...hit, score: 41.3, lexical: null, dense: [41.3, 1] };
  return {
    ...answer,
    retrieved: [near],
    abstention: null,
    timings: { queue_ms: 1, search_ms: 44, prefill_ms: 31, first_token_ms: 96, decode_ms: 900, total_ms: 1010 },
    usage: { ...answer.usage, tokens_read: 24 },
    imprag: {
      mode: 'fast',
      tier: 'start',
      layers: [7, 17],
      scores: [41.3],
      best: 41.3,
      threshold: null,
      is_hybrid: false,
      control: null,
      passage_tokens: 58,
      query_ms: 42,
      search_ms: 2,
      encoded: 0,
      encode_ms: 0,
      restored_bytes: 326_656,
    },
  };
}

const sentences = ['The filter is changed every 500 operating hours.', ' Keep a spare one at hand.'];

function answerTo(question: string, method: Method): Answer {
  const [first, second] = sentences as [string, string];
  return {
    id: null,
    question,
    searched_question: null,
    method,
    model: 'small',
    outcome: 'answered',
    text: first + second,
    withheld: null,
    sentences: [
      {
        start: 0,
        end: first.length,
        support: method === 'none' ? null : { passage: 0, document: 1, span: { page: 3, start: 0, end: first.length }, score: 0.97 },
      },
      { start: first.length + 1, end: first.length + second.length, support: null },
    ],
    retrieved: method === 'none' ? [] : [hit],
    read: method === 'none' ? [] : [0],
    used: method === 'none' ? [] : [0],
    gag: null,
    imprag: null,
    iag: null,
    abstention: null,
    search: null,
    timings: { queue_ms: 2, search_ms: 18, prefill_ms: 640, first_token_ms: 670, decode_ms: 900, total_ms: 1570 },
    usage: { tokens_read: method === 'none' ? 38 : 412, tokens_written: 19, bytes_read: passage.length },
    prompt: `Passage: ${passage}\nQuestion: ${question}`,
  };
}

/** Conversations. Every question gets the same answer, piece by piece. */
export function fakeChat(emit: (event: DeskEvent) => void, pace: number): Handlers {
  const routes: FakeRoutes = fakeRoutes();
  const chats = new Map<number, ChatSummary>();
  const turns = new Map<number, Turn>();
  const stopped = new Set<string>();
  let ids = 0;
  const wait = () => (pace > 0 ? new Promise((done) => setTimeout(done, pace)) : Promise.resolve());
  const now = () => Math.floor(Date.now() / 1000);
  const chatOf = (id: number) => {
    const found = chats.get(id);
    if (!found) throw { code: 'not_found', message: 'no such conversation', hint: null, subject: String(id) };
    return found;
  };

  async function answer(run: string, turn: Turn, method: Method, route: RouteChoice | null, imagine: IagMode) {
    const send = (event: Extract<DeskEvent, { kind: 'answer' }>['event']) =>
      emit({ kind: 'answer', run, turn: turn.id, method, event });
    const plain = answerTo(turn.question, method);
    const own = (): Answer => {
      if (method === 'gag') return withRoute(plain, routes.traceOf(turn.question, route));
      if (method === 'iag') return withImagination(plain, imagine);
      return method === 'imprag' ? withQuery(plain) : plain;
    };
    const whole: Answer = { ...own(), id: ++ids };
    await wait();
    if (whole.gag) {
      send({ routed: [whole.gag.scores, whole.gag.route] });
      await wait();
      if (whole.gag.route !== 'general') send({ background: whole.gag.background });
    } else if (method !== 'none' && whole.retrieved.length > 0) send({ retrieved: whole.retrieved });
    if (whole.iag && whole.iag.document !== '') {
      await wait();
      send({ imagining: whole.iag.mode });
      send({ imagined: [whole.iag.document, whole.iag.mode] });
    }
    let partial = '';
    for (const piece of whole.text.split(/(?<= )/)) {
      await wait();
      if (stopped.has(run)) {
        const error = { code: 'cancelled' as const, message: 'cancelled', hint: null, subject: null };
        turn.outcomes.push({ method, answer: null, error, partial });
        emit({ kind: 'answer_failed', run, turn: turn.id, method, error });
        return;
      }
      partial += piece;
      send({ text: piece });
    }
    turn.outcomes.push({ method, answer: whole, error: null, partial: null });
    send({ finished: whole });
  }

  async function run({ run: id, methods, route, imagine }: AskTurn, turn: Turn) {
    await Promise.all(methods.map((method) => answer(id, turn, method, route ?? null, imagine ?? 'own_document')));
    emit({ kind: 'run_ended', run: id, turn: turn.id });
  }

  return {
    ...routes.handlers,
    list_chats({ collection, query, offset, limit }) {
      const found = [...chats.values()]
        .filter((chat) => (collection === null || chat.collection === collection) && chat.title.toLowerCase().includes(query.toLowerCase()))
        .sort((one, other) => other.updated_at - one.updated_at || other.id - one.id);
      return { total: found.length, chats: found.slice(offset, offset + limit) };
    },
    create_chat({ collection }) {
      const chat = { id: ++ids, title: '', collection, turns: 0, updated_at: now() };
      chats.set(chat.id, chat);
      return chat;
    },
    rename_chat({ chat, title }) {
      const renamed = { ...chatOf(chat), title };
      chats.set(chat, renamed);
      return renamed;
    },
    delete_chat({ chat }) {
      chats.delete(chat);
      return {};
    },
    open_chat: ({ chat }) => ({
      chat: chatOf(chat),
      turns: [...turns.values()]
        .filter((turn) => turn.chat === chat)
        .map(({ id, question, created_at }) => ({ id, question, created_at })),
    }),
    turns: ({ turns: wanted }) => wanted.flatMap((id) => turns.get(id) ?? []),
    export_chat: ({ chat, format }) => ({
      name: `${chatOf(chat).title}.${format === 'markdown' ? 'md' : format}`,
      media_type: 'text/plain',
      content: '',
    }),
    ask(asked) {
      const chat = chatOf(asked.chat);
      if (asked.replaces !== null) {
        for (const [id, turn] of turns) if (turn.chat === chat.id && id >= asked.replaces) turns.delete(id);
      }
      const turn: Turn = {
        id: ++ids,
        chat: chat.id,
        question: asked.question,
        created_at: now(),
        blind: asked.blind,
        outcomes: [],
        vote: null,
      };
      turns.set(turn.id, turn);
      chats.set(chat.id, { ...chat, title: chat.title || asked.question, turns: chat.turns + 1, updated_at: now() });
      void run(asked, turn);
      return { id: turn.id, question: turn.question, created_at: turn.created_at };
    },
    stop({ run: id }) {
      stopped.add(id);
      return {};
    },
    cast_vote({ turn: id, winner }) {
      const turn = turns.get(id);
      const vote = { turn: id, winner, blind: turn?.blind ?? false };
      if (turn) turn.vote = vote;
      return vote;
    },
    votes() {
      const counts = new Map<Method, VoteCount>();
      for (const { vote, outcomes } of turns.values()) {
        if (!vote) continue;
        for (const { method } of outcomes) {
          const count = counts.get(method) ?? { method, won: 0, lost: 0, tied: 0, blind: 0 };
          if (vote.winner === null) count.tied += 1;
          else if (vote.winner === method) count.won += 1;
          else count.lost += 1;
          if (vote.blind) count.blind += 1;
          counts.set(method, count);
        }
      }
      return [...counts.values()];
    },
  };
}
