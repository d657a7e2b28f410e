/**
 * Rust counts characters (Unicode code points), JavaScript counts UTF-16 units: an emoji is one
 * character there and two units here. Everything that arrives as a character offset goes
 * through this file once.
 */

const SURROGATE = /[\ud800-\udbff][\udc00-\udfff]/;

/** A function from a character offset in `text` to the offset of the same place in UTF-16 units. */
export function unitOffsets(text: string): (character: number) => number {
  if (!SURROGATE.test(text)) return (character) => Math.max(0, Math.min(character, text.length));
  const offsets: number[] = [];
  let unit = 0;
  for (const character of text) {
    offsets.push(unit);
    unit += character.length;
  }
  return (character) => (character < 0 ? 0 : (offsets[character] ?? text.length));
}

/** The part of `text` from character `start` up to, not including, character `end`. */
export function sliceCharacters(text: string, start: number, end: number): string {
  const at = unitOffsets(text);
  return text.slice(at(start), at(end));
}
