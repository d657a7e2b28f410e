import type { Method, MethodStatus, TrainingPreset } from '../bindings';
import { t } from '../i18n';
import type { Desk } from '../state/desk.svelte';
import { asDeskError, type DeskError } from '../transport/transport';

/** Which methods can answer from the open collection, and how to get the others ready. */
export class ExpertsState {
  statuses = $state.raw<MethodStatus[] | null>(null);
  error = $state.raw<DeskError | null>(null);
  /** The method whose training is being asked for. */
  starting = $state<Method | null>(null);

  #desk: Desk;
  #asked = 0;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** A training that ended may have made a method ready. */
  listen(): () => void {
    return this.#desk.transport.listen((event) => {
      if (event.kind === 'job' && event.job.job.kind === 'train' && event.job.job.state === 'finished') {
        void this.refresh(this.#desk.library.collection);
      }
    });
  }

  async refresh(collection: string | null): Promise<void> {
    const asked = ++this.#asked;
    if (collection === null) {
      this.statuses = null;
      return;
    }
    try {
      const statuses = await this.#desk.transport.call('methods', { collection });
      if (asked !== this.#asked) return;
      this.statuses = statuses;
      this.error = null;
    } catch (thrown) {
      if (asked === this.#asked) this.error = asDeskError(thrown);
    }
  }

  async start(method: Method, collection: string, preset: TrainingPreset): Promise<void> {
    this.starting = method;
    try {
      this.#desk.jobs.take(await this.#desk.transport.call('start_training', { method, collection, preset }));
      this.#desk.app.toast(t('experts.started'), { kind: 'good' });
      await this.refresh(collection);
    } catch (thrown) {
      this.#desk.app.fail(thrown);
    } finally {
      this.starting = null;
    }
  }
}
