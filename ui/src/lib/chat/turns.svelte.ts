/**
 * The answers of the turns in sight. A chat is opened without its answers; a turn that comes
 * into view asks for its own, those of one frame are fetched together, and those not seen for
 * longest are let go.
 */

import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import type { Turn, TurnId } from '../bindings';
import type { Schedule } from './frames';

export class Turns {
  readonly #fetch: (turns: TurnId[]) => Promise<Turn[]>;
  readonly #schedule: Schedule;
  readonly #capacity: number;
  readonly #batch: number;
  readonly #kept = new SvelteMap<TurnId, Turn>();
  /** Ids from the one not used for longest to the one just used. */
  readonly #recent = new Set<TurnId>();
  readonly #wanted = new Set<TurnId>();
  readonly #fetching = new Set<TurnId>();
  /** Turns whose answers could not be fetched. */
  readonly failed = new SvelteSet<TurnId>();

  constructor(
    fetch: (turns: TurnId[]) => Promise<Turn[]>,
    schedule: Schedule,
    { capacity = 160, batch = 16 }: { capacity?: number; batch?: number } = {},
  ) {
    this.#fetch = fetch;
    this.#schedule = schedule;
    this.#capacity = capacity;
    this.#batch = batch;
  }

  /** The turn, if it is here. */
  get(turn: TurnId): Turn | undefined {
    return this.#kept.get(turn);
  }

  /** Asks for a turn that has come into view. */
  want(turn: TurnId): void {
    if (this.#recent.delete(turn)) this.#recent.add(turn);
    if (this.#recent.has(turn) || this.#fetching.has(turn) || this.#wanted.has(turn)) return;
    this.#wanted.add(turn);
    if (this.#wanted.size === 1) this.#schedule(() => this.#flush());
  }

  /** Fetches a turn again, for example once its answers are stored. */
  async refresh(turn: TurnId): Promise<Turn | undefined> {
    await this.#load([turn]);
    return this.#kept.get(turn);
  }

  put(turn: Turn): void {
    this.#kept.set(turn.id, turn);
    this.#recent.delete(turn.id);
    this.#recent.add(turn.id);
    this.failed.delete(turn.id);
    for (const oldest of this.#recent) {
      if (this.#recent.size <= this.#capacity) break;
      this.#recent.delete(oldest);
      this.#kept.delete(oldest);
    }
  }

  get size(): number {
    return this.#recent.size;
  }

  #flush(): void {
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    for (let start = 0; start < wanted.length; start += this.#batch) {
      void this.#load(wanted.slice(start, start + this.#batch));
    }
  }

  async #load(turns: TurnId[]): Promise<void> {
    for (const turn of turns) this.#fetching.add(turn);
    try {
      for (const turn of await this.#fetch(turns)) this.put(turn);
    } catch {
      for (const turn of turns) this.failed.add(turn);
    } finally {
      for (const turn of turns) this.#fetching.delete(turn);
    }
  }
}
