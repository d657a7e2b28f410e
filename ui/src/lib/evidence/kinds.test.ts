import { describe, expect, it } from 'vitest';
import { answerOf, iagAnswer, passage } from '../chat/scripted';
import { methodEvidence, placeOf, stages } from './kinds';

describe('stages', () => {
  it('puts each passage into the furthest stage it reached, cited ones by their number', () => {
    const answer = answerOf('rag', 'An answer.', {
      retrieved: [0, 1, 2, 3, 4].map((index) => passage(index)),
      read: [0, 1, 3],
      used: [3, 0],
    });
    const sorted = stages(answer);
    expect(sorted.used.map(({ index, citation }) => [index, citation])).toEqual([[3, 1], [0, 2]]);
    expect(sorted.read.map(({ index, citation }) => [index, citation])).toEqual([[1, null]]);
    expect(sorted.found.map(({ index }) => index)).toEqual([2, 4]);
  });

  it('loses no passage and shows none twice, even where the lists disagree', () => {
    const answer = answerOf('rag', 'An answer.', { retrieved: [passage(0), passage(1)], read: [], used: [1, 1, 7] });
    const all = Object.values(stages(answer)).flat();
    expect(all.map(({ index }) => index).sort()).toEqual([0, 1]);
  });
});

describe('method evidence', () => {
  it('is absent until an answer carries it', () => {
    expect(methodEvidence(answerOf('rag', 'An answer.'))).toBeNull();
    expect(methodEvidence(iagAnswer({ document: 'Made up.' }))?.iag?.document).toBe('Made up.');
  });
});

describe('places', () => {
  it('are those of the passage, or of a span in it', () => {
    expect(placeOf(passage(0, 'Letter', 4))).toEqual({ document: 7, title: 'Letter', page: 4, span: { start: 0, end: 40 } });
    expect(placeOf(passage(0, 'Letter', 4), { page: 4, start: 5, end: 9 }).span).toEqual({ start: 5, end: 9 });
  });
});
