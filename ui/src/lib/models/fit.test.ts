import { describe, expect, it } from 'vitest';
import type { FitEstimate } from '../bindings';
import { kvCacheAt, summariseFit } from './fit';

const fit = (over: Partial<FitEstimate> = {}): FitEstimate => ({
  weight_bytes: 1000,
  kv_cache_bytes: 200,
  compute_bytes: 100,
  available_bytes: 4000,
  fits: true,
  ...over,
});

describe('a fit estimate', () => {
  it.each([
    ['has room', {}, 'fits', 0, 4000],
    ['takes more than three quarters', { available_bytes: 1500 }, 'tight', 0, 1500],
    ['is larger than what there is', { available_bytes: 1000, fits: false }, 'too_big', 300, 1300],
    ['does not keep the margin', { available_bytes: 1310, fits: false }, 'too_big', 0, 1310],
    ['comes from a system that tells nothing', { available_bytes: 2 ** 64 }, 'unknown', 0, 1300],
  ] as const)('that %s', (_, over, verdict, missing, scale) => {
    const summary = summariseFit(fit(over));
    expect(summary).toMatchObject({ verdict, missing, scale, needed: 1300 });
  });

  it('has parts that add up to what is needed', () => {
    const { parts, needed } = summariseFit(fit());
    expect(parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(needed);
  });
});

it('keys and values grow in proportion to the context', () => {
  expect(kvCacheAt(fit(), 4096, 8192)).toBe(400);
  expect(kvCacheAt(fit(), 4096, 512)).toBe(25);
  expect(kvCacheAt(fit(), 0, 512)).toBeNull();
  expect(kvCacheAt(fit(), 4096, -1)).toBeNull();
});
