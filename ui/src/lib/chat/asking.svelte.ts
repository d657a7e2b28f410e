/** How the next question is asked: by which method, and what is ready to be asked. */

import { SvelteSet } from 'svelte/reactivity';
import type { DeskEvent, Error as DeskError, IagMode, JobView, Method, MethodStatus, Preset } from '../bindings';
import type { Transport } from '../transport/transport';
import { inOrder, readyMethods, type Choice } from './methods';

export class Asking {
  readonly #transport: Transport;
  #collection: string | null = null;
  #soon: ReturnType<typeof setTimeout> | null = null;
  #busy = false;
  #stale = false;

  statuses = $state.raw<MethodStatus[]>([]);
  error = $state.raw<DeskError | null>(null);
  choice = $state<Choice>('rag');
  /** Methods left out of a comparison. */
  readonly without = new SvelteSet<Method>();
  abstain = $state(true);
  blind = $state(false);
  /** What IAG is to put into its prompt. */
  imagine = $state<IagMode>('own_document');

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async show(collection: string | null): Promise<void> {
    this.#collection = collection;
    this.statuses = [];
    await this.load();
  }

  /** Something happened that may have made a method ready, or unready. */
  changed(event: DeskEvent): void {
    const matters =
      event.kind === 'library' || event.kind === 'models' || (event.kind === 'job' && event.job.job.state === 'finished');
    if (!matters) return;
    // An import says so many times a second.
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      void this.load();
    }, 300);
  }

  /** Asks which methods are ready; calls while one is under way become one more. */
  async load(): Promise<void> {
    if (this.#busy) {
      this.#stale = true;
      return;
    }
    this.#busy = true;
    try {
      do {
        this.#stale = false;
        const collection = this.#collection;
        if (collection === null) break;
        try {
          const statuses = await this.#transport.call('methods', { collection });
          if (collection === this.#collection) this.statuses = statuses;
          this.error = null;
        } catch (error) {
          this.error = error as DeskError;
        }
      } while (this.#stale);
    } finally {
      this.#busy = false;
    }
  }

  status(method: Method): MethodStatus | undefined {
    return this.statuses.find((status) => status.method === method);
  }

  get ready(): Method[] {
    return readyMethods(this.statuses);
  }

  /** The methods that would answer now. */
  get methods(): Method[] {
    if (this.choice === 'compare') return inOrder(this.ready).filter((method) => !this.without.has(method));
    return this.ready.includes(this.choice) ? [this.choice] : [];
  }

  /** Whether there is a method to answer, or two to compare. */
  get possible(): boolean {
    return this.methods.length >= (this.choice === 'compare' ? 2 : 1);
  }

  get how(): { methods: Method[]; abstain: boolean; blind: boolean } {
    return { methods: this.methods, abstain: this.abstain, blind: this.choice === 'compare' && this.blind };
  }

  async train(method: Method, preset: Preset): Promise<JobView> {
    const job = await this.#transport.call('start_training', { method, collection: this.#collection ?? '', preset });
    void this.load();
    return job;
  }
}
