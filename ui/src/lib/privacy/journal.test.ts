import { expect, it } from 'vitest';
import { filterJournal, numbered } from './journal';

const entry = (change: string, path: string) => ({ happened_at: 1, when: '', change, path });
const entries = [entry('removed', '/Papers/Valve 2.pdf'), entry('added', '/papers/valve.pdf'), entry('added', '/b.pdf')];

it('filters by every word, whatever its case, and by change', () => {
  const found = (query: string, change: string) => filterJournal(numbered(entries), query, change).map(({ entry }) => entry.path);
  expect(found('', 'all')).toHaveLength(3);
  expect(found('PAPERS valve', 'all')).toEqual(['/Papers/Valve 2.pdf', '/papers/valve.pdf']);
  expect(found('valve', 'added')).toEqual(['/papers/valve.pdf']);
  expect(found('', 'missing')).toEqual([]);
});

it('numbers stay when something newer comes', () => {
  const before = numbered(entries);
  const after = numbered([entry('failed', '/c.pdf'), ...entries]);
  expect(after.slice(1)).toEqual(before);
});
