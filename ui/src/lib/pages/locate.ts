/**
 * Finds a passage of our page text among the text items that pdf.js draws.
 *
 * Our text is normalised (ligatures, hyphens, running heads, the order of columns), so both
 * sides are compared by their skeletons, and every position of a skeleton knows where it came from.
 */
import { align } from './alignment';
import { cut, skeleton, type Kept, type Skeleton } from './skeleton';

/** A run of text on a page, as pdf.js's `getTextContent` gives it. */
export interface TextItem {
  /** Its characters in reading order. */
  str: string;
  /** Text space to the page's user space: `[a, b, c, d, e, f]`. */
  transform: number[];
  /** Extent along the line, in units of the page's user space. */
  width: number;
  /** Height of the font (in vertical writing, the extent down the column), in the same units. */
  height: number;
  /** Whether a line ends after it. */
  hasEOL: boolean;
  /** Direction: `ltr`, `rtl` or `ttb`. */
  dir?: string;
  /** Key into the page's styles. */
  fontName?: string;
}

/** Characters (Unicode code points) `[start, end)` of a page's normalised text. */
export interface Span {
  start: number;
  end: number;
}

/** UTF-16 units `[start, end)` of an item's `str`. */
export interface ItemPart {
  item: number;
  start: number;
  end: number;
}

/** Where a passage stands. */
export interface Location {
  /** Parts of items, in the passage's reading order. */
  parts: ItemPart[];
  /** Share of the passage's letters and digits that were found: 1 for an exact match, at least 0.8 otherwise. */
  coverage: number;
}

/** The parts of `items` that show `span` of `pageText`, or `null` if they are not on this page. */
export function locate(items: readonly TextItem[], pageText: string, span: Span): Location | null {
  const [before, inside, after] = cut(pageText, span.start, span.end);
  const strings = items.map((item) => item.str);
  // A formula may have no letter at all; then every sign counts.
  const kept: Kept = skeleton([inside], 'letters').text.length > 1 ? 'letters' : 'ink';
  const page = skeleton(strings, kept);
  const wanted = skeleton([inside], kept);
  const alignment = align(page, wanted, skeleton([before], kept).text, skeleton([after], kept).text);
  if (alignment === null) return null;
  const parts = alignment.runs.flatMap((run) => partsOf(page, run.start, run.end));
  const first = parts[0];
  const last = parts.at(-1);
  if (first) first.start = withSigns(strings[first.item]!, first.start, -1, signs(inside, /^[^\p{L}\p{N}\s]*/u));
  if (last) last.end = withSigns(strings[last.item]!, last.end, 1, signs(inside, /[^\p{L}\p{N}\s]*$/u));
  return { parts, coverage: alignment.coverage };
}

function partsOf(page: Skeleton, start: number, end: number): ItemPart[] {
  const parts: ItemPart[] = [];
  for (let i = start; i < end; i += 1) {
    const item = page.piece[i]!;
    const last = parts.at(-1);
    if (last && last.item === item) last.end = Math.max(last.end, page.to[i]!);
    else parts.push({ item, start: page.from[i]!, end: page.to[i]! });
  }
  return parts;
}

/** How many signs a text begins or ends with. */
function signs(text: string, where: RegExp): number {
  return where.exec(text.trim())?.[0].length ?? 0;
}

/** Moves an edge over signs that belong to the passage, such as quotes and full stops. */
function withSigns(text: string, edge: number, step: 1 | -1, most: number): number {
  for (let moved = 0; moved < most; moved += 1) {
    const next = text[step === 1 ? edge : edge - 1];
    if (next === undefined || /[\p{L}\p{N}\s]/u.test(next)) break;
    edge += step;
  }
  return edge;
}
