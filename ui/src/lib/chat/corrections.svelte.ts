/** Questions that a person sent to another route; the router of GAG knows them from then on. */

import type { RouteChoice, RouteCorrection } from '../bindings';
import { t } from '../i18n';
import type { Desk } from '../state/desk.svelte';

export class Corrections {
  readonly #desk: Desk;
  all = $state.raw<RouteCorrection[]>([]);
  /** A change is on its way. */
  busy = $state(false);

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** The correction of a question, if there is one. */
  of(question: string): RouteCorrection | undefined {
    return this.all.findLast((one) => one.question === question.trim());
  }

  load(): Promise<boolean> {
    return this.#change(() => this.#desk.transport.call('route_corrections', {}));
  }

  /** Sends a question to a route from now on; whether it was noted. */
  correct(question: string, route: RouteChoice): Promise<boolean> {
    return this.#change(() => this.#desk.transport.call('correct_route', { question: question.trim(), route }));
  }

  async undo(correction: RouteCorrection): Promise<void> {
    const done = await this.#change(() => this.#desk.transport.call('undo_route', { id: correction.id }));
    if (done) this.#desk.app.toast(t('gag.undone'), { kind: 'good' });
  }

  async #change(call: () => Promise<RouteCorrection[]>): Promise<boolean> {
    this.busy = true;
    try {
      this.all = await call();
      return true;
    } catch (thrown) {
      this.#desk.app.fail(thrown);
      return false;
    } finally {
      this.busy = false;
    }
  }
}
