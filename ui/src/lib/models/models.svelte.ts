import type { Device, ModelsView } from '../bindings';
import { t } from '../i18n';
import type { Desk } from '../state/desk.svelte';
import { asDeskError, type DeskError } from '../transport/transport';
import { isAboutModels } from './catalog';

/** The models of a desk: one state for all views about them, listening from the first call on. */
export function modelsOf(desk: Desk): ModelsState {
  return desk.keep('models', (desk) => new ModelsState(desk));
}

/** The models, as the views about them need them. */
export class ModelsState {
  view = $state.raw<ModelsView | null>(null);
  /** Why the models could not be listed. */
  error = $state.raw<DeskError | null>(null);
  devices = $state.raw<Device[] | null>(null);
  /** Why the devices could not be found out. */
  devicesError = $state.raw<DeskError | null>(null);
  /** Why the last model could not be added. */
  addError = $state.raw<DeskError | null>(null);
  /** A file is being checked. */
  adding = $state(false);
  /** The base that is being saved. */
  saving = $state<string | null>(null);

  #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  listen(): () => void {
    return this.#desk.transport.listen((event) => {
      if (event.kind === 'models') void this.refresh();
      if (event.kind === 'dropped' && isAboutModels(event.pick)) {
        this.#desk.app.go('models');
        void this.add(event.pick.id);
      }
    });
  }

  async refresh(): Promise<void> {
    try {
      this.view = await this.#desk.transport.call('list_models', {});
      this.error = null;
    } catch (thrown) {
      this.error = asDeskError(thrown);
    }
  }

  async refreshDevices(): Promise<void> {
    try {
      this.devices = await this.#desk.transport.call('devices', {});
      this.devicesError = null;
    } catch (thrown) {
      this.devicesError = asDeskError(thrown);
    }
  }

  /** Lets the user choose a file and adds it. */
  async choose(): Promise<void> {
    try {
      const pick = await this.#desk.transport.pick('model');
      if (pick) await this.add(pick.id);
    } catch (thrown) {
      this.#failed(thrown);
    }
  }

  async add(pick: string): Promise<void> {
    this.adding = true;
    this.addError = null;
    try {
      const added = await this.#desk.transport.call('add_model', { pick });
      await this.refresh();
      this.#desk.app.toast(t('models.add.done', { name: added.name }), { kind: 'good' });
    } catch (thrown) {
      this.#failed(thrown);
    } finally {
      this.adding = false;
    }
  }

  /** Takes a model that the user added off the list. */
  async remove(name: string): Promise<void> {
    await this.#desk.transport.call('remove_model', { name });
    await this.refresh();
    this.#desk.app.toast(t('models.remove.done', { name }), { kind: 'good' });
  }

  /** Lets another model answer: `auto`, or a model's name. */
  async setBase(base: string): Promise<void> {
    this.saving = base;
    try {
      const { settings } = await this.#desk.transport.call('settings', {});
      await this.#desk.transport.call('save_settings', { ...settings, base });
      await this.refresh();
      const said = base === 'auto' ? t('models.base.saved.auto') : t('models.base.saved', { name: base });
      this.#desk.app.toast(said, { kind: 'good' });
    } catch (thrown) {
      this.#desk.app.fail(thrown);
    } finally {
      this.saving = null;
    }
  }

  #failed(thrown: unknown): void {
    const error = asDeskError(thrown);
    if (error.code !== 'cancelled') this.addError = error;
  }
}
