import type { CurvePoint } from '../bindings';

/** A point in the units of the data: a step and a loss. */
export interface Sample {
  step: number;
  loss: number;
}

/** The training losses that are numbers: a diverged run reports NaN or infinity. */
export function trainingLosses(curve: CurvePoint[]): Sample[] {
  return curve.filter(({ loss }) => Number.isFinite(loss)).map(({ step, loss }) => ({ step, loss }));
}

/** The losses on held-out material, where they were measured. */
export function evaluationLosses(curve: CurvePoint[]): Sample[] {
  return curve.flatMap(({ step, evaluation }) =>
    evaluation !== null && Number.isFinite(evaluation) ? [{ step, loss: evaluation }] : [],
  );
}

/**
 * Exponential moving average, corrected for its start so that the first points are not pulled
 * towards zero: s_t = w s_(t-1) + (1 - w) x_t, shown as s_t / (1 - w^t). `weight` is w, from 0
 * (no smoothing) to just below 1.
 */
export function smooth(samples: Sample[], weight: number): Sample[] {
  if (weight <= 0) return samples;
  let sum = 0;
  let norm = 0;
  return samples.map(({ step, loss }) => {
    sum = weight * sum + (1 - weight) * loss;
    norm = weight * norm + (1 - weight);
    return { step, loss: sum / norm };
  });
}

/**
 * At most `buckets` times two samples that look the same: of every bucket the lowest and the
 * highest, so that no spike disappears.
 */
export function thin(samples: Sample[], buckets: number): Sample[] {
  if (samples.length <= 2 * buckets) return samples;
  const kept: Sample[] = [];
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const from = Math.floor((bucket * samples.length) / buckets);
    const to = Math.floor(((bucket + 1) * samples.length) / buckets);
    const part = samples.slice(from, to);
    const lowest = part.reduce((one, other) => (other.loss < one.loss ? other : one));
    const highest = part.reduce((one, other) => (other.loss > one.loss ? other : one));
    if (lowest === highest) kept.push(lowest);
    else if (lowest.step < highest.step) kept.push(lowest, highest);
    else kept.push(highest, lowest);
  }
  return kept;
}

/** Round numbers from `low` to `high`, about `count` of them: multiples of 1, 2 or 5 times a power of ten. */
export function ticks(low: number, high: number, count: number): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((each) => each * power >= rough * 0.999) ?? 10;
  const unit = factor * power;
  const found: number[] = [];
  for (let index = Math.ceil(low / unit - 1e-9); index * unit <= high + unit * 1e-9; index += 1) {
    found.push(Number((index * unit).toPrecision(12)));
  }
  return found;
}

/** Digits after the point with which neighbouring ticks still differ. */
export function tickDigits(values: number[]): number {
  const [first, second] = values;
  if (first === undefined || second === undefined) return 2;
  const gap = Math.abs(second - first);
  return Math.min(6, Math.max(0, Math.ceil(-Math.log10(gap) - 1e-9)));
}

/** A linear map from `[low, high]` to `[from, to]`; a single value goes to the middle. */
export function scale(low: number, high: number, from: number, to: number) {
  return (value: number): number =>
    high > low ? from + ((value - low) / (high - low)) * (to - from) : (from + to) / 2;
}

/** The position of the sample nearest to a step; -1 without any. Samples ascend by step. */
export function nearest(samples: { step: number }[], step: number): number {
  const at = (index: number) => samples[index]?.step ?? Infinity;
  let low = 0;
  let high = samples.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(middle) < step) low = middle + 1;
    else high = middle;
  }
  if (low > 0 && step - at(low - 1) <= at(low) - step) return low - 1;
  return samples.length === 0 ? -1 : low;
}

/** The `d` of an SVG path through points, to a tenth of a pixel. */
export function linePath(points: { x: number; y: number }[]): string {
  return points
    .map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`)
    .join('');
}

/** The range of losses to show, with a little air; loss is never below zero. */
export function lossRange(samples: Sample[]): [number, number] {
  if (samples.length === 0) return [0, 1];
  let low = Infinity;
  let high = -Infinity;
  for (const { loss } of samples) {
    low = Math.min(low, loss);
    high = Math.max(high, loss);
  }
  const air = (high - low || Math.abs(high) || 1) * 0.06;
  return [low >= 0 ? Math.max(0, low - air) : low - air, high + air];
}

/** About `count` points, evenly chosen, and every point at which the held-out loss was measured. */
export function tableRows(curve: CurvePoint[], count: number): CurvePoint[] {
  const stride = Math.max(1, Math.ceil(curve.length / count));
  return curve.filter(
    ({ evaluation }, index) =>
      evaluation !== null || index % stride === 0 || index === curve.length - 1,
  );
}
