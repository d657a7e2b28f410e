import { afterEach, describe, expect, it } from 'vitest';
import { ago, bytes, duration, number, setLanguage, t } from './index';

afterEach(() => setLanguage('en'));

const plain = (text: string) => text.replace(/[\u00a0\u202f]/g, ' ');

describe('numbers and times', () => {
  it.each([
    [0.0421, '42 ms'],
    [4.25, '4.3 sec'],
    [59.6, '1 min'],
    [200, '3 min 20 sec'],
    [7500, '2 hr 5 min'],
    [90_000, '1 day 1 hr'],
    [Number.NaN, '–'],
  ])('%s seconds are %s', (seconds, words) => {
    setLanguage('en');
    expect(plain(duration(seconds))).toBe(words);
  });

  it.each([
    [0, '0 bytes'],
    [999, '999 bytes'],
    [1500, '1.5 kB'],
    [531_000_000, '531 MB'],
    [1_900_000_000, '1.9 GB'],
  ])('%s bytes are %s', (size, words) => {
    setLanguage('en');
    expect(plain(bytes(size))).toBe(words);
  });

  it('follow the language', () => {
    setLanguage('de');
    expect(number(1234.5)).toBe('1.234,5');
    expect(plain(duration(200))).toBe('3 Min. 20 Sek.');
    expect(ago(1000, 1000 + 7200)).toBe('vor 2 Std.');
  });
});

describe('messages', () => {
  it('choose the form by the count and write numbers as the language does', () => {
    setLanguage('en');
    expect(t('library.documents', { count: 1 })).toBe('1 document');
    expect(t('library.documents', { count: 12_000 })).toBe('12,000 documents');
    setLanguage('de');
    expect(t('library.documents', { count: 12_000 })).toBe('12.000 Dokumente');
  });

  it('without a text are shown by their key', () => {
    expect(t('frame.nonsense')).toBe('frame.nonsense');
  });

  it('name the language to screen readers', () => {
    setLanguage('de');
    expect(document.documentElement.lang).toBe('de');
  });
});
