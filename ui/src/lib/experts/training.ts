import type { JobState, JobView, Method, MethodStatus, Preset } from '../bindings';

export const PRESETS: readonly Preset[] = ['quick', 'standard', 'thorough'];

/** The methods that are trained; the others need no expert. */
export const TRAINED: readonly Method[] = ['gag', 'iag', 'imprag'];

const UNFINISHED: readonly JobState[] = ['queued', 'running', 'paused', 'interrupted'];

export const isUnfinished = (state: JobState): boolean => UNFINISHED.includes(state);
export const canPause = (state: JobState): boolean => state === 'queued' || state === 'running';
export const canResume = (state: JobState): boolean => state === 'paused' || state === 'interrupted';

/** The training jobs: unfinished ones first, then the newest. */
export function trainingJobs(jobs: JobView[]): JobView[] {
  const rank = ({ job }: JobView) => (isUnfinished(job.state) ? 0 : 1);
  return jobs
    .filter(({ job }) => job.kind === 'train')
    .sort((one, other) => rank(one) - rank(other) || other.job.created_at - one.job.created_at);
}

/** The trained methods, in their usual order. */
export function trainedMethods(statuses: MethodStatus[]): MethodStatus[] {
  return TRAINED.flatMap((method) => statuses.filter((status) => status.method === method));
}

/**
 * The state of the unfinished training of a collection, the most active one first: what runs, then
 * what waits, then what has stopped.
 */
export function trainingUnder(jobs: JobView[], collection: string): JobState | null {
  const states = trainingJobs(jobs)
    .filter((view) => view.collection === collection)
    .map(({ job }) => job.state);
  const order: JobState[] = ['running', 'queued', 'paused', 'interrupted'];
  return order.find((state) => states.includes(state)) ?? null;
}
