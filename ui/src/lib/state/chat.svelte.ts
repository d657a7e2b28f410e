/**
 * The conversation in sight, the questions on their way, and what the composer holds. It lives
 * as long as the window, so that drafts and running answers outlast a change of view.
 */

import { SvelteMap } from 'svelte/reactivity';
import type {
  ChatId,
  ChatSummary,
  DeskEvent,
  Error as DeskError,
  IagMode,
  Method,
  RouteChoice,
  Turn,
  TurnHead,
  TurnId,
  Vote,
  VoteCount,
} from '../bindings';
import { Asking } from '../chat/asking.svelte';
import { nextFrame, perFrame, type Schedule } from '../chat/frames';
import { History } from '../chat/history.svelte';
import { Run, type RunEvent } from '../chat/run.svelte';
import { Turns } from '../chat/turns.svelte';
import type { Transport } from '../transport/transport';

/** A turn in the list: one that is stored, or one that is on its way. */
export interface Item {
  /** Stays the same from the moment of asking, so that a finished turn is not drawn anew. */
  key: string;
  question: string;
  head: TurnHead | null;
  /** The run that is answering it, if one is. */
  run: string | null;
}

/** How to ask again in place of a turn, or for the first time. */
export interface Ask {
  question: string;
  methods: Method[];
  blind: boolean;
  abstain: boolean;
  replaces?: TurnId | null;
  /** For GAG: the route a person chose; without one the router chooses. */
  route?: RouteChoice | null;
  /** For IAG: what is to stand in the prompt; without one, what the composer says. */
  imagine?: IagMode;
}

/** What a screen reader is told: the beginning and the end of an answer, never each word. */
export type Announcement = { kind: 'begun'; methods: number } | { kind: 'ended'; run: Run };

const LOST: DeskError = { code: 'internal', message: '', hint: null, subject: null };

export class ChatState {
  readonly #transport: Transport;
  readonly #schedule: Schedule;
  /** How long a run may take to end once it was told to stop, in milliseconds. */
  readonly #grace: number;
  readonly history: History;
  readonly turns: Turns;
  readonly asking: Asking;

  collection = $state<string | null>(null);
  chat = $state.raw<ChatSummary | null>(null);
  items = $state.raw<Item[]>([]);
  opening = $state(false);
  /** Why the chat could not be opened. */
  openError = $state.raw<DeskError | null>(null);
  /** Why the last question was not taken, and the question. */
  askError = $state.raw<{ error: DeskError; ask: Ask } | null>(null);
  announcement = $state.raw<Announcement | null>(null);
  votes = $state.raw<VoteCount[]>([]);

  readonly #runs = new SvelteMap<string, Run>();
  readonly #drafts = new SvelteMap<string, string>();
  readonly #settled = new Set<string>();
  /** Counts changes of the chat in sight, so that a late reply does not fill another one. */
  sight = $state(0);

  constructor(
    transport: Transport,
    { schedule = nextFrame, now, grace = 10_000 }: { schedule?: Schedule; now?: () => Date; grace?: number } = {},
  ) {
    this.#transport = transport;
    this.#schedule = schedule;
    this.#grace = grace;
    this.history = new History((request) => transport.call('list_chats', request), now);
    this.turns = new Turns((turns) => transport.call('turns', { turns }), schedule);
    this.asking = new Asking(transport);
  }

  /** Begins to listen; returns how to end it. */
  listen(): () => void {
    const take = perFrame<RunEvent>((events) => {
      for (const event of events) this.#take(event);
    }, this.#schedule);
    return this.#transport.listen((event: DeskEvent) => {
      if ('run' in event) take(event);
      else if (event.kind !== 'drag' && event.kind !== 'dropped') this.asking.changed(event);
    });
  }

  /** Shows another collection: its chats, and a new chat about it. */
  async show(collection: string | null): Promise<void> {
    if (collection === this.collection) return;
    this.collection = collection;
    this.begin();
    await Promise.all([this.history.show(collection), this.asking.show(collection)]);
  }

  // --- the chat in sight

  /** An empty chat; it is made with its first question. */
  begin(): void {
    this.sight += 1;
    this.chat = null;
    this.items = [];
    this.opening = false;
    this.openError = null;
    this.askError = null;
  }

  async open(chat: ChatId): Promise<void> {
    this.begin();
    const sight = this.sight;
    this.opening = true;
    try {
      const view = await this.#transport.call('open_chat', { chat });
      if (sight !== this.sight) return;
      const runs = [...this.#runs.values()].filter((run) => run.chat === chat);
      this.chat = view.chat;
      this.items = view.turns.map((head) => ({
        key: `turn ${head.id}`,
        question: head.question,
        head,
        run: runs.find((run) => run.turn === head.id)?.id ?? null,
      }));
      const shown = new Set(view.turns.map(({ id }) => id));
      for (const run of runs) {
        if (run.turn === null || (!run.ended && !shown.has(run.turn))) {
          this.items = [...this.items, { key: run.id, question: run.question, head: null, run: run.id }];
        }
      }
    } catch (error) {
      if (sight === this.sight) this.openError = error as DeskError;
    } finally {
      if (sight === this.sight) this.opening = false;
    }
  }

  runOf(item: Item): Run | undefined {
    return item.run === null ? undefined : this.#runs.get(item.run);
  }

  turnOf(item: Item): TurnId | null {
    return item.head?.id ?? this.runOf(item)?.turn ?? null;
  }

  /** The title of the chat in sight: as the list has it, else its first question. */
  get title(): string {
    if (!this.chat) return '';
    const listed = this.history.chats.find(({ id }) => id === this.chat?.id);
    return listed?.title || this.chat.title || this.items[0]?.question || '';
  }

  /** The run of the chat in sight that is not over. */
  get running(): Run | undefined {
    for (const item of this.items) {
      const run = this.runOf(item);
      if (run && !run.ended) return run;
    }
    return undefined;
  }

  // --- drafts

  get #draftKey(): string {
    return this.chat ? `chat ${this.chat.id}` : `new ${this.collection ?? ''}`;
  }

  get draft(): string {
    return this.#drafts.get(this.#draftKey) ?? '';
  }

  set draft(text: string) {
    if (text === '') this.#drafts.delete(this.#draftKey);
    else this.#drafts.set(this.#draftKey, text);
  }

  // --- asking

  /** Asks what the composer holds. */
  async send(): Promise<void> {
    const question = this.draft.trim();
    if (question === '' || this.running || !this.asking.possible) return;
    this.draft = '';
    await this.ask({ question, ...this.asking.how });
  }

  /** Asks, if nothing is being answered here. */
  async ask(ask: Ask): Promise<void> {
    const { collection } = this;
    if (this.running || collection === null) return;
    const sight = this.sight;
    const before = this.items;
    const id = crypto.randomUUID();
    const imagine = ask.imagine ?? this.asking.imagine;
    const run = new Run({ ...ask, imagine, id, chat: this.chat?.id ?? null });
    this.#runs.set(id, run);
    this.askError = null;
    const kept = ask.replaces == null ? before : before.slice(0, before.findIndex(({ head }) => head?.id === ask.replaces));
    this.items = [...kept, { key: id, question: ask.question, head: null, run: id }];
    this.announcement = { kind: 'begun', methods: ask.methods.length };
    try {
      if (run.chat === null) {
        const chat = await this.#transport.call('create_chat', { collection });
        run.chat = chat.id;
        if (sight === this.sight) this.chat = chat;
      }
      const { question, methods, blind, abstain, replaces = null, route } = ask;
      const head = await this.#transport.call('ask', {
        ...{ run: id, chat: run.chat, question, methods, blind, abstain, replaces },
        ...(route ? { route } : {}),
        ...(methods.includes('iag') ? { imagine } : {}),
      });
      run.turn = head.id;
      this.#change(id, { head });
      void this.history.reload();
    } catch (error) {
      this.#runs.delete(id);
      this.#settled.add(id);
      if (sight !== this.sight) return;
      this.items = before;
      this.askError = { error: error as DeskError, ask };
      if (this.draft === '' && ask.replaces == null) this.draft = ask.question;
    }
  }

  /** Asks again what was not taken. */
  async retry(): Promise<void> {
    const failed = this.askError;
    if (!failed) return;
    if (this.draft.trim() === failed.ask.question) this.draft = '';
    await this.ask(failed.ask);
  }

  /** Stops the answers being made in the chat in sight. */
  async stop(): Promise<void> {
    const run = this.running;
    if (!run || run.stopping) return;
    run.stopping = true;
    try {
      await this.#transport.call('stop', { run: run.id });
      setTimeout(() => this.#giveUp(run), this.#grace);
    } catch (error) {
      // Nobody is there to say that it ended.
      run.stopping = false;
      run.abandon(error as DeskError);
    }
  }

  /** The core was told to stop and knows nothing of the run, for example because it was started anew. */
  #giveUp(run: Run): void {
    if (run.ended) return;
    run.abandon({ ...LOST, code: 'cancelled' });
    void this.#settle(run);
  }

  /** Whether a question of a chat is being answered, in sight or not. */
  answering(chat: ChatId): boolean {
    for (const run of this.#runs.values()) if (run.chat === chat && !run.ended) return true;
    return false;
  }

  #take(event: RunEvent): void {
    const run = this.#runs.get(event.run) ?? this.#adopt(event);
    if (!run) return;
    const ended = run.ended;
    run.apply(event, LOST);
    if (run.ended && !ended) void this.#settle(run);
  }

  /** A run that began before this page did, for example before it was loaded again. */
  #adopt(event: RunEvent): Run | undefined {
    const item = this.items.find(({ head, run }) => run === null && head?.id === event.turn);
    if (!item || this.#settled.has(event.run)) return undefined;
    const stored = this.turns.get(event.turn);
    const run = new Run({
      id: event.run,
      chat: this.chat?.id ?? null,
      question: item.question,
      blind: stored?.blind ?? false,
      methods: [],
    });
    run.turn = event.turn;
    this.#runs.set(run.id, run);
    this.items = this.items.map((known) => (known === item ? { ...known, run: run.id } : known));
    return run;
  }

  /** The run is over: from now on the turn is shown as it is stored. */
  async #settle(run: Run): Promise<void> {
    this.announcement = { kind: 'ended', run };
    this.#settled.add(run.id);
    void this.history.reload();
    if (run.turn === null) return;
    const stored = await this.turns.refresh(run.turn);
    // Without the stored turn what arrived stays in sight.
    if (!stored || stored.outcomes.length === 0) return;
    this.#change(run.id, {
      head: { id: stored.id, question: stored.question, created_at: stored.created_at },
      run: null,
    });
    this.#runs.delete(run.id);
  }

  #change(run: string, change: Partial<Item>): void {
    this.items = this.items.map((item) => (item.run === run ? { ...item, ...change } : item));
  }

  // --- votes and changes

  async vote(turn: TurnId, winner: Method | null): Promise<Vote> {
    const vote = await this.#transport.call('cast_vote', { turn, winner });
    const stored = this.turns.get(turn);
    if (stored) this.turns.put({ ...stored, vote } satisfies Turn);
    this.countVotes().catch(() => undefined);
    return vote;
  }

  async countVotes(): Promise<void> {
    this.votes = await this.#transport.call('votes', {});
  }

  async rename(chat: ChatId, title: string): Promise<void> {
    const summary = await this.#transport.call('rename_chat', { chat, title });
    this.history.replace(summary);
    if (this.chat?.id === chat) this.chat = summary;
  }

  async delete(chat: ChatId): Promise<void> {
    for (const run of this.#runs.values()) {
      if (run.chat === chat && !run.ended) await this.#transport.call('stop', { run: run.id }).catch(() => undefined);
    }
    await this.#transport.call('delete_chat', { chat });
    this.history.remove(chat);
    this.#drafts.delete(`chat ${chat}`);
    if (this.chat?.id === chat) this.begin();
  }
}
