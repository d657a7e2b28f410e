import type { FitEstimate } from '../bindings';

/** What a model needs in memory, in the order in which the bar shows it. */
export type FitPart = 'weights' | 'kv' | 'scratch';

/** How a model sits in memory. `tight`: it fits, but takes most of what is free. */
export type FitVerdict = 'fits' | 'tight' | 'too_big' | 'unknown';

export interface FitSummary {
  verdict: FitVerdict;
  /** Weights, keys and values, and scratch buffers together, in bytes. */
  needed: number;
  /** Memory available when the estimate was made, in bytes; `null` where the system does not tell. */
  available: number | null;
  /** What is missing, in bytes; 0 where it fits. */
  missing: number;
  /** Length of the bar, in bytes: the larger of what is needed and what is available. */
  scale: number;
  parts: { part: FitPart; bytes: number }[];
}

/** A share of the available memory above which other programs begin to feel the model. */
const TIGHT = 0.75;

/** Beyond this no machine has memory: the estimate's word for "the system did not tell". */
const UNKNOWN_ABOVE = 2 ** 60;

/** Reads a fit estimate for display. The verdict `too_big` is the estimate's own, margin included. */
export function summariseFit(fit: FitEstimate): FitSummary {
  const parts: FitSummary['parts'] = [
    { part: 'weights', bytes: fit.weight_bytes },
    { part: 'kv', bytes: fit.kv_cache_bytes },
    { part: 'scratch', bytes: fit.compute_bytes },
  ];
  const needed = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  const known = fit.available_bytes < UNKNOWN_ABOVE;
  const available = known ? fit.available_bytes : null;
  const missing = fit.fits || available === null ? 0 : Math.max(0, needed - available);
  let verdict: FitVerdict = 'fits';
  if (!fit.fits) verdict = 'too_big';
  else if (available === null) verdict = 'unknown';
  else if (needed > TIGHT * available) verdict = 'tight';
  return { verdict, needed, available, missing, scale: Math.max(needed, available ?? 0, 1), parts };
}

/**
 * Keys and values for another context length, in bytes. They grow in proportion to it, so one
 * estimate gives them all.
 */
export function kvCacheAt(fit: FitEstimate, estimatedFor: number, context: number): number | null {
  if (estimatedFor <= 0 || context <= 0) return null;
  return Math.round((fit.kv_cache_bytes / estimatedFor) * context);
}
