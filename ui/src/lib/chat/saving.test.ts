import { beforeEach, describe, expect, it } from 'vitest';
import type { GagTrace } from '../bindings';
import { setLanguage } from '../i18n';
import { savingWords } from './saving';
import { answerOf, gagAnswer } from './scripted';

beforeEach(() => setLanguage('en'));

const rag = (tokens: number) => answerOf('rag', 'Here.', { usage: { tokens_read: tokens, tokens_written: 9, bytes_read: 0 } });
const words = (tokens: number, trace: Partial<GagTrace> = {}) => savingWords(gagAnswer(trace), rag(tokens));

describe('what GAG spares', () => {
  it('is counted against RAG, and the expert’s own work is not kept quiet', () => {
    expect(words(412)).toBe('Reads 360 tokens fewer than RAG here; the expert itself read 31 and wrote 48.');
    expect(words(53)).toMatch(/^Reads 1 token fewer than RAG here/);
  });

  it('can be nothing, or less than nothing', () => {
    expect(words(52)).toMatch(/^Reads as many tokens as RAG here/);
    expect(words(40)).toMatch(/^Reads 12 tokens more than RAG here/);
  });

  it('names no expert where none was asked, and says when its states were kept', () => {
    expect(words(412, { route: 'general', expert_ms: 0 })).toBe('Reads 360 tokens fewer than RAG here.');
    expect(words(412, { cached: true })).toContain('had read 31 and written 48 earlier.');
    const none = { tokens_read: 0, tokens_written: 0, bytes_read: 0 };
    expect(words(412, { cached: true, expert: none })).toContain('; the expert’s states were kept from an earlier time.');
  });

  it('is not claimed without RAG on the same question, nor of another method', () => {
    expect(savingWords(gagAnswer(), null)).toBe('');
    expect(savingWords(rag(10), rag(412))).toBe('');
  });

  it('speaks German', () => {
    setLanguage('de');
    expect(words(412)).toBe('Liest hier 360 Token weniger als RAG; der Experte selbst las 31 und schrieb 48.');
  });
});
