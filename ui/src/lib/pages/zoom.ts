/** How large a page is drawn. */

/** As wide as there is room, or a factor of the page's own size (1 is 96 dots per inch). */
export type Zoom = 'width' | number;

/** CSS pixels to a PDF point at factor 1. */
export const PIXELS_TO_POINT = 96 / 72;

const STEPS = [0.25, 0.33, 0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5];
/** Largest canvas, in device pixels: more makes some engines fail without a word. */
const MOST_PIXELS = 16_000_000;

/** The next factor up (`1`) or down (`-1`) from `factor`. */
export function step(factor: number, direction: 1 | -1): number {
  const near = 0.005;
  return direction === 1
    ? (STEPS.find((other) => other > factor + near) ?? STEPS.at(-1)!)
    : (STEPS.findLast((other) => other < factor - near) ?? STEPS[0]!);
}

/** The factor that makes a page of `points` width as wide as `pixels`. */
export function fit(points: number, pixels: number): number {
  const factor = pixels / (points * PIXELS_TO_POINT);
  return Number.isFinite(factor) && factor > 0 ? Math.min(5, Math.max(0.1, factor)) : 1;
}

/** Device pixels to a CSS pixel for a canvas of this size in CSS pixels. */
export function density(width: number, height: number, device: number): number {
  return Math.min(device, Math.sqrt(MOST_PIXELS / Math.max(1, width * height)));
}
