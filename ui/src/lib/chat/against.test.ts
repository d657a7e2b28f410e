import { beforeEach, describe, expect, it } from 'vitest';
import type { IagTrace } from '../bindings';
import { setLanguage } from '../i18n';
import { againstWords } from './against';
import { answerOf, iagAnswer } from './scripted';

beforeEach(() => setLanguage('en'));

const timings = (total_ms: number) => ({ queue_ms: 0, search_ms: 0, prefill_ms: 1, first_token_ms: 1, decode_ms: 1, total_ms });
const words = (total: number, trace: Partial<IagTrace> = {}) => againstWords(iagAnswer(trace), answerOf('rag', 'Here.', { timings: timings(total) }));

describe('IAG against RAG', () => {
  it('is timed end to end, and counts the tokens of all its models', () => {
    expect(words(1800)).toBe(
      '4 times as fast as RAG here, imagining included; its models together read 49 and wrote 15 tokens, RAG 576 and 17.',
    );
  });

  it('can be slower, or as fast', () => {
    expect(words(180)).toMatch(/^Takes 2\.5 times as long as RAG here/);
    expect(words(440)).toMatch(/^As fast as RAG here/);
  });

  it('counts nothing for a document that was kept, and says so', () => {
    expect(words(900, { cached: true })).toMatch(/with a document kept from an earlier time; .* read 28 and wrote 6 tokens/);
  });

  it('does not speak of imagining where nothing was imagined', () => {
    expect(words(900, { mode: 'retrieved' })).not.toMatch(/imagin/);
    expect(words(900, { mode: 'closed_book' })).not.toMatch(/imagin/);
  });

  it('is not claimed without RAG on the same question, nor of another method', () => {
    expect(againstWords(iagAnswer(), null)).toBe('');
    expect(againstWords(answerOf('rag', 'Here.'), answerOf('rag', 'Here.'))).toBe('');
    expect(words(0)).toBe('');
  });
});
