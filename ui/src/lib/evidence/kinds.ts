/** What stands behind an answer, sorted for showing. */
import type { Answer, GagTrace, IagTrace, ImpragTrace, SearchHit } from '../bindings';

/** A place to open: a document's page with, perhaps, a passage on it. */
export interface Place {
  document: number;
  title: string;
  /** Counted from 1. */
  page: number;
  /** Characters of the page's text; `null` marks nothing. */
  span: { start: number; end: number } | null;
}

/** Evidence of the trained methods. */
export interface MethodEvidence {
  gag?: GagTrace | null;
  iag?: IagTrace | null;
  imprag?: ImpragTrace | null;
}

/** Where a passage got to: cited, read without being cited, or only found. */
export type Stage = 'used' | 'read' | 'found';

/** A passage with its index in [`Answer.retrieved`]. */
export interface Staged {
  index: number;
  hit: SearchHit;
  /** The number of its citation, from 1; `null` if it is not cited. */
  citation: number | null;
}

/** Every passage in the furthest stage it reached. */
export function stages(answer: Answer): Record<Stage, Staged[]> {
  const sorted: Record<Stage, Staged[]> = { used: [], read: [], found: [] };
  answer.retrieved.forEach((hit, index) => {
    const used = answer.used.indexOf(index);
    const stage: Stage = used >= 0 ? 'used' : answer.read.includes(index) ? 'read' : 'found';
    sorted[stage].push({ index, hit, citation: used >= 0 ? used + 1 : null });
  });
  sorted.used.sort((a, b) => (a.citation ?? 0) - (b.citation ?? 0));
  return sorted;
}

/** The evidence of the answer's own method, where it carries any. */
export function methodEvidence({ gag, iag, imprag }: Answer): MethodEvidence | null {
  return gag || iag || imprag ? { gag, iag, imprag } : null;
}

/** The place of a passage, or of a span in it. */
export function placeOf(hit: SearchHit, span: { page: number; start: number; end: number } = hit.passage.span): Place {
  const { document, title } = hit.passage;
  return { document, title, page: span.page, span: { start: span.start, end: span.end } };
}
