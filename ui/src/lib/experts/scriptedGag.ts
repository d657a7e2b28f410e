/** A made-up training of GAG for tests and for looking at the pages. */
import type { Artefact, ControlResult, GagReport } from '../bindings';
import { artefact, curve } from './scripted';

/** A control with the difference `low` to `high` in its middle. */
export function control(name: string, metric: 'nll' | 'f1', method: number, low: number, high: number): ControlResult {
  const difference = (low + high) / 2;
  const around = (value: number, width: number) => ({ value, low: value - width, high: value + width });
  const width = metric === 'nll' ? 0.21 : 0.06;
  return {
    name,
    metric,
    higher_is_better: metric === 'f1',
    method: around(method, width),
    control: around(method - difference, width),
    difference: { value: difference, low, high },
  };
}

export const carrying: ControlResult[] = [
  control('shuffled', 'nll', 2.04, -0.46, -0.2),
  control('constant', 'nll', 2.04, -0.31, -0.09),
  control('zero', 'nll', 2.04, -1.42, -1.02),
  control('untrained', 'nll', 2.04, -1.9, -1.4),
  control('wrong_route', 'nll', 2.04, -0.5, -0.22),
  control('none', 'nll', 2.04, -1.35, -0.95),
  control('none', 'f1', 0.312, 0.11, 0.22),
  control('shuffled', 'f1', 0.312, 0.04, 0.14),
  control('expert_alone', 'f1', 0.312, -0.07, 0.05),
];

/** What is left where the expert's states are worth nothing. */
export const empty: ControlResult[] = [
  control('shuffled', 'nll', 2.31, -0.08, 0.05),
  control('constant', 'nll', 2.31, -0.03, 0.07),
  control('none', 'nll', 2.31, -0.9, -0.5),
  control('none', 'f1', 0.14, -0.03, 0.05),
];

export function gagReport(over: Partial<GagReport> = {}): GagReport {
  return {
    options: {
      form: 'slots',
      readout: [1, 2, 4, 6],
      slots: 4,
      pooling: 'scaled_norm_softmax',
      standardise: true,
      match_scale: true,
      cross_fit: true,
      router: 'neighbours',
      background_tokens: 48,
      semantic: 0.01,
      diversity: 0.001,
    },
    deviations: [
      { name: 'channels standardised', on: true, why: 'one channel of a small expert holds most of the energy' },
      { name: 'rows as long as token rows', on: true, why: 'fresh rows are about thirty times as long' },
      { name: 'cross-fitted wordings', on: false, why: 'the projector learns from wordings the expert was not taught' },
      { name: 'a name without words', on: false, why: 'what the window does not know by name is shown as the core tells it' },
    ],
    expert: 'b2'.repeat(32),
    expert_model: 'expert',
    expert_model_sha256: 'a1'.repeat(32),
    parameters: 2_988_560,
    memories: 640,
    visits: 2560,
    questions: 96,
    answered: 40,
    oracle: 1.42,
    controls: carrying,
    routing: { prototypes: 32, routes: 3, domain: [60, 59], general: [100, 100] },
    stages: [{ name: 'listening', curve: curve(80), is_early: false }],
    seconds: { thinking: 1130, listening: 1545, 'comparing with controls': 420 },
    foretold_seconds: 1490,
    ...over,
  };
}

export function gagArtefact(report: Partial<GagReport> = {}, over: Partial<Artefact> = {}): Artefact {
  return artefact({}, { kind: 'gag', model: 'small', writer: null, adapter: 'd4'.repeat(32), gag: gagReport(report), ...over });
}
