/** From a passage to what is painted over its page. */
import { locate, type Span, type TextItem } from './locate';
import { rectangles, type TextStyle } from './rectangles';

/** A mark in shares of the page's width and height, so that it holds at every zoom. */
export interface Mark {
  left: number;
  top: number;
  width: number;
  height: number;
  /** Degrees clockwise about its top left corner. */
  angle: number;
}

/** The part of pdf.js's page viewport (at scale 1) that is needed. */
export interface Sheet {
  width: number;
  height: number;
  transform: number[];
}

/** Room around the letters, in points. */
const MARGIN = 1;

/** The marks of a passage, from top to bottom; empty if it is not found. `text` is what pdf.js reads from the page. */
export function marksOf(
  text: { items: readonly object[]; styles: Record<string, TextStyle> },
  sheet: Sheet,
  pageText: string,
  span: Span,
): Mark[] {
  const items = text.items.filter((item): item is TextItem => 'str' in item);
  const location = locate(items, pageText, span);
  if (location === null) return [];
  return rectangles(items, location.parts, sheet.transform, text.styles)
    .map(({ left, top, width, height, angle }) => ({
      left: (left - MARGIN) / sheet.width,
      top: (top - MARGIN) / sheet.height,
      width: (width + 2 * MARGIN) / sheet.width,
      height: (height + 2 * MARGIN) / sheet.height,
      angle,
    }))
    .sort((a, b) => a.top - b.top || a.left - b.left);
}
