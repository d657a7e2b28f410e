import { describe, expect, it } from 'vitest';
import type { TextItem } from './locate';
import { rectangles } from './rectangles';

/** A page of 600 by 800 points at scale 1: y runs up in the PDF and down in the viewport. */
const upright = [1, 0, 0, -1, 0, 800];

function item(str: string, transform: number[], width: number, more: Partial<TextItem> = {}): TextItem {
  return { str, transform, width, height: 10, hasEOL: false, dir: 'ltr', ...more };
}

const whole = (items: TextItem[]) => items.map((each, index) => ({ item: index, start: 0, end: each.str.length }));

describe('rectangles', () => {
  it('covers a line from below its baseline to above its letters', () => {
    const items = [item('Some words', [10, 0, 0, 10, 100, 700], 50)];
    const [only, ...others] = rectangles(items, whole(items), upright);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ left: 100, width: 50, angle: 0 });
    expect(only!.top).toBeGreaterThan(88);
    expect(only!.top).toBeLessThan(94);
    expect(only!.top + only!.height).toBeGreaterThan(100.5);
    expect(only!.top + only!.height).toBeLessThan(104);
  });

  it('merges items of one line over a word space, but not lines or columns', () => {
    const items = [
      item('Bees', [10, 0, 0, 10, 100, 700], 20),
      item('visit', [10, 0, 0, 10, 123, 700], 22),
      item('the orchard', [10, 0, 0, 10, 100, 688], 50),
      item('another column', [10, 0, 0, 10, 330, 700], 70),
    ];
    const found = rectangles(items, whole(items), upright);
    expect(found.map(({ left, width }) => [left, width])).toEqual([[100, 45], [100, 50], [330, 70]]);
  });

  it('merges a line whose items come in another order', () => {
    const items = [
      item('a', [10, 0, 0, 10, 100, 700], 5),
      item('c', [10, 0, 0, 10, 112, 700], 5),
      item('b', [10, 0, 0, 10, 106, 700], 5),
    ];
    expect(rectangles(items, whole(items), upright)).toHaveLength(1);
  });

  it('covers part of an item in proportion', () => {
    const items = [item('aaaaaaaaaa', [10, 0, 0, 10, 0, 700], 100)];
    const [only] = rectangles(items, [{ item: 0, start: 2, end: 5 }], upright);
    expect(only!.left).toBeCloseTo(20);
    expect(only!.width).toBeCloseTo(30);
  });

  it('gives narrow letters less room than wide ones', () => {
    const items = [item('iiiiWWWW', [10, 0, 0, 10, 0, 700], 100)];
    const [narrow] = rectangles(items, [{ item: 0, start: 0, end: 4 }], upright);
    expect(narrow!.width).toBeLessThan(40);
  });

  it('counts from the right where text runs from right to left', () => {
    const items = [item('אבגדהוזחטי', [10, 0, 0, 10, 0, 700], 100, { dir: 'rtl' })];
    const [only] = rectangles(items, [{ item: 0, start: 0, end: 3 }], upright);
    expect(only!.left + only!.width).toBeCloseTo(100);
    expect(only!.width).toBeCloseTo(30);
  });

  it('follows the scale of the viewport', () => {
    const items = [item('Some words', [10, 0, 0, 10, 100, 700], 50)];
    const [only] = rectangles(items, whole(items), [2, 0, 0, -2, 0, 1600]);
    expect(only).toMatchObject({ left: 200, width: 100 });
  });

  it.each([
    // A page turned by 90 degrees: x' = y, y' = x.
    { turn: 90, viewport: [0, 1, 1, 0, 0, 0], expected: { across: 'y' } },
    { turn: 180, viewport: [-1, 0, 0, 1, 600, 0], expected: { across: 'x' } },
    { turn: 270, viewport: [0, -1, -1, 0, 800, 600], expected: { across: 'y' } },
  ])('stays upright and of the same size on a page turned by $turn degrees', ({ viewport, expected }) => {
    const items = [item('Some words', [10, 0, 0, 10, 100, 700], 50)];
    const [only] = rectangles(items, whole(items), viewport);
    expect(only!.angle).toBe(0);
    const [long, short] = expected.across === 'x' ? [only!.width, only!.height] : [only!.height, only!.width];
    expect(long).toBeCloseTo(50);
    expect(short).toBeCloseTo(10.7);
    for (const edge of [only!.left, only!.top]) expect(edge).toBeGreaterThan(0);
  });

  it('merges the letters of a line that runs up the page', () => {
    const items = ['ab', 'cd', 'ef'].map((str, index) => item(str, [0, 10, -10, 0, 300, 100 + index * 13], 11));
    const found = rectangles(items, whole(items), upright);
    expect(found).toHaveLength(1);
    expect(found[0]!.height).toBeCloseTo(37);
  });

  it('turns the rectangle of a slanted line', () => {
    const slant = Math.PI / 6;
    const [cos, sin] = [10 * Math.cos(slant), 10 * Math.sin(slant)];
    const items = [item('Draft', [cos, sin, -sin, cos, 100, 400], 60)];
    const [only] = rectangles(items, whole(items), upright);
    // Up in the PDF is counter-clockwise on the screen.
    expect(only!.angle).toBeCloseTo(330);
    expect(only!.width).toBeCloseTo(60);
    expect(only!.height).toBeCloseTo(10.7);
  });

  it('hangs vertical writing below its origin', () => {
    const items = [item('縦書き', [10, 0, 0, 10, 200, 700], 10, { height: 30, fontName: 'v', dir: 'ttb' })];
    const [only] = rectangles(items, whole(items), upright, { v: { ascent: 0.9, descent: -0.1, vertical: true } });
    expect(only).toMatchObject({ left: 195, top: 100, width: 10, height: 30 });
  });

  it('leaves out items without extent and parts that do not exist', () => {
    const items = [item('x', [0, 0, 0, 0, 0, 0], 0)];
    expect(rectangles(items, [{ item: 0, start: 0, end: 1 }, { item: 7, start: 0, end: 1 }], upright)).toEqual([]);
  });
});
