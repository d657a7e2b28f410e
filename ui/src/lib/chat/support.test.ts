import { describe, expect, it } from 'vitest';
import type { AnswerSentence } from '../bindings';
import { sliceCharacters, unitOffsets } from './characters';
import { blocksOf } from './markup';
import { answerOf } from './scripted';
import { citationNumber, firstSelection, markedBlocks, supportShare, type MarkedBlock } from './support';

const sentence = (start: number, end: number, passage: number | null = null): AnswerSentence => ({
  start,
  end,
  support: passage === null ? null : { passage, document: 1, span: { page: 1, start: 0, end: 1 }, score: 1 },
});

/** Each piece as `sentence:text`, a `|` where the mark of the sentence stands. */
const shown = (blocks: MarkedBlock[]) =>
  blocks.map(({ pieces }) =>
    pieces.map(({ runs, sentence, last }) => `${sentence ?? '-'}:${runs.map(({ text }) => text).join('')}${last ? '|' : ''}`),
  );

describe('characters', () => {
  it('counts code points, not UTF-16 units', () => {
    const text = 'a😀b𝄞c';
    expect([0, 1, 2, 3, 4, 5].map(unitOffsets(text))).toEqual([0, 1, 3, 4, 6, 7]);
    expect(sliceCharacters(text, 1, 4)).toBe('😀b𝄞');
  });

  it('keeps offsets outside the text within it', () => {
    for (const text of ['plain', 'a😀']) {
      expect(unitOffsets(text)(-3)).toBe(0);
      expect(unitOffsets(text)(99)).toBe(text.length);
    }
  });
});

describe('marked blocks', () => {
  it('puts sentences after characters beyond the basic plane in the right place', () => {
    const text = '🌱🌱 seeds. Keep 🔑 dry. End.';
    const blocks = markedBlocks(text, [sentence(0, 9, 0), sentence(10, 21), sentence(22, 26, 1)]);
    expect(shown(blocks)).toEqual([['0:🌱🌱 seeds.|', '-: ', '1:Keep 🔑 dry.|', '-: ', '2:End.|']]);
  });

  it('cuts a sentence at styles and marks its end once', () => {
    const blocks = markedBlocks('It is **very dry** there. `x`', [sentence(0, 25, 0)]);
    expect(shown(blocks)).toEqual([['0:It is very dry there.|', '-: x']]);
    expect(blocks[0]?.pieces[0]?.runs.map(({ style }) => style)).toEqual(['plain', 'strong', 'plain']);
  });

  it('marks a sentence over several blocks at its last', () => {
    const text = 'Three things:\n- one\n- two.';
    expect(shown(markedBlocks(text, [sentence(0, text.length)]))).toEqual([['0:Three things:'], ['0:one'], ['0:two.|']]);
  });

  it('leaves text without sentences whole', () => {
    expect(shown(markedBlocks('One. Two.\n\nThree.'))).toEqual([['-:One. Two.'], ['-:Three.']]);
    expect(markedBlocks('')).toEqual([]);
  });

  it('survives sentences that overlap or lie outside', () => {
    expect(shown(markedBlocks('abcdef', [sentence(0, 4), sentence(2, 99), sentence(50, 60)]))).toEqual([['0:abcd|', '1:ef|']]);
  });
});

describe('markup', () => {
  it('reads headings, lists and code, and keeps their places', () => {
    const text = '# Key\ntext *so*\nmore\n\n1. one\n2) two\n```rust\nlet **a** = 1;\n```\n* dot';
    const blocks = blocksOf(text);
    expect(blocks.map(({ kind, marker }) => [kind, marker])).toEqual([
      ['heading', null],
      ['paragraph', null],
      ['item', '1.'],
      ['item', '2)'],
      ['code', null],
      ['item', '•'],
    ]);
    for (const { runs } of blocks) for (const run of runs) expect(text.slice(run.start, run.end)).toBe(run.text);
    expect(blocks[4]?.runs[0]?.text).toBe('let **a** = 1;');
  });

  it('leaves stars alone that style nothing, and never makes elements of HTML', () => {
    const text = '2 * 3 * 4 and a*b*c <b>x</b> **';
    expect(blocksOf(text)[0]?.runs).toEqual([{ start: 0, end: text.length, text, style: 'plain' }]);
  });

  it('shows code that is not closed yet, as it streams', () => {
    expect(blocksOf('```\nlet a').map(({ kind, runs }) => [kind, runs[0]?.text])).toEqual([['code', 'let a']]);
    expect(blocksOf('```').map(({ runs }) => runs[0]?.text)).toEqual(['']);
  });
});

describe('citations', () => {
  it('are numbered by their place among the passages used', () => {
    const answer = answerOf('rag', 'x', { used: [4, 1] });
    const support = { passage: 1, document: 1, span: { page: 1, start: 0, end: 1 }, score: 1 };
    expect(citationNumber(answer, support)).toBe(2);
    expect(citationNumber(answer, { ...support, passage: 0 })).toBeNull();
  });

  it('count what is supported', () => {
    expect(supportShare({ sentences: [sentence(0, 1, 0), sentence(1, 2), sentence(2, 3, 0)] })).toEqual({ supported: 2, total: 3 });
  });

  it('choose what the evidence panel shows first', () => {
    const answer = answerOf('rag', 'x');
    expect(firstSelection(answer)).toEqual({ passage: 1, span: { page: 12, start: 3, end: 20 } });
    expect(firstSelection({ ...answer, sentences: [], used: [], read: [] })?.passage).toBe(0);
    expect(firstSelection({ ...answer, sentences: [], used: [], read: [], retrieved: [] })).toBeNull();
  });
});
