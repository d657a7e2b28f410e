/**
 * Heights of the rows of a long list, with what a scroll position needs in O(log n): where row i
 * begins, and which row is at y. A Fenwick tree: node i holds the sum of the heights of the
 * `lowbit(i)` rows that end with row i (counted from 1).
 */
export class Heights {
  #heights: Float64Array;
  #tree: Float64Array;
  #top: number;

  constructor(heights: ArrayLike<number>) {
    const count = heights.length;
    this.#heights = Float64Array.from(heights);
    this.#tree = new Float64Array(count + 1);
    for (let node = 1; node <= count; node += 1) {
      this.#tree[node]! += this.#heights[node - 1]!;
      const parent = node + (node & -node);
      if (parent <= count) this.#tree[parent]! += this.#tree[node]!;
    }
    this.#top = 1;
    while (this.#top * 2 <= count) this.#top *= 2;
  }

  get count(): number {
    return this.#heights.length;
  }

  /** Height of the whole list. */
  get total(): number {
    return this.offset(this.count);
  }

  height(index: number): number {
    return this.#heights[index] ?? 0;
  }

  /** Sets the height of a row; whether it changed. */
  set(index: number, height: number): boolean {
    const change = height - this.height(index);
    if (Math.abs(change) < 0.5 || index < 0 || index >= this.count) return false;
    this.#heights[index] = height;
    for (let node = index + 1; node <= this.count; node += node & -node) this.#tree[node]! += change;
    return true;
  }

  /** Where a row begins: the sum of the heights before it. */
  offset(index: number): number {
    let sum = 0;
    for (let node = Math.min(index, this.count); node > 0; node -= node & -node) sum += this.#tree[node]!;
    return sum;
  }

  /** The row at a height: the last one that begins at or above it. */
  indexAt(y: number): number {
    let node = 0;
    let rest = y;
    for (let step = this.#top; step > 0; step >>= 1) {
      const next = node + step;
      if (next <= this.count && this.#tree[next]! <= rest) {
        node = next;
        rest -= this.#tree[next]!;
      }
    }
    return Math.max(0, Math.min(node, this.count - 1));
  }
}
