import type { JournalEntry } from '../bindings';

/** What can happen to a file, in the order in which it is offered. */
export const CHANGES = ['added', 'updated', 'removed', 'missing', 'failed'] as const;

/** An entry with a number that stays the same when newer entries are put before it. */
export interface JournalLine {
  number: number;
  entry: JournalEntry;
}

/** The entries, newest first as they come, counted from the oldest. */
export function numbered(entries: JournalEntry[]): JournalLine[] {
  return entries.map((entry, index) => ({ number: entries.length - index, entry }));
}

/** The lines whose path contains every word of `query`, and whose change is `change` or `all`. */
export function filterJournal(lines: JournalLine[], query: string, change: string): JournalLine[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return lines.filter(({ entry }) => {
    if (change !== 'all' && entry.change !== change) return false;
    const path = entry.path.toLowerCase();
    return words.every((word) => path.includes(word));
  });
}
