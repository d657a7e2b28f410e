/**
 * The order of the answers while their names are hidden. It is worked out from the turn's id,
 * so that a turn looks the same each time it is opened, and two turns look different.
 */

import type { Method } from '../bindings';

/** A small generator with a full period over 32 bits (mulberry32). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** `methods` shuffled (Fisher and Yates) by the turn's id. */
export function blindOrder(turn: number, methods: readonly Method[]): Method[] {
  const next = generator(turn);
  const order = [...methods];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(next() * (last + 1));
    const method = order[last] as Method;
    order[last] = order[other] as Method;
    order[other] = method;
  }
  return order;
}

/** The letter that an answer goes by while names are hidden: A, B, C, ... */
export function letter(position: number): string {
  return String.fromCharCode(65 + position);
}
