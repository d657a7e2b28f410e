import type { DeskEvent, JobKind, JobProgress, JobState, JobView } from '../../bindings';
import type { Handlers } from '../fake';

/** What works on something that is made up. It never gets further; only its state changes. */
export interface FakeJobs {
  add(kind: JobKind, collection: { id: number; name: string }, progress: JobProgress, curve?: JobView['curve']): JobView;
  handlers: Handlers;
}

export function fakeJobs(emit: (event: DeskEvent) => void): FakeJobs {
  const jobs: JobView[] = [];
  let ids = 100;
  const setState = (id: number, state: JobState) => {
    const at = jobs.findIndex(({ job }) => job.id === id);
    const view = jobs[at];
    if (!view) throw { code: 'not_found', message: 'no such job', hint: null, subject: String(id) };
    jobs[at] = { ...view, job: { ...view.job, state } };
    emit({ kind: 'job', job: jobs[at] });
    return {};
  };
  return {
    add(kind, { id, name }, progress, curve = []) {
      const now = Math.round(Date.now() / 1000);
      const view: JobView = {
        job: { id: ++ids, kind, collection: id, state: 'running', progress, error: null, created_at: now, updated_at: now },
        collection: name,
        curve,
      };
      jobs.unshift(view);
      emit({ kind: 'job', job: view });
      return view;
    },
    handlers: {
      list_jobs: () => [...jobs],
      pause_job: ({ job }) => setState(job, 'paused'),
      resume_job: ({ job }) => setState(job, 'running'),
      cancel_job: ({ job }) => setState(job, 'cancelled'),
    },
  };
}
