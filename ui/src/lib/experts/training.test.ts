import { describe, expect, it } from 'vitest';
import type { JobState, JobView, MethodState, MethodStatus } from '../bindings';
import { beats } from './controls';
import { trainedMethods, trainingJobs, trainingUnder } from './training';

const job = (id: number, kind: JobView['job']['kind'], state: JobState, created_at: number): JobView => ({
  job: {
    id,
    kind,
    collection: 1,
    state,
    progress: { stage: '', subject: null, done: 0, total: null, unit: 'steps', rate: null, eta_seconds: null, point: null },
    error: null,
    created_at,
    updated_at: created_at,
  },
  collection: null,
  curve: [],
});

it('trainings: unfinished first, then the newest; no other jobs', () => {
  const jobs = [
    job(1, 'train', 'finished', 30),
    job(2, 'import', 'running', 40),
    job(3, 'train', 'paused', 10),
    job(4, 'train', 'failed', 35),
    job(5, 'train', 'running', 20),
  ];
  expect(trainingJobs(jobs).map(({ job }) => job.id)).toEqual([5, 3, 4, 1]);
});

it('the training of a collection is the most active of its unfinished ones', () => {
  const of = (collection: string, view: JobView): JobView => ({ ...view, collection });
  const jobs = [
    of('House', job(1, 'train', 'running', 10)),
    of('Research', job(2, 'train', 'finished', 20)),
    of('Research', job(3, 'import', 'running', 30)),
  ];
  expect(trainingUnder(jobs, 'Research')).toBeNull();
  const paused = [...jobs, of('Research', job(4, 'train', 'paused', 40))];
  expect(trainingUnder(paused, 'Research')).toBe('paused');
  expect(trainingUnder([...paused, of('Research', job(5, 'train', 'queued', 5))], 'Research')).toBe('queued');
  expect(trainingUnder(jobs, 'House')).toBe('running');
});

const status = (method: MethodStatus['method'], state: MethodState): MethodStatus => ({
  method,
  state,
  needs: null,
  estimate_seconds: null,
  can_start: false,
});

it('only trained methods count, in their order', () => {
  const statuses = [status('imprag', 'ready'), status('rag', 'ready'), status('gag', 'needs_training')];
  expect(trainedMethods(statuses).map(({ method }) => method)).toEqual(['gag', 'imprag']);
});

describe('a verdict rests on the interval of the difference', () => {
  const value = { value: 0, low: 0, high: 0 };
  it.each([
    [true, 0.01, 0.2, true],
    [true, -0.01, 0.2, false],
    [true, 0, 0.2, false],
    [false, -0.2, -0.01, true],
    [false, -0.2, 0.01, false],
  ])('more is better: %s, from %d to %d: %s', (higher_is_better, low, high, expected) => {
    const difference = { value: (low + high) / 2, low, high };
    expect(beats({ name: 'n', metric: 'm', higher_is_better, method: value, control: value, difference })).toBe(expected);
  });
});
