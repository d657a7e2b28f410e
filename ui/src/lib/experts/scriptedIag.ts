/** A made-up training of IAG for tests and for looking at the pages. */
import type { Artefact, ControlResult, IagReport } from '../bindings';
import { artefact, curve } from './scripted';
import { control } from './scriptedGag';

export const specific: ControlResult[] = [
  control('shuffled_features', 'nll', 1.62, -0.31, -0.12),
  control('constant_features', 'nll', 1.62, -0.24, -0.06),
  control('question_features', 'nll', 1.62, -0.05, 0.03),
  control('no_document', 'nll', 1.62, -0.82, -0.44),
  control('no_hypernetwork', 'nll', 1.62, -0.64, -0.35),
  control('no_feed_forward', 'nll', 1.62, -0.58, -0.3),
  control('none', 'nll', 1.62, -2.1, -1.6),
  control('none', 'f1', 0.284, 0.12, 0.23),
  control('no_document', 'f1', 0.284, 0.05, 0.15),
  control('retrieved', 'f1', 0.284, -0.3, -0.14),
];

/** What is left where weights do not follow the question. */
export const collapsed: ControlResult[] = [
  control('shuffled_features', 'nll', 1.94, -0.04, 0.03),
  control('constant_features', 'nll', 1.94, -0.02, 0.05),
  control('no_document', 'nll', 1.94, -0.09, 0.06),
  control('none', 'nll', 1.94, -0.9, -0.5),
  control('none', 'f1', 0.12, -0.03, 0.05),
];

export function iagReport(over: Partial<IagReport> = {}): IagReport {
  return {
    options: {
      form: 'hypernetwork',
      features: 'question_and_document',
      imaginer: 'expert',
      document_tokens: 48,
      passages: 5,
      rank: 8,
      hidden: 64,
      bank: 8,
      components: 64,
      feed_forward_rank: 8,
      distillation: true,
      teacher_weight: 0.4,
      hidden_weight: 1,
      clamp_temperature: true,
      cross_fit: true,
      closed_book: true,
      choose_strength: true,
      raw_slots: false,
      tiny_start: false,
    },
    deviations: [
      { name: '(d) whitening once and for all', on: true, why: 'in the words of the core' },
      { name: 'a name without words', on: false, why: 'what the window does not know by name is shown as the core tells it' },
    ],
    imagine_model: 'expert',
    imagine_model_sha256: 'a1'.repeat(32),
    imagine_adapter: 'f6'.repeat(32),
    adapters: ['a7'.repeat(32)],
    parameters: 1_482_240,
    components: 64,
    rows: 640,
    taught_rows: 512,
    closed_book_rows: 1_480,
    compression: { documents: 640, tokens_before: 612.4, tokens_after: 41.2, with_answer: 0.94, put_back: 0.08 },
    imagined_tokens: 37.6,
    gate: { questions: 80, teacher: 0.61, student: 0.07, teacher_f1: 0.702, student_f1: 0.131, is_open: true },
    strengths: [
      { strength: 1, loss: 1.92 },
      { strength: 0.7, loss: 1.87 },
      { strength: 0.4, loss: 1.98 },
      { strength: 0, loss: 2.31 },
    ],
    specificity: { pairs: 240, distance: 0.37 },
    questions: 96,
    answered: 40,
    controls: specific,
    stages: [
      { name: 'reading', curve: curve(60), is_early: false },
      { name: 'learning to imagine', curve: curve(120), is_early: false },
      { name: 'tuning', curve: curve(80), is_early: true },
    ],
    seconds: {
      'squeezing passages': 410,
      reading: 260,
      'learning to imagine': 960,
      'imagining documents': 210,
      'asking the teacher': 95,
      teaching: 320,
      tuning: 1325,
      'comparing with controls': 380,
    },
    foretold_seconds: 2700,
    ...over,
  };
}

export function iagArtefact(report: Partial<IagReport> = {}, over: Partial<Artefact> = {}): Artefact {
  return artefact({}, { kind: 'iag', model: 'small', writer: null, adapter: 'b8'.repeat(32), iag: iagReport(report), ...over });
}
