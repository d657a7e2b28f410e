/** What a GAG report says: whether the expert's states are worth anything, and what its answers are. */
import type { GagReport } from '../bindings';
import { likelier, lost } from './controls';
import type { Tone } from './measures';

/** Whether the expert's states themselves make a difference. */
export type Worth = 'carries' | 'none' | 'unknown';

/**
 * They do if the right answer is likelier with them than with those of another question, and than
 * with one state for all questions. If either does not hold, what was trained is a prompt.
 */
export function worth({ controls }: GagReport): Worth {
  const found = likelier(controls, ['shuffled', 'constant']);
  return found === null ? 'unknown' : found ? 'carries' : 'none';
}

/** What must be said beside the verdict: of whom its answers are no better. */
export function remarks({ controls }: GagReport): ('base' | 'alone')[] {
  return [
    ...(lost(controls, 'none', 'f1') ? (['base'] as const) : []),
    ...(lost(controls, 'expert_alone', 'f1') ? (['alone'] as const) : []),
  ];
}

/** How the verdict looks: good only where the answers gain by it too. */
export function toneOf(report: GagReport): Tone {
  const found = worth(report);
  if (found === 'none') return 'warn';
  return found === 'carries' && !remarks(report).includes('base') ? 'good' : 'neutral';
}
