/** What a GAG report says: whether the expert's states are worth anything, and what its answers are. */
import type { ControlResult, GagReport } from '../bindings';
import { beats } from './controls';
import type { Tone } from './measures';

/** Whether the expert's states themselves make a difference. */
export type Worth = 'carries' | 'none' | 'unknown';

const measured = ({ difference }: ControlResult) => Number.isFinite(difference.low) && Number.isFinite(difference.high);

function control(report: GagReport, name: string, metric: string): ControlResult | undefined {
  return report.controls.find((one) => one.name === name && one.metric === metric && measured(one));
}

/**
 * They do if the right answer is likelier with them than with those of another question, and than
 * with one state for all questions. If either does not hold, what was trained is a prompt.
 */
export function worth(report: GagReport): Worth {
  const controls = ['shuffled', 'constant'].map((name) => control(report, name, 'nll'));
  if (controls.some((one) => one && !beats(one))) return 'none';
  return controls.every((one) => one && beats(one)) ? 'carries' : 'unknown';
}

/** What must be said beside the verdict: of whom its answers are no better. */
export function remarks(report: GagReport): ('base' | 'alone')[] {
  const lost = (name: string) => {
    const found = control(report, name, 'f1');
    return found !== undefined && !beats(found);
  };
  return [...(lost('none') ? (['base'] as const) : []), ...(lost('expert_alone') ? (['alone'] as const) : [])];
}

/** How the verdict looks: good only where the answers gain by it too. */
export function toneOf(report: GagReport): Tone {
  const found = worth(report);
  if (found === 'none') return 'warn';
  return found === 'carries' && !remarks(report).includes('base') ? 'good' : 'neutral';
}
