import type { Diagnosis, SettingsView } from '../bindings';
import { setLanguage } from '../i18n';
import type { Desk } from '../state/desk.svelte';
import { asDeskError, type DeskError } from '../transport/transport';
import { changedFields, complaints, draftOf, settingsOf, type Draft, type Field } from './draft';

/**
 * The settings, and what the user is about to change. Nothing is applied before `save`; the
 * edits outlive a look at another view.
 */
export class SettingsState {
  view = $state.raw<SettingsView | null>(null);
  /** Why the settings could not be read. */
  error = $state.raw<DeskError | null>(null);
  draft = $state<Draft | null>(null);
  saving = $state(false);
  /** Why they could not be saved. */
  saveError = $state.raw<DeskError | null>(null);

  diagnosis = $state.raw<Diagnosis | null>(null);
  diagnosing = $state(false);
  diagnosisError = $state.raw<DeskError | null>(null);

  changed = $derived(this.draft && this.view ? changedFields(this.draft, this.view.settings) : []);
  wrong = $derived(this.draft ? complaints(this.draft) : {});

  #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** The base can also be chosen among the models. */
  listen(): () => void {
    return this.#desk.transport.listen((event) => {
      if (event.kind === 'models' && this.view && !this.saving) void this.refresh();
    });
  }

  /** Reads the settings in force; edits that are not saved yet stay. */
  async refresh(): Promise<void> {
    try {
      this.#take(await this.#desk.transport.call('settings', {}), this.changed);
      this.error = null;
    } catch (thrown) {
      this.error = asDeskError(thrown);
    }
  }

  /** Writes the edits; whether that went well. */
  async save(): Promise<boolean> {
    const settings = this.draft && settingsOf(this.draft);
    if (!settings || this.saving) return false;
    this.saving = true;
    this.saveError = null;
    try {
      this.#take(await this.#desk.transport.call('save_settings', settings), []);
      this.#desk.app.setTheme(settings.theme);
      setLanguage(settings.language);
      return true;
    } catch (thrown) {
      this.saveError = asDeskError(thrown);
      return false;
    } finally {
      this.saving = false;
    }
  }

  /** Gives up the edits. */
  revert(): void {
    this.saveError = null;
    if (this.view) this.#take(this.view, []);
  }

  /** Puts a field back to what it is without any settings file; that too has to be saved. */
  reset(field: Field): void {
    if (!this.draft || !this.view) return;
    this.draft = { ...this.draft, [field]: draftOf(this.view.defaults)[field] };
  }

  isDefault(field: Field): boolean {
    return !this.draft || !this.view || this.draft[field].trim() === draftOf(this.view.defaults)[field];
  }

  async diagnose(): Promise<void> {
    if (this.diagnosing) return;
    this.diagnosing = true;
    this.diagnosisError = null;
    try {
      this.diagnosis = await this.#desk.transport.call('diagnose', {});
    } catch (thrown) {
      this.diagnosisError = asDeskError(thrown);
    } finally {
      this.diagnosing = false;
    }
  }

  /** Takes over settings, but leaves the edited fields as they are. */
  #take(view: SettingsView, edited: Field[]): void {
    const draft: Draft = draftOf(view.settings);
    const old = this.draft;
    if (old) for (const field of edited) draft[field] = old[field];
    this.view = view;
    this.draft = draft;
  }
}
