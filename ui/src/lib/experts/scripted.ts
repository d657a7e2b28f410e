/** Made-up trainings for tests and for looking at the pages. */
import type { Artefact, CurvePoint, ExpertReport, JobState, JobView, Method, MethodState, MethodStatus } from '../bindings';

/** A loss that falls, with noise that is the same every time. */
export function curve(points: number): CurvePoint[] {
  return Array.from({ length: points }, (_, index) => {
    const step = (index + 1) * 4;
    const falls = 0.9 + 2.1 * Math.exp(-step / 350);
    const noise = 0.22 * Math.sin(index * 12.9898) * Math.cos(index * 4.137);
    const evaluated = (index + 1) % 25 === 0;
    return { step, loss: falls + noise, evaluation: evaluated ? falls + 0.12 + step / 20_000 : null };
  });
}

export function training(id: number, state: JobState, over: Partial<JobView> = {}): JobView {
  return {
    job: {
      id,
      kind: 'train',
      collection: 1,
      state,
      progress: {
        stage: 'answering',
        subject: null,
        done: 780,
        total: 2400,
        unit: 'steps',
        rate: 1.42,
        eta_seconds: 1140,
        point: null,
      },
      error: null,
      created_at: 1_790_000_000 + id,
      updated_at: Math.round(Date.now() / 1000) - 8,
    },
    collection: 'Research',
    curve: curve(195),
    ...over,
  };
}

/** An expert that was worth its training; what is given replaces what it says. */
export function artefact(report: Partial<ExpertReport> = {}, over: Partial<Artefact> = {}): Artefact {
  return {
    kind: 'expert',
    collection: 1,
    collection_name: 'Research',
    preset: 'standard',
    model: 'expert',
    model_sha256: 'a1'.repeat(32),
    writer: 'small',
    fingerprint: '9f2c',
    adapter: 'b2'.repeat(32),
    created_at: Math.round(Date.now() / 1000) - 7200,
    report: {
      in_domain: { before: 31.42, after: 18.07 },
      general: { before: 24.1, after: 24.9 },
      closed_book_f1: { before: 0.061, after: 0.342 },
      questions: 80,
      held_out_passages: 38,
      passages: 342,
      rows: { generated: 811, definition: 64, cloze: 240, number: 31, date: 22, swap: 118, negation: 97, sentence: 342 },
      dropped: { not_found_by_reader: 97, duplicate: 41, answer_not_in_passage: 28 },
      stages: [
        { name: 'reading', curve: curve(120), is_early: false },
        { name: 'answering', curve: curve(60), is_early: true },
      ],
      seconds: { study: 1290, recalling: 41, 'measuring before': 74, reading: 1080, answering: 655, 'measuring after': 71 },
      foretold_seconds: 1920,
      ...report,
    },
    gag: null,
    imprag: null,
    iag: null,
    stale: false,
    ...over,
  };
}

export function status(method: Method, state: MethodState, over: Partial<MethodStatus> = {}): MethodStatus {
  return {
    method,
    state,
    needs: state === 'ready' ? null : 'An expert trained on this collection.',
    estimate_seconds: state === 'needs_training' ? 2520 : null,
    can_start: state === 'needs_training',
    ...over,
  };
}

/** Where nothing was trained yet. */
export const untrained: MethodStatus[] = [
  status('none', 'ready'),
  status('rag', 'ready'),
  status('gag', 'needs_training'),
  status('iag', 'needs_training'),
  status('imprag', 'ready'),
];
