import type { JobView } from '../bindings';
import { t } from '../i18n';
import type { Transport } from '../transport/transport';
import type { AppState } from './app.svelte';

/** Whether a job can still go on. */
export function isOpen({ job }: JobView): boolean {
  return ['queued', 'running', 'paused', 'interrupted'].includes(job.state);
}

/** Long work: what is under way, paused or just done. */
export class JobsState {
  all = $state.raw<JobView[]>([]);
  /** Those that can still go on, newest first. */
  open = $derived(this.all.filter(isOpen));
  #transport: Transport;
  #app: AppState;

  constructor(transport: Transport, app: AppState) {
    this.#transport = transport;
    this.#app = app;
  }

  listen(): () => void {
    return this.#transport.listen((event) => {
      if (event.kind === 'job') this.take(event.job);
    });
  }

  async refresh(): Promise<void> {
    try {
      this.all = await this.#transport.call('list_jobs', {});
    } catch (thrown) {
      this.#app.fail(thrown);
    }
  }

  /** Puts a job's newest state in the place of the one before. */
  take(view: JobView): void {
    const known = this.all.findIndex(({ job }) => job.id === view.job.id);
    const before = this.all[known];
    if (before && isOpen(before) && !isOpen(view)) this.#announce(view);
    this.all = known < 0 ? [view, ...this.all] : this.all.with(known, view);
  }

  /** Says how a job ended. That it was cancelled is known to whoever did so. */
  #announce({ job, collection }: JobView): void {
    const name = t(`frame.job.${job.kind}`);
    const what = collection === null ? name : `${name} (${collection})`;
    if (job.state === 'finished') this.#app.toast(t('frame.job.finished', { what }), { kind: 'good' });
    if (job.state === 'failed') this.#app.toast(t('frame.job.failed', { what }), { kind: 'bad', error: job.error });
  }

  pause(job: number): Promise<void> {
    return this.#tell('pause_job', job);
  }

  resume(job: number): Promise<void> {
    return this.#tell('resume_job', job);
  }

  cancel(job: number): Promise<void> {
    return this.#tell('cancel_job', job);
  }

  async #tell(command: 'pause_job' | 'resume_job' | 'cancel_job', job: number): Promise<void> {
    try {
      await this.#transport.call(command, { job });
    } catch (thrown) {
      this.#app.fail(thrown);
    }
  }
}
