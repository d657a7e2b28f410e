/** What an IAG report says: whether weights follow the question, and what else must be owned up to. */
import type { IagReport } from '../bindings';
import { likelier, lost } from './controls';
import type { Tone } from './measures';

/** Whether weights made for a question are worth more than fixed ones. */
export type Worth = 'specific' | 'collapsed' | 'off' | 'unknown';

/**
 * They are if the right answer is likelier with them than with those made for another question, and
 * than with one set for all. Otherwise the hypernetwork has collapsed into a fixed adapter.
 */
export function worth(report: IagReport): Worth {
  if (strength(report) === 0) return 'off';
  const { controls } = report;
  const found = likelier(controls, ['shuffled_features', 'constant_features']);
  return found === null ? 'unknown' : found ? 'specific' : 'collapsed';
}

/** How strongly weights made for a question are in force: that with the least loss of those tried. */
export function strength({ strengths }: IagReport): number {
  let best = { strength: 1, loss: Infinity };
  for (const one of strengths) if (one.loss < best.loss) best = one;
  return best.strength;
}

/** What must be said beside the verdict. */
export function remarks({ controls, gate }: IagReport): ('gate' | 'document' | 'base')[] {
  return [
    ...(gate !== null && !gate.is_open ? (['gate'] as const) : []),
    ...(lost(controls, 'no_document', 'nll') ? (['document'] as const) : []),
    ...(lost(controls, 'none', 'f1') ? (['base'] as const) : []),
  ];
}

/** How the verdict looks: good only where the answers gain by it too. */
export function toneOf(report: IagReport): Tone {
  const found = worth(report);
  if (found === 'collapsed' || found === 'off') return 'warn';
  return found === 'specific' && !remarks(report).includes('base') ? 'good' : 'neutral';
}
