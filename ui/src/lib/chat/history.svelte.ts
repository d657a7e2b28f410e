/** The list of chats of a collection: searched, and read page by page as it is scrolled. */

import type { ChatId, ChatPage, ChatSummary, Error as DeskError, ListChats } from '../bindings';
import { dayKey, dayOf, type Day } from './days';

/** A row of the list: the name of a day, or a chat. */
export type HistoryRow = { kind: 'day'; key: string; day: Day } | { kind: 'chat'; key: string; chat: ChatSummary };

const PAGE = 100;

export class History {
  readonly #list: (request: ListChats) => Promise<ChatPage>;
  readonly #now: () => Date;
  collection = $state<string | null>(null);
  query = $state('');
  chats = $state.raw<ChatSummary[]>([]);
  total = $state(0);
  loading = $state(false);
  error = $state.raw<DeskError | null>(null);
  /** Counts the loads, so that a late reply to an older question is dropped. */
  #generation = 0;

  constructor(list: (request: ListChats) => Promise<ChatPage>, now: () => Date = () => new Date()) {
    this.#list = list;
    this.#now = now;
  }

  /** The chats under the day they were last added to. */
  get rows(): HistoryRow[] {
    const now = this.#now();
    const rows: HistoryRow[] = [];
    let last = '';
    for (const chat of this.chats) {
      const day = dayOf(chat.updated_at, now);
      const key = dayKey(day);
      if (key !== last) rows.push({ kind: 'day', key: `day ${key} ${chat.id}`, day });
      last = key;
      rows.push({ kind: 'chat', key: `chat ${chat.id}`, chat });
    }
    return rows;
  }

  /** Reads the list from its start, as many as are shown now. */
  async reload(): Promise<void> {
    await this.#load(0, Math.max(PAGE, this.chats.length));
  }

  /** Reads on, if there is more and nothing is being read. */
  async more(): Promise<void> {
    if (!this.loading && this.chats.length < this.total) await this.#load(this.chats.length, PAGE);
  }

  /** Shows the chats of another collection. */
  async show(collection: string | null): Promise<void> {
    if (collection === this.collection) return;
    this.collection = collection;
    this.query = '';
    this.chats = [];
    this.total = 0;
    await this.reload();
  }

  /** Shows only the chats that contain `query`. */
  async search(query: string): Promise<void> {
    if (query === this.query) return;
    this.query = query;
    await this.#load(0, PAGE);
  }

  async #load(offset: number, limit: number): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    this.loading = true;
    try {
      const page = await this.#list({ collection: this.collection, query: this.query, offset, limit });
      if (generation !== this.#generation) return;
      const known = new Set(offset === 0 ? [] : this.chats.map(({ id }) => id));
      this.chats = [...(offset === 0 ? [] : this.chats), ...page.chats.filter(({ id }) => !known.has(id))];
      this.total = page.total;
      this.error = null;
    } catch (error) {
      if (generation === this.#generation) this.error = error as DeskError;
    } finally {
      if (generation === this.#generation) this.loading = false;
    }
  }

  /** Takes over a changed summary without reading the list again. */
  replace(chat: ChatSummary): void {
    this.chats = this.chats.map((known) => (known.id === chat.id ? chat : known));
  }

  remove(chat: ChatId): void {
    const left = this.chats.filter(({ id }) => id !== chat);
    this.total -= this.chats.length - left.length;
    this.chats = left;
  }
}
