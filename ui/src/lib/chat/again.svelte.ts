/**
 * Asking again in the place of a turn. Where turns after it would go out of sight, it waits for a
 * yes (see `AgainDialog.svelte`).
 */

import type { Answer, Method } from '../bindings';
import type { Ask, ChatState, Item } from '../state/chat.svelte';
import { sameAnswer } from './evidence';

/** A turn of the chat in sight: its place, its methods, the answers it has so far. */
export interface PlacedTurn {
  item: Item;
  index: number;
  methods: Method[];
  answers: Answer[];
  blind: boolean;
}

/** The turn that an answer belongs to; `null` where it is not in sight. */
export function turnOfAnswer(chat: ChatState, answer: Answer): PlacedTurn | null {
  for (const [index, item] of chat.items.entries()) {
    const run = chat.runOf(item);
    const turn = chat.turnOf(item);
    const stored = turn === null ? undefined : chat.turns.get(turn);
    const columns = run?.columns ?? stored?.outcomes ?? [];
    const answers = columns.flatMap((column) => column.answer ?? []);
    if (!answers.some((candidate) => sameAnswer(candidate, answer))) continue;
    const methods = columns.map(({ method }) => method);
    return { item, index, methods, answers, blind: run?.blind ?? stored?.blind ?? false };
  }
  return null;
}

/** Those of the methods that can still answer; where none can, those chosen now. */
export function stillAble(chat: ChatState, methods: Method[]): Method[] {
  const able = methods.filter((method) => chat.asking.ready.includes(method));
  return able.length > 0 ? able : chat.asking.methods;
}

/** How many turns follow the one at this place. */
export const turnsAfter = (chat: ChatState, index: number): number => chat.items.length - 1 - index;

export class Again {
  readonly #chat: ChatState;
  /** Asking that waits for a yes, and how many turns it would put out of sight. */
  waiting = $state.raw<{ ask: Ask; after: number } | null>(null);

  constructor(chat: ChatState) {
    this.#chat = chat;
  }

  /** Asks, or waits for a yes. */
  ask(ask: Ask, after: number): void {
    if (after > 0) this.waiting = { ask, after };
    else this.send(ask);
  }

  /** Asks the question of a turn again in its place, by the same methods, but in another way. */
  differently(turn: PlacedTurn, question: string, way: Pick<Ask, 'route' | 'imagine'>): void {
    const methods = stillAble(this.#chat, turn.methods);
    const ask: Ask = {
      question,
      methods,
      blind: turn.blind && methods.length > 1,
      abstain: this.#chat.asking.abstain,
      replaces: this.#chat.turnOf(turn.item),
      ...way,
    };
    this.ask(ask, turnsAfter(this.#chat, turn.index));
  }

  send(ask: Ask): void {
    void this.#chat.ask(ask);
  }
}
