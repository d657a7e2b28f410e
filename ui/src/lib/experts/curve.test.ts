import { describe, expect, it } from 'vitest';
import { lossRange, nearest, scale, smooth, tableRows, thin, tickDigits, ticks, trainingLosses } from './curve';

const line = (losses: number[]) => losses.map((loss, step) => ({ step, loss }));

describe('smoothing', () => {
  it('leaves a constant as it is, from the first point on', () => {
    for (const { loss } of smooth(line([3, 3, 3, 3]), 0.9)) expect(loss).toBeCloseTo(3, 12);
  });
  it('is the corrected moving average', () => {
    // s1 = 0.5*2 = 1, / 0.5 = 2; s2 = 0.5*1 + 0.5*4 = 2.5, / 0.75 = 3.333...
    expect(smooth(line([2, 4]), 0.5).map(({ loss }) => loss)).toEqual([2, 2.5 / 0.75]);
  });
  it('does nothing at weight 0', () => {
    const samples = line([1, 5, 2]);
    expect(smooth(samples, 0)).toBe(samples);
  });
});

describe('thinning', () => {
  it('keeps spikes and order', () => {
    const samples = line(Array.from({ length: 10_000 }, (_, step) => (step === 4321 ? 99 : step % 7)));
    const kept = thin(samples, 100);
    expect(kept.length).toBeLessThanOrEqual(200);
    expect(kept.some(({ step, loss }) => step === 4321 && loss === 99)).toBe(true);
    expect(kept.every(({ step }, index) => index === 0 || step > (kept[index - 1]?.step ?? Infinity))).toBe(true);
  });
  it('leaves short curves alone', () => {
    const samples = line([3, 2, 1]);
    expect(thin(samples, 100)).toBe(samples);
  });
});

describe('ticks', () => {
  it.each([
    [0, 10, 5, [0, 2, 4, 6, 8, 10]],
    [0.93, 2.41, 5, [1, 1.5, 2]],
    [0, 1200, 6, [0, 200, 400, 600, 800, 1000, 1200]],
    [0.1, 0.3, 4, [0.1, 0.15, 0.2, 0.25, 0.3]],
    [5, 5, 4, [5]],
  ])('from %d to %d, about %i', (low, high, count, expected) => {
    expect(ticks(low, high, count)).toEqual(expected);
  });
  it('are written with just the digits that tell them apart', () => {
    expect(tickDigits([0, 2])).toBe(0);
    expect(tickDigits([1, 1.5])).toBe(1);
    expect(tickDigits([0.1, 0.15])).toBe(2);
  });
});

it('the nearest sample is found between, before and behind the samples', () => {
  const samples = [{ step: 10 }, { step: 20 }, { step: 40 }];
  expect([0, 14, 16, 30, 31, 99].map((step) => nearest(samples, step))).toEqual([0, 0, 1, 1, 2, 2]);
  expect(nearest([], 5)).toBe(-1);
});

it('a scale maps ends to ends, and a single value to the middle', () => {
  expect([0, 5, 10].map(scale(0, 10, 100, 0))).toEqual([100, 50, 0]);
  expect(scale(3, 3, 0, 10)(3)).toBe(5);
});

it('a diverged run does not break the chart', () => {
  const curve = [2, NaN, Infinity, 1].map((loss, step) => ({ step, loss, evaluation: null }));
  expect(trainingLosses(curve).map(({ step }) => step)).toEqual([0, 3]);
  const [low, high] = lossRange(trainingLosses(curve));
  expect(low).toBeGreaterThanOrEqual(0);
  expect(low).toBeLessThan(1);
  expect(high).toBeGreaterThan(2);
});

it('the table has few rows, the last one, and all that were evaluated', () => {
  const curve = Array.from({ length: 1001 }, (_, step) => ({ step, loss: 1, evaluation: step === 333 ? 2 : null }));
  const rows = tableRows(curve, 100);
  expect(rows.length).toBeLessThan(110);
  expect(rows.some(({ step }) => step === 333)).toBe(true);
  expect(rows.at(-1)?.step).toBe(1000);
});
