import type { Artefact, JobView, Method, MethodStatus, Preset } from '../bindings';
import { t } from '../i18n';
import type { Desk } from '../state/desk.svelte';
import { asDeskError, type DeskError } from '../transport/transport';

/** What is trained on the open collection, which methods can answer from it, and how to train more. */
export class ExpertsState {
  statuses = $state.raw<MethodStatus[] | null>(null);
  artefacts = $state.raw<Artefact[] | null>(null);
  error = $state.raw<DeskError | null>(null);
  /** What is being asked to be trained: a method, or the expert. */
  starting = $state<Method | 'expert' | null>(null);

  #desk: Desk;
  #asked = 0;
  #collection: string | null = null;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /**
   * A training that ended has made something; documents that come or go make it out of date. During
   * an import nothing is asked until its end.
   */
  listen(): () => void {
    return this.#desk.transport.listen((event) => {
      const ended = event.kind === 'job' && event.job.job.state === 'finished';
      const importing = this.#desk.jobs.open.some(({ job }) => job.kind === 'import' && job.state === 'running');
      const changed = event.kind === 'library' && !importing;
      if (ended || changed) void this.refresh(this.#desk.library.collection);
    });
  }

  async refresh(collection: string | null): Promise<void> {
    const asked = ++this.#asked;
    if (collection !== this.#collection) {
      // What another collection has would be wrong to show meanwhile.
      this.#collection = collection;
      this.statuses = null;
      this.artefacts = null;
      this.error = null;
    }
    if (collection === null) return;
    const { transport } = this.#desk;
    const [statuses, artefacts] = await Promise.allSettled([
      transport.call('methods', { collection }),
      transport.call('artefacts', { collection }),
    ]);
    if (asked !== this.#asked) return;
    if (statuses.status === 'fulfilled') this.statuses = statuses.value;
    if (artefacts.status === 'fulfilled') this.artefacts = artefacts.value;
    const failed = [statuses, artefacts].find((one) => one.status === 'rejected');
    this.error = failed ? asDeskError(failed.reason) : null;
  }

  start(method: Method, collection: string, preset: Preset): Promise<void> {
    return this.#begin(method, collection, () =>
      this.#desk.transport.call('start_training', { method, collection, preset }),
    );
  }

  startExpert(collection: string, preset: Preset): Promise<void> {
    return this.#begin('expert', collection, () => this.#desk.transport.call('train_expert', { collection, preset }));
  }

  /** Encodes the passages of a collection for implicit queries. */
  async prepare(collection: string): Promise<void> {
    try {
      this.#desk.jobs.take(await this.#desk.transport.call('index_passages', { collection }));
      this.#desk.app.toast(t('imprag.prepare.started'), { kind: 'good' });
    } catch (thrown) {
      this.#desk.app.fail(thrown);
    }
  }

  async #begin(what: Method | 'expert', collection: string, ask: () => Promise<JobView>): Promise<void> {
    this.starting = what;
    try {
      this.#desk.jobs.take(await ask());
      this.#desk.app.toast(t('experts.started'), { kind: 'good' });
      if (collection === this.#collection) await this.refresh(collection);
    } catch (thrown) {
      this.#desk.app.fail(thrown);
    } finally {
      this.starting = null;
    }
  }
}
