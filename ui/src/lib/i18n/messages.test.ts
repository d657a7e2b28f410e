import { describe, expect, it } from 'vitest';
import { areas, hasMessage } from './index';

const sources = import.meta.glob<string>(['../../**/*.svelte', '../../**/*.ts', '!../../**/*.test.ts', '!./messages/*'], {
  eager: true,
  query: '?raw',
  import: 'default',
});

const placeholders = (message: string) => [...message.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

describe.each(Object.keys({ ...areas.en, ...areas.de }))('the messages of %s', (area) => {
  const en = areas.en[area] ?? {};
  const de = areas.de[area] ?? {};

  it('are the same in both languages', () => {
    expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  });

  it('take the same values in both languages', () => {
    for (const key of Object.keys(en)) expect(placeholders(de[key] ?? ''), key).toEqual(placeholders(en[key] ?? ''));
  });

  it('are not empty and begin with their area', () => {
    for (const [key, message] of [...Object.entries(en), ...Object.entries(de)]) {
      expect(message.trim(), key).not.toBe('');
      expect(key.startsWith(`${area}.`), key).toBe(true);
    }
  });
});

describe('the source', () => {
  it('was found', () => {
    expect(Object.keys(sources).length).toBeGreaterThan(20);
  });

  it('asks only for messages that exist', () => {
    const missing: string[] = [];
    for (const [path, source] of Object.entries(sources)) {
      for (const [, key] of source.matchAll(/\bt\(\s*'([^']+)'/g)) if (!hasMessage(key ?? '')) missing.push(`${path}: ${key}`);
    }
    expect(missing).toEqual([]);
  });

  it('has no inline style, which the content security policy would refuse', () => {
    const styled = Object.entries(sources).filter(([, source]) => /<[a-z][^>]*\sstyle\s*=/.test(source.replace(/<!--[\s\S]*?-->/g, '')));
    expect(styled.map(([path]) => path)).toEqual([]);
  });
});
