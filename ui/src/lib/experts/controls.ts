/** A trained method against its controls: the figures are the core's, the judgements are these. */
import type { ControlResult, Interval } from '../bindings';
import { number } from '../i18n';

/**
 * Whether the method beats the control: the whole interval of the difference lies on the better
 * side of zero. Two overlapping intervals say nothing about that, so they are not looked at.
 */
export function beats({ difference, higher_is_better }: ControlResult): boolean {
  if (!Number.isFinite(difference.low) || !Number.isFinite(difference.high)) return false;
  return higher_is_better ? difference.low > 0 : difference.high < 0;
}

/** The result against a control, where it was measured. */
function against(results: ControlResult[], name: string, metric: string): ControlResult | undefined {
  const measured = ({ difference }: ControlResult) => Number.isFinite(difference.low) && Number.isFinite(difference.high);
  return results.find((one) => one.name === name && one.metric === metric && measured(one));
}

/**
 * Whether the right answer is likelier than with any of these controls. It is not as soon as one of
 * them does as well; where one was not measured, nothing is known.
 */
export function likelier(results: ControlResult[], names: string[]): boolean | null {
  const found = names.map((name) => against(results, name, 'nll'));
  if (found.some((one) => one && !beats(one))) return false;
  return found.every((one) => one !== undefined) ? true : null;
}

/** Whether it was measured against a control, and did not beat it. */
export function lost(results: ControlResult[], name: string, metric: 'nll' | 'f1'): boolean {
  const found = against(results, name, metric);
  return found !== undefined && !beats(found);
}

/** A figure as it is written; JSON has no infinity, so what diverged is a gap. */
export const figure = (value: Interval[keyof Interval]): string => (Number.isFinite(value) ? number(value, 3, 3) : '–');

/** The results by metric, in the order of their first. */
export function byMetric(results: ControlResult[]): { metric: string; lower: boolean; results: ControlResult[] }[] {
  return [...new Set(results.map(({ metric }) => metric))].map((metric) => {
    const same = results.filter((one) => one.metric === metric);
    return { metric, lower: same.some((one) => !one.higher_is_better), results: same };
  });
}
