/**
 * The little Markdown that models write: paragraphs, headings, lists, code, bold and italics.
 * Nothing is turned into HTML: a component renders these blocks as elements with text in them.
 * Offsets are UTF-16 units of the whole text, so that sentences can be laid over the result.
 */

/** A stretch of text in one style. */
export interface Run {
  start: number;
  end: number;
  text: string;
  style: 'plain' | 'strong' | 'emphasis' | 'code';
}

/** A paragraph, a heading, an item of a list, or a block of code. */
export interface Block {
  kind: 'paragraph' | 'heading' | 'item' | 'code';
  /** For an item: its number or `•`; for a heading nothing. */
  marker: string | null;
  runs: Run[];
}

const INLINE = /`([^`\n]+)`|\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*|(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])/g;
const ITEM = /^\s{0,6}(?:([-*•])|(\d{1,3}[.)]))\s+/;
const HEADING = /^#{1,6}\s+/;
const FENCE = /^\s{0,3}(```|~~~)/;

/** The styled runs of `text.slice(start, end)`. */
function inline(text: string, start: number, end: number): Run[] {
  const runs: Run[] = [];
  const part = text.slice(start, end);
  let done = 0;
  const plain = (from: number, to: number) => {
    if (to > from) runs.push({ start: start + from, end: start + to, text: part.slice(from, to), style: 'plain' });
  };
  for (const match of part.matchAll(INLINE)) {
    const inner = match[1] ?? match[2] ?? match[3] ?? '';
    const lead = match[2] === undefined ? 1 : 2;
    const style = match[1] !== undefined ? 'code' : match[2] !== undefined ? 'strong' : 'emphasis';
    plain(done, match.index);
    const from = start + match.index + lead;
    runs.push({ start: from, end: from + inner.length, text: inner, style });
    done = match.index + match[0].length;
  }
  plain(done, part.length);
  return runs;
}

/** Reads `text` as blocks. Every character that is shown keeps its place in `text`. */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let open = null as { kind: Block['kind']; marker: string | null; start: number; end: number } | null;
  let fence = null as { mark: string; start: number; end: number } | null;
  const close = () => {
    if (open) blocks.push({ kind: open.kind, marker: open.marker, runs: inline(text, open.start, open.end) });
    open = null;
  };
  const closeFence = () => {
    if (fence) {
      const { start, end } = fence;
      blocks.push({ kind: 'code', marker: null, runs: [{ start, end, text: text.slice(start, end), style: 'plain' }] });
    }
    fence = null;
  };

  let start = 0;
  while (start <= text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end);
    const mark = FENCE.exec(line)?.[1];
    const item = ITEM.exec(line);
    const heading = HEADING.exec(line);
    if (fence) {
      if (mark === fence.mark) closeFence();
      else fence.end = end;
    } else if (mark) {
      close();
      fence = { mark, start: Math.min(end + 1, text.length), end: Math.min(end + 1, text.length) };
    } else if (line.trim() === '') {
      close();
    } else if (item) {
      close();
      open = { kind: 'item', marker: item[2] ?? '•', start: start + item[0].length, end };
    } else if (heading) {
      close();
      open = { kind: 'heading', marker: null, start: start + heading[0].length, end };
      close();
    } else if (open) {
      open.end = end;
    } else {
      open = { kind: 'paragraph', marker: null, start, end };
    }
    start = end + 1;
  }
  closeFence();
  close();
  return blocks;
}
