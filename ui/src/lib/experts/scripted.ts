/** Made-up trainings for tests and for looking at the pages. */
import type { CurvePoint, JobState, JobView, Method, MethodState, MethodStatus } from '../bindings';

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
        stage: 'training',
        subject: null,
        done: 780,
        total: 2400,
        unit: 'steps',
        rate: 1.42,
        eta_seconds: 1140,
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

export function status(method: Method, state: MethodState, over: Partial<MethodStatus> = {}): MethodStatus {
  const needs = state === 'not_built' ? 'This version does not have it yet.' : 'An expert trained on this collection.';
  return {
    method,
    state,
    needs: state === 'ready' ? null : needs,
    estimate_seconds: state === 'needs_training' ? 2520 : null,
    can_start: state === 'needs_training',
    ...over,
  };
}

export const notBuilt: MethodStatus[] = [
  status('none', 'ready'),
  status('rag', 'ready'),
  status('gag', 'not_built'),
  status('iag', 'not_built'),
  status('imprag', 'not_built'),
];
