/** What the evidence panel is asked to show. */

import type { Answer } from '../bindings';
import type { EvidenceTarget } from '../state/app.svelte';
import { firstSelection, type Selection } from './support';

/** The evidence of a sentence; without one, of the whole answer. */
export function evidenceOf(answer: Answer, sentence: number | null = null): EvidenceTarget {
  const support = sentence === null ? null : (answer.sentences[sentence]?.support ?? null);
  const selection: Selection | null = support ? { passage: support.passage, span: support.span } : firstSelection(answer);
  const passage = selection ? answer.retrieved[selection.passage]?.passage : undefined;
  return {
    place:
      selection && passage
        ? { document: support?.document ?? passage.document, title: passage.title, page: selection.span.page, span: selection.span }
        : null,
    answer,
    sentence: support ? sentence : null,
  };
}

/** Whether two answers are the same one: a stored answer is another object each time it is read. */
export function sameAnswer(one: Answer | null | undefined, other: Answer | null | undefined): boolean {
  if (!one || !other) return false;
  return one === other || (one.id !== null && one.id === other.id && one.method === other.method);
}
