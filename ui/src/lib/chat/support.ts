/** Lays the sentences of an answer, with what supports each, over its text. */

import type { Answer, AnswerSentence, PageSpan, Support } from '../bindings';
import { unitOffsets } from './characters';
import { blocksOf, type Block, type Run } from './markup';

/** A stretch of a block that belongs to one sentence, or to none. */
export interface Piece {
  runs: Run[];
  /** Index into the answer's sentences; `null` for what stands between sentences. */
  sentence: number | null;
  /** Whether the sentence ends here: its mark is shown after this piece. */
  last: boolean;
}

/** A block cut into pieces. */
export interface MarkedBlock {
  kind: Block['kind'];
  marker: string | null;
  pieces: Piece[];
}

/** A passage and the span of it that supports a sentence: what the evidence panel shows. */
export interface Selection {
  /** Index into [`Answer.retrieved`]. */
  passage: number;
  span: PageSpan;
}

/** Blocks of `text` cut at the borders of `sentences` (offsets in characters). */
export function markedBlocks(text: string, sentences: readonly AnswerSentence[] = []): MarkedBlock[] {
  const at = unitOffsets(text);
  const spans = sentences.map(({ start, end }) => ({ start: at(start), end: at(end) }));
  const blocks = blocksOf(text).map(({ kind, marker, runs }) => ({ kind, marker, pieces: cut(runs, spans) }));
  // A sentence may run over several blocks; its mark belongs to the end of its last piece.
  const seen = new Set<number>();
  for (const block of blocks.toReversed()) {
    for (const piece of block.pieces.toReversed()) {
      if (piece.sentence === null || seen.has(piece.sentence)) continue;
      seen.add(piece.sentence);
      piece.last = true;
    }
  }
  return blocks;
}

function cut(runs: Run[], spans: { start: number; end: number }[]): Piece[] {
  const pieces: Piece[] = [];
  const add = (run: Run, sentence: number | null) => {
    const open = pieces.at(-1);
    if (open && open.sentence === sentence) open.runs.push(run);
    else pieces.push({ runs: [run], sentence, last: false });
  };
  for (const run of runs) {
    let position = run.start;
    const part = (end: number): Run => ({
      start: position,
      end,
      text: run.text.slice(position - run.start, end - run.start),
      style: run.style,
    });
    spans.forEach((span, index) => {
      const start = Math.max(span.start, position);
      const end = Math.min(span.end, run.end);
      if (start >= end) return;
      if (start > position) add(part(start), null);
      position = start;
      add(part(end), index);
      position = end;
    });
    if (position < run.end) add(part(run.end), null);
  }
  return pieces;
}

/** The number of a citation: the place of its passage among those that are used, from 1. */
export function citationNumber(answer: Pick<Answer, 'used'>, support: Support): number | null {
  const index = answer.used.indexOf(support.passage);
  return index < 0 ? null : index + 1;
}

/** How many of an answer's sentences are supported. */
export function supportShare(answer: Pick<Answer, 'sentences'>): { supported: number; total: number } {
  return { supported: answer.sentences.filter(({ support }) => support).length, total: answer.sentences.length };
}

/** What to show first in the evidence panel: the best supported sentence's passage, else the first that was read. */
export function firstSelection(answer: Answer): Selection | null {
  const support = answer.sentences.find((sentence) => sentence.support)?.support;
  if (support) return { passage: support.passage, span: support.span };
  const passage = answer.used[0] ?? answer.read[0] ?? (answer.retrieved.length > 0 ? 0 : undefined);
  const hit = passage === undefined ? undefined : answer.retrieved[passage];
  return passage === undefined || !hit ? null : { passage, span: hit.passage.span };
}
