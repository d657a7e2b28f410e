/**
 * A question being answered: one column per method, fed by events. The same shapes show what
 * was stored, so that a turn looks the same while it is made and when it is read again.
 */

import type {
  Answer,
  ChatId,
  DeskEvent,
  Error as DeskError,
  IagMode,
  Method,
  RouteChoice,
  RouteScore,
  SearchHit,
  TurnId,
  TurnOutcome,
} from '../bindings';

/** Where a method stands with its answer. */
export type Phase = 'waiting' | 'loading' | 'searching' | 'expert' | 'imagining' | 'reading' | 'writing' | 'finished' | 'failed' | 'stopped';

/** An event about an answer. */
export type RunEvent = Extract<DeskEvent, { run: string }>;

const OVER: readonly Phase[] = ['finished', 'failed', 'stopped'];

/** One method's answer, in the making or made. */
export class Column {
  readonly method: Method;
  phase = $state<Phase>('waiting');
  /** Fraction of the model that is loaded, while it is. */
  loading = $state<number | null>(null);
  /** The question as searched, where a follow-up was rewritten. */
  rewritten = $state<string | null>(null);
  hits = $state.raw<SearchHit[] | null>(null);
  /** For GAG: the route taken, and how near every route was. */
  routed = $state.raw<{ choice: RouteChoice; scores: RouteScore[] } | null>(null);
  /** For GAG: what the expert wrote, once it has. */
  background = $state<string | null>(null);
  /** For IAG: what is to stand in the prompt, where that is known. */
  readonly imagine: IagMode | null;
  /** For IAG: the document for the prompt, imagined or squeezed from passages. */
  imagined = $state.raw<{ document: string; mode: IagMode } | null>(null);
  prefill = $state.raw<{ done: number; total: number } | null>(null);
  /** What has been written so far; the finished answer's text takes its place. */
  text = $state('');
  answer = $state.raw<Answer | null>(null);
  error = $state.raw<DeskError | null>(null);

  constructor(method: Method, imagine: IagMode | null = null) {
    this.method = method;
    this.imagine = imagine;
  }

  get over(): boolean {
    return OVER.includes(this.phase);
  }

  /** Takes in what happened. What comes after the end changes nothing. */
  apply(event: Extract<RunEvent, { kind: 'answer' }>['event']): void {
    if (this.over) return;
    const writing = this.phase === 'writing';
    if ('finished' in event) {
      this.answer = event.finished;
      this.rewritten = event.finished.searched_question;
      this.text = event.finished.text;
      this.phase = 'finished';
    } else if ('text' in event) {
      this.text += event.text;
      this.phase = 'writing';
    } else if ('rewritten' in event) {
      this.rewritten = event.rewritten;
      if (!writing) this.phase = 'searching';
    } else if ('retrieved' in event) {
      this.hits = event.retrieved;
      // IAG does not read passages but squeezes them first.
      if (!writing) this.phase = this.method === 'iag' ? 'imagining' : 'reading';
    } else if ('routed' in event) {
      const [scores, choice] = event.routed;
      this.routed = { choice, scores };
      if (!writing) this.phase = choice === 'general' ? 'reading' : 'expert';
    } else if ('background' in event) {
      this.background = event.background;
      if (!writing) this.phase = 'reading';
    } else if ('imagining' in event) {
      if (!writing) this.phase = 'imagining';
    } else if ('imagined' in event) {
      const [document, mode] = event.imagined;
      this.imagined = { document, mode };
      if (!writing) this.phase = 'reading';
    } else if ('prefill' in event) {
      this.prefill = event.prefill;
      // What is read before the expert has written is the expert's reading.
      if (!writing && this.phase !== 'expert') this.phase = 'reading';
    } else {
      this.loading = event.loading;
      if (!writing) this.phase = event.loading < 1 ? 'loading' : this.#next();
    }
  }

  /** What comes after a model is loaded. */
  #next(): Phase {
    // The expert's model loads while the route is known already.
    if (this.routed && this.background === null && this.routed.choice !== 'general') return 'expert';
    if (this.method !== 'iag') return 'waiting';
    return this.imagined === null ? 'imagining' : 'reading';
  }

  /** The method failed, or was stopped. What was written by then stays. */
  fail(error: DeskError): void {
    if (this.over) return;
    this.error = error;
    this.phase = error.code === 'cancelled' ? 'stopped' : 'failed';
  }

  /** The column of a stored outcome. */
  static of(outcome: TurnOutcome): Column {
    const column = new Column(outcome.method);
    if (outcome.answer) {
      column.apply({ finished: outcome.answer });
    } else {
      column.text = outcome.partial ?? '';
      column.error = outcome.error;
      column.phase = outcome.error && outcome.error.code !== 'cancelled' ? 'failed' : 'stopped';
    }
    return column;
  }
}

/** A question on its way, known by the id given to `ask`. */
export class Run {
  readonly id: string;
  /** The conversation, once it is made. */
  chat: ChatId | null;
  readonly question: string;
  readonly blind: boolean;
  /** The turn, once it is known: from the reply to `ask` or from the first event. */
  turn = $state<TurnId | null>(null);
  columns = $state.raw<Column[]>([]);
  /** No more events will come. */
  ended = $state(false);
  /** Stop was asked for. */
  stopping = $state(false);

  constructor(run: { id: string; chat: ChatId | null; question: string; blind: boolean; methods: Method[]; imagine?: IagMode }) {
    this.id = run.id;
    this.chat = run.chat;
    this.question = run.question;
    this.blind = run.blind;
    this.columns = run.methods.map((method) => new Column(method, run.imagine));
    // Alone it waits for nobody.
    const [only] = this.columns;
    if (only?.method === 'iag' && this.columns.length === 1) only.phase = 'imagining';
  }

  column(method: Method): Column {
    let column = this.columns.find((candidate) => candidate.method === method);
    if (!column) {
      column = new Column(method);
      this.columns = [...this.columns, column];
    }
    return column;
  }

  /** Gives up waiting: the core cannot be reached. */
  abandon(error: DeskError): void {
    for (const column of this.columns) column.fail(error);
    this.ended = true;
  }

  /**
   * Takes in an event of this run. `lost` is the error of a method that has neither finished
   * nor failed when the run ends: its last event did not arrive.
   */
  apply(event: RunEvent, lost: DeskError): void {
    if (this.ended) return;
    this.turn = event.turn;
    if (event.kind === 'answer') this.column(event.method).apply(event.event);
    else if (event.kind === 'answer_failed') this.column(event.method).fail(event.error);
    else {
      for (const column of this.columns) column.fail(this.stopping ? { ...lost, code: 'cancelled' } : lost);
      this.ended = true;
    }
  }
}
