import { describe, expect, it } from 'vitest';
import { Heights } from './heights';

/** The same by plain addition. */
function plain(heights: number[]) {
  const offset = (index: number) => heights.slice(0, index).reduce((sum, height) => sum + height, 0);
  const indexAt = (y: number) => {
    let found = 0;
    for (let index = 0; index < heights.length; index += 1) if (offset(index) <= y) found = index;
    return found;
  };
  return { offset, indexAt };
}

describe('heights of rows', () => {
  it('agree with plain addition, whatever is set', () => {
    let seed = 7;
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
    for (let round = 0; round < 40; round += 1) {
      const heights = Array.from({ length: 1 + random(60) }, () => 10 + random(90));
      const tree = new Heights(heights);
      for (let change = 0; change < 20; change += 1) {
        const index = random(heights.length);
        heights[index] = 10 + random(200);
        tree.set(index, heights[index]!);
        const { offset, indexAt } = plain(heights);
        const probe = random(heights.length + 1);
        expect(tree.offset(probe)).toBe(offset(probe));
        const y = random(tree.total + 20);
        expect(tree.indexAt(y)).toBe(indexAt(y));
      }
    }
  });

  it('of an empty list are nothing', () => {
    const tree = new Heights([]);
    expect([tree.total, tree.indexAt(10), tree.offset(3), tree.set(0, 5)]).toEqual([0, 0, 0, false]);
  });

  it('do not count a change that cannot be seen', () => {
    expect(new Heights([20]).set(0, 20.3)).toBe(false);
  });
});
