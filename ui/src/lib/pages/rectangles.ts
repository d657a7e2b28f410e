/** Turns parts of text items into rectangles on the drawn page, one per line of text. */
import type { ItemPart, TextItem } from './locate';

/** What pdf.js tells about a font. */
export interface TextStyle {
  /** Height above the baseline, in font heights. */
  ascent: number;
  /** Depth below it, in font heights; negative. */
  descent: number;
  /** Whether lines run from top to bottom. */
  vertical: boolean;
}

/** A rectangle in viewport units (CSS pixels at the viewport's scale), turned by `angle` degrees clockwise about its top left corner. */
export interface Rectangle {
  left: number;
  top: number;
  width: number;
  height: number;
  angle: number;
}

/** `[a, b, c, d, e, f]`: x' = a x + c y + e, y' = b x + d y + f. */
type Matrix = readonly number[];

/** A box in the frame of its line: x along the line, y down from it, turned by `angle` degrees. */
interface Box {
  angle: number;
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const DEFAULT_ASCENT = 0.85;
const DEFAULT_DESCENT = -0.22;

/** Rectangles for `parts` of `items`, on a page drawn with the viewport transform `viewport`. */
export function rectangles(
  items: readonly TextItem[],
  parts: readonly ItemPart[],
  viewport: Matrix,
  styles: Readonly<Record<string, TextStyle>> = {},
): Rectangle[] {
  const boxes: Box[] = [];
  for (const part of parts) {
    const item = items[part.item];
    if (item === undefined || part.end <= part.start) continue;
    const box = boxOf(item, part, viewport, styles[item.fontName ?? '']);
    if (box !== null) add(boxes, box);
  }
  return boxes.map(placed);
}

function boxOf(item: TextItem, part: ItemPart, viewport: Matrix, style: TextStyle | undefined): Box | null {
  const matrix = multiply(viewport, item.transform);
  const [a, b, c, d, e, f] = matrix as [number, number, number, number, number, number];
  const along = Math.hypot(a, b);
  const across = Math.hypot(c, d);
  if (!(along > 0) || !(across > 0)) return null;
  const scale = Math.sqrt(Math.abs(viewport[0]! * viewport[3]! - viewport[1]! * viewport[2]!));
  const [from, to] = shares(item, part);
  const u = { x: a / along, y: b / along };
  const down = { x: -c / across, y: -d / across };
  let corners: { x: number; y: number }[];
  if (style?.vertical === true) {
    // Glyphs hang below the origin, centred on it.
    const length = item.height * scale;
    corners = square(e, f, u, down, -along / 2, along / 2, length * from, length * to);
  } else {
    const length = item.width * scale;
    const ascent = clamp(style?.ascent, 0.5, 1.15, DEFAULT_ASCENT) * across;
    const descent = clamp(style?.descent, -0.45, -0.05, DEFAULT_DESCENT) * across;
    corners = square(e, f, u, down, length * from, length * to, -ascent, -descent);
  }
  // Lines of vertical writing run along their columns.
  const line = style?.vertical === true ? down : u;
  const exact = (Math.atan2(line.y, line.x) * 180) / Math.PI;
  const quarter = Math.round(exact / 90) * 90;
  const angle = (360 + (Math.abs(exact - quarter) < 0.5 ? quarter : exact)) % 360;
  return { angle, ...bounds(corners.map((corner) => rotate(corner, -angle))) };
}

function bounds(points: Point[]): Omit<Box, 'angle'> {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

interface Point {
  x: number;
  y: number;
}

function square(e: number, f: number, u: Point, down: Point, x0: number, x1: number, y0: number, y1: number): Point[] {
  const at = (x: number, y: number) => ({ x: e + u.x * x + down.x * y, y: f + u.y * x + down.y * y });
  return [at(x0, y0), at(x1, y0), at(x1, y1), at(x0, y1)];
}

/** Where a part begins and ends on its item, from 0 to 1 along the line. */
function shares(item: TextItem, part: ItemPart): [number, number] {
  const whole = extent(item.str);
  if (!(whole > 0)) return [0, 1];
  const from = extent(item.str.slice(0, part.start)) / whole;
  const to = extent(item.str.slice(0, part.end)) / whole;
  // The origin of a right-to-left run is its left end, where its last character stands.
  return item.dir === 'rtl' ? [1 - to, 1 - from] : [from, to];
}

/** Rough advance of a text in a common proportional font. Only ratios within one item matter. */
function extent(text: string): number {
  let sum = 0;
  for (const character of text) sum += advance(character);
  return sum;
}

function advance(character: string): number {
  if (/[\p{M}\p{Cf}]/u.test(character)) return 0;
  if (/[\s.,:;!'|’‘ijlIſı·]/u.test(character)) return 0.27;
  if (/[ftr()[\]{}\-"“”/\\]/u.test(character)) return 0.35;
  if (/[mwMW@%—…]/u.test(character)) return 0.85;
  if (/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uff60]/u.test(character)) return 1;
  if (/\p{Lu}/u.test(character)) return 0.68;
  return 0.52;
}

/** Adds a box, as part of one on the same line where there is one beside it. */
function add(boxes: Box[], box: Box): void {
  for (let i = boxes.length - 1; i >= 0; i -= 1) {
    if (beside(boxes[i]!, box)) {
      const other = boxes.splice(i, 1)[0]!;
      add(boxes, {
        angle: box.angle,
        left: Math.min(box.left, other.left),
        right: Math.max(box.right, other.right),
        top: Math.min(box.top, other.top),
        bottom: Math.max(box.bottom, other.bottom),
      });
      return;
    }
  }
  boxes.push(box);
}

function beside(a: Box, b: Box): boolean {
  if (Math.abs(a.angle - b.angle) > 0.5) return false;
  const overlap = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  const gap = Math.max(a.left, b.left) - Math.min(a.right, b.right);
  const height = Math.min(a.bottom - a.top, b.bottom - b.top);
  return overlap > 0.6 * height && gap < 0.9 * height;
}

function placed(box: Box): Rectangle {
  // Quarter turns become upright rectangles; only slanted ones are turned when drawn.
  const corners = [
    { x: box.left, y: box.top },
    { x: box.right, y: box.bottom },
  ].map((corner) => rotate(corner, box.angle));
  if (box.angle % 90 === 0) {
    const { left, right, top, bottom } = bounds(corners);
    return { left, top, width: right - left, height: bottom - top, angle: 0 };
  }
  return { left: corners[0]!.x, top: corners[0]!.y, width: box.right - box.left, height: box.bottom - box.top, angle: box.angle };
}

function rotate(point: Point, degrees: number): Point {
  if (degrees === 0) return point;
  const radians = (degrees * Math.PI) / 180;
  const cos = Math.cos(radians);
  const sin = Math.sin(radians);
  return { x: point.x * cos - point.y * sin, y: point.x * sin + point.y * cos };
}

function multiply(m: Matrix, n: Matrix): Matrix {
  return [
    m[0]! * n[0]! + m[2]! * n[1]!,
    m[1]! * n[0]! + m[3]! * n[1]!,
    m[0]! * n[2]! + m[2]! * n[3]!,
    m[1]! * n[2]! + m[3]! * n[3]!,
    m[0]! * n[4]! + m[2]! * n[5]! + m[4]!,
    m[1]! * n[4]! + m[3]! * n[5]! + m[5]!,
  ];
}

function clamp(value: number | undefined, least: number, most: number, otherwise: number): number {
  if (value === undefined || !Number.isFinite(value) || value === 0) return otherwise;
  return Math.min(most, Math.max(least, value));
}
