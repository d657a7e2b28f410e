/** The methods, their order, and what is chosen to answer. */

import type { IagMode, Method, MethodStatus } from '../bindings';

/** All methods in the order they are shown. */
export const METHODS: readonly Method[] = ['none', 'rag', 'gag', 'iag', 'imprag'];

/** What the composer asks: one method, or several side by side. */
export type Choice = Method | 'compare';

/** The choices in the order of their shortcuts Alt+1 to Alt+6. */
export const CHOICES: readonly Choice[] = ['rag', 'gag', 'iag', 'imprag', 'none', 'compare'];

/** What IAG can put into its prompt, its usual way first. */
export const IMAGINED: readonly IagMode[] = ['own_document', 'closed_book', 'retrieved'];

/** The order in which methods are shown, whatever order they come in. */
export function inOrder(methods: Iterable<Method>): Method[] {
  const wanted = new Set(methods);
  return METHODS.filter((method) => wanted.has(method));
}

/** The methods that can answer now. */
export function readyMethods(statuses: readonly MethodStatus[]): Method[] {
  return inOrder(statuses.filter(({ state }) => state === 'ready').map(({ method }) => method));
}
