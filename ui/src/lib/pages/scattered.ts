/** Single words that stand apart, such as the figures of a chart or the cells of a table. */
import type { Letters } from './alignment';

/** A stretch that agrees. */
export interface Match {
  /** Place in what is looked for. */
  wanted: number;
  /** Place on the page. */
  page: number;
  length: number;
}

/** Adds to `matches` the words still missing that stand on the page as whole words not yet taken, the nearest first. */
export function addWords(matches: readonly Match[], page: Letters, wanted: Letters): Match[] {
  const free = new Map<string, number[]>();
  for (const [start, end] of words(page, matches.map((match) => [match.page, match.page + match.length]))) {
    const word = page.text.slice(start, end);
    const places = free.get(word);
    if (places) places.push(start);
    else free.set(word, [start]);
  }
  const all = [...matches];
  for (const [start, end] of words(wanted, matches.map((match) => [match.wanted, match.wanted + match.length]))) {
    const places = free.get(wanted.text.slice(start, end));
    if (!places || places.length === 0) continue;
    const near = neighbour(all, start);
    let best = 0;
    places.forEach((place, index) => {
      if (Math.abs(place - near) < Math.abs(places[best]! - near)) best = index;
    });
    all.push({ wanted: start, page: places.splice(best, 1)[0]!, length: end - start });
  }
  return all.sort((a, b) => a.wanted - b.wanted);
}

/** Words of which nothing is taken. */
function words({ text, begins }: Letters, taken: [number, number][]): [number, number][] {
  const used = new Uint8Array(text.length);
  for (const [start, end] of taken) used.fill(1, start, end);
  const found: [number, number][] = [];
  for (let start = 0; start < text.length; ) {
    let end = start + 1;
    while (end < text.length && begins[end] === 0) end += 1;
    if (!used.subarray(start, end).includes(1)) found.push([start, end]);
    start = end;
  }
  return found;
}

/** Where on the page the match stands that is nearest in what is looked for. */
function neighbour(matches: readonly Match[], at: number): number {
  let nearest = matches[0];
  for (const match of matches) {
    if (!nearest || Math.abs(match.wanted - at) < Math.abs(nearest.wanted - at)) nearest = match;
  }
  return nearest?.page ?? 0;
}
