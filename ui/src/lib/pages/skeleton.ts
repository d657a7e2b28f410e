/**
 * The part of a text that survives typesetting: letters and digits, without case, accents,
 * ligatures, hyphens, spaces and punctuation. Two renderings of the same sentence have the same
 * skeleton, whatever was done to their line ends.
 */

/** What is kept: letters and digits, or (for formulas and signs) everything that leaves ink. */
export type Kept = 'letters' | 'ink';

/** A skeleton with the way back. Position `i` of `text` came from `[from[i], to[i])` of piece `piece[i]`. */
export interface Skeleton {
  text: string;
  /** For each position, the index of the piece it came from. */
  piece: Uint32Array;
  /** For each position, the first UTF-16 unit of its character in that piece. */
  from: Uint32Array;
  /** One past the last UTF-16 unit of its character. */
  to: Uint32Array;
  /** For each position, 1 where a word begins: at a piece's start and after white space. */
  begins: Uint8Array;
}

const LETTER = /[\p{L}\p{N}]/u;
const SPACE = /\s/;
const INK = /[^\p{Z}\p{C}\p{M}]/u;

/** Folds that Unicode decomposition does not know and typesetting needs. */
const FOLDS = new Map<string, string>([
  ['ς', 'σ'],
  ['ı', 'i'],
  ['ȷ', 'j'],
  ['ß', 'ss'],
  ['æ', 'ae'],
  ['œ', 'oe'],
]);

// Text repeats its characters: folding each different one once makes a page cheap.
const folded: Record<Kept, Map<string, string>> = { letters: new Map(), ink: new Map() };
const CACHE_LIMIT = 20_000;

function fold(character: string, kept: Kept): string {
  const cache = folded[kept];
  const known = cache.get(character);
  if (known !== undefined) return known;
  const keep = kept === 'letters' ? LETTER : INK;
  let result = '';
  // Decomposed rather than composed: an accent drawn as a glyph of its own then drops out on
  // both sides, and `é` meets `e`.
  for (const part of character.normalize('NFKD').toLowerCase().normalize('NFKD')) {
    if (keep.test(part)) result += FOLDS.get(part) ?? part;
  }
  if (cache.size >= CACHE_LIMIT) cache.clear();
  cache.set(character, result);
  return result;
}

/** The skeleton of pieces of text read one after the other. */
export function skeleton(pieces: readonly string[], kept: Kept): Skeleton {
  const text: string[] = [];
  const piece: number[] = [];
  const from: number[] = [];
  const to: number[] = [];
  const begins: number[] = [];
  pieces.forEach((string, index) => {
    let unit = 0;
    let begin = 1;
    for (const character of string) {
      const next = unit + character.length;
      const letters = fold(character, kept);
      if (letters !== '') {
        text.push(letters);
        for (let i = 0; i < letters.length; i += 1) {
          piece.push(index);
          from.push(unit);
          to.push(next);
          begins.push(begin);
          begin = 0;
        }
      } else if (SPACE.test(character)) begin = 1;
      unit = next;
    }
  });
  return {
    text: text.join(''),
    piece: Uint32Array.from(piece),
    from: Uint32Array.from(from),
    to: Uint32Array.from(to),
    begins: Uint8Array.from(begins),
  };
}

/** A text cut at two of its characters (Unicode code points): before, inside and after `[start, end)`. */
export function cut(text: string, start: number, end: number): [string, string, string] {
  let characters = 0;
  let unit = 0;
  let first = text.length;
  let last = text.length;
  for (const character of text) {
    if (characters === start) first = unit;
    if (characters === end) {
      last = unit;
      break;
    }
    characters += 1;
    unit += character.length;
  }
  first = Math.min(first, last);
  return [text.slice(0, first), text.slice(first, last), text.slice(last)];
}
