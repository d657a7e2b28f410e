/**
 * Finds a skeleton in the skeleton of a page: as a whole where it stands there, else in runs.
 * Columns may come in another order, lines may be missing, single characters may differ.
 */

import { addWords, type Match } from './scattered';

/** A skeleton, and where its words begin. */
export interface Letters {
  text: string;
  begins: Uint8Array;
}

/** `[start, end)` of the page's skeleton. */
export interface Run {
  start: number;
  end: number;
}

/** Where a skeleton was found. */
export interface Alignment {
  /** In reading order of what was looked for. */
  runs: Run[];
  /** Share of its characters that were found, from 0 to 1. */
  coverage: number;
}

/** Below this share a passage counts as not found. */
export const LEAST_COVERAGE = 0.8;

/** How far around an occurrence its surroundings are compared. */
const CONTEXT = 240;
/** Shortest skeleton that is looked for in runs: a shorter one is found by chance. */
const SHORTEST_FUZZY = 16;
/** Skeletons below this length stand inside other words by chance, so surroundings must agree. */
const SHORT = 8;
/** Length of the pieces that anchor runs. */
const ANCHOR = 8;
/** Occurrences of one anchor that are tried. */
const MOST_CANDIDATES = 48;
/** Longest gap between two runs that is compared character by character. */
const GAP = 64;
/** Share that runs must cover before single words are looked for too. */
const LEAST_ANCHORED = 0.4;
/** Longest gap that is marked together with the runs beside it. */
const BRIDGED = 12;
/** Matches further apart than this on the page belong to different places. */
const APART = 160;

/** Looks for `wanted`, which stands between `before` and `after`, in `page`. All are skeletons. */
export function align(page: Letters, wanted: Letters, before: string, after: string): Alignment | null {
  const { length } = wanted.text;
  if (length === 0) return null;
  const exact = exactly(page.text, wanted.text, before, after);
  if (exact !== null) return { runs: [{ start: exact, end: exact + length }], coverage: 1 };
  return length < SHORTEST_FUZZY ? null : inRuns(page, wanted, before.length);
}

/** The occurrence whose surroundings agree best; between equals, the one at the same place in their order. */
function exactly(page: string, wanted: string, before: string, after: string): number | null {
  const found = occurrences(page, wanted);
  if (found.length === 0) return null;
  const own = occurrences(before + wanted + after, wanted);
  const ordinal = own.indexOf(before.length);
  let best = found[0]!;
  let bestScore = -1;
  found.forEach((start, index) => {
    const end = start + wanted.length;
    const near = common(page, start - 1, before, before.length - 1, -1) + common(page, end, after, 0, 1);
    // Where text moved (columns, captions), the letters right beside it differ but its
    // neighbourhood holds the same words.
    const around =
      shared(page.slice(Math.max(0, start - CONTEXT), start), before.slice(-CONTEXT)) +
      shared(page.slice(end, end + CONTEXT), after.slice(0, CONTEXT));
    const inOrder = own.length === found.length && index === ordinal ? 0.5 : 0;
    const score = near + around + inOrder;
    if (score > bestScore) {
      bestScore = score;
      best = start;
    }
  });
  const alone = before === '' && after === '';
  return wanted.length < SHORT && bestScore < 4 && !alone ? null : best;
}

function occurrences(page: string, wanted: string): number[] {
  const found: number[] = [];
  for (let at = page.indexOf(wanted); at >= 0; at = page.indexOf(wanted, at + 1)) {
    found.push(at);
    if (found.length >= 500) break;
  }
  return found;
}

/** How many characters agree from `a[i]` and `b[j]` on, in steps of `step`. */
function common(a: string, i: number, b: string, j: number, step: 1 | -1): number {
  let length = 0;
  while (length < CONTEXT && i >= 0 && j >= 0 && i < a.length && j < b.length && a[i] === b[j]) {
    length += 1;
    i += step;
    j += step;
  }
  return length;
}

/** How many five-character pieces of `a` are in `b`. */
function shared(a: string, b: string): number {
  let count = 0;
  for (let i = 0; i + 5 <= a.length; i += 5) if (b.includes(a.slice(i, i + 5))) count += 1;
  return count;
}

function inRuns(page: Letters, wanted: Letters, expected: number): Alignment | null {
  const { length } = wanted.text;
  const size = Math.min(ANCHOR, Math.max(4, Math.floor(length / 6)));
  const anchors = anchored(page.text, wanted.text, size, expected);
  let matches = together(fillGaps(anchors, page.text, wanted.text), length);
  const share = () => matches.reduce((sum, match) => sum + match.length, 0) / length;
  let coverage = share();
  if (coverage < LEAST_COVERAGE && coverage >= LEAST_ANCHORED) {
    matches = addWords(matches, page, wanted);
    coverage = share();
  }
  return coverage < LEAST_COVERAGE ? null : { runs: join(matches, page.text), coverage };
}

/** Longest agreeing runs, from left to right, each starting from an anchor of `size` characters. */
function anchored(page: string, wanted: string, size: number, expected: number): Match[] {
  const places = new Map<string, number[]>();
  for (let i = 0; i + size <= page.length; i += 1) {
    const key = page.slice(i, i + size);
    const list = places.get(key);
    if (list === undefined) places.set(key, [i]);
    else if (list.length < MOST_CANDIDATES) list.push(i);
  }
  const matches: Match[] = [];
  let at = 0;
  // Where the run before ends on the page; before the first, where our own page text has it.
  let follow = expected;
  while (at + size <= wanted.length) {
    let best: Match | null = null;
    let bestScore = -Infinity;
    for (const start of places.get(wanted.slice(at, at + size)) ?? []) {
      let length = size;
      while (at + length < wanted.length && wanted[at + length] === page[start + length]) length += 1;
      const distance = Math.abs(start - follow);
      const score = length - Math.min(size, distance / APART);
      if (score > bestScore) {
        bestScore = score;
        best = { wanted: at, page: start, length };
      }
    }
    if (best === null) {
      at += 1;
      continue;
    }
    // An anchor inside a longer run may have been missed on its left.
    const least = matches.length > 0 ? matches.at(-1)!.wanted + matches.at(-1)!.length : 0;
    while (best.wanted > least && best.page > 0 && wanted[best.wanted - 1] === page[best.page - 1]) {
      best.wanted -= 1;
      best.page -= 1;
      best.length += 1;
    }
    matches.push(best);
    at = best.wanted + best.length;
    follow = best.page + best.length;
  }
  return matches;
}

/** Between runs that follow each other on both sides, finds the characters that agree (longest common subsequence). */
function fillGaps(matches: Match[], page: string, wanted: string): Match[] {
  const filled: Match[] = [];
  const ends: Match[] = [...matches, { wanted: wanted.length, page: -1, length: 0 }];
  let previous: Match = { wanted: 0, page: -1, length: 0 };
  for (const match of ends) {
    const gapStart = previous.wanted + previous.length;
    const gapLength = match.wanted - gapStart;
    let pageStart = previous.page < 0 ? -1 : previous.page + previous.length;
    let pageEnd = match.page;
    // At either end of what is looked for, the page's text beside the run is the gap.
    if (pageStart < 0 && pageEnd >= 0) pageStart = Math.max(0, pageEnd - gapLength - 4);
    if (pageEnd < 0 && pageStart >= 0) pageEnd = Math.min(page.length, pageStart + gapLength + 4);
    const pageLength = pageEnd - pageStart;
    if (gapLength > 0 && gapLength <= GAP && pageStart >= 0 && pageLength > 0 && pageLength <= GAP) {
      filled.push(...subsequence(wanted, gapStart, gapLength, page, pageStart, pageLength));
    }
    if (match.length > 0) filled.push(match);
    previous = match;
  }
  return filled;
}

function subsequence(a: string, aStart: number, n: number, b: string, bStart: number, m: number): Match[] {
  const width = m + 1;
  const table = new Uint8Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let j = m - 1; j >= 0; j -= 1) {
      table[i * width + j] =
        a[aStart + i] === b[bStart + j]
          ? table[(i + 1) * width + j + 1]! + 1
          : Math.max(table[(i + 1) * width + j]!, table[i * width + j + 1]!);
    }
  }
  // Scattered letters agree by chance: below half, the gap holds something else.
  if (table[0]! * 2 < n) return [];
  const matches: Match[] = [];
  let i = 0;
  let j = 0;
  while (i < n && j < m) {
    if (a[aStart + i] === b[bStart + j]) {
      const last = matches.at(-1);
      if (last && last.wanted + last.length === aStart + i && last.page + last.length === bStart + j) last.length += 1;
      else matches.push({ wanted: aStart + i, page: bStart + j, length: 1 });
      i += 1;
      j += 1;
    } else if (table[(i + 1) * width + j]! >= table[i * width + j + 1]!) i += 1;
    else j += 1;
  }
  return matches;
}

/** Drops what stands away from the rest and is too little to be more than chance. */
function together(matches: Match[], length: number): Match[] {
  const sorted = [...matches].sort((a, b) => a.page - b.page);
  const kept = new Set<Match>();
  let cluster: Match[] = [];
  let end = 0;
  const close = () => {
    const size = cluster.reduce((sum, match) => sum + match.length, 0);
    if (size >= Math.max(10, length * 0.04)) cluster.forEach((match) => kept.add(match));
    cluster = [];
  };
  for (const match of sorted) {
    if (cluster.length > 0 && match.page - end > APART) close();
    cluster.push(match);
    end = Math.max(end, match.page + match.length);
  }
  close();
  return matches.filter((match) => kept.has(match));
}

/** Runs on the page. Small gaps between neighbours are closed, unless something else was found in them. */
function join(matches: Match[], page: string): Run[] {
  const taken = new Uint8Array(page.length);
  for (const match of matches) taken.fill(1, match.page, match.page + match.length);
  const runs: Run[] = [];
  for (const match of matches) {
    const last = runs.at(-1);
    const gap = last ? match.page - last.end : -1;
    if (last && gap >= 0 && gap <= BRIDGED && !taken.subarray(last.end, match.page).includes(1)) {
      last.end = match.page + match.length;
    } else runs.push({ start: match.page, end: match.page + match.length });
  }
  return runs;
}
