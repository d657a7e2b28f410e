import type { Settings } from '../bindings';

export type Field = keyof Settings;

/** Why a value cannot be saved. `unit` is left out: the label beside the field names it. */
export type Complaint =
  | { reason: 'not_a_number' }
  | { reason: 'not_whole' }
  | { reason: 'out_of_range'; low: number; high: number }
  | { reason: 'too_small'; low: number };

/** A number as it stands in its field, which may be no number at all. */
export type Draft = { [K in Field]: Settings[K] extends number ? string : Settings[K] };

export const NUMBERS = ['context', 'threads', 'gpu_layers', 'route_margin', 'passage_states_mb', 'pdf_seconds'] as const;
export type NumberField = (typeof NUMBERS)[number];

/** Settings that make the engine load its model again. */
const ENGINE: readonly Field[] = ['base', 'context', 'threads', 'gpu_layers'];

/** What the settings file accepts; the upper bounds guard against slips of the finger. */
const LIMITS: Record<NumberField, { low: number; high?: number }> = {
  context: { low: 512, high: 2 ** 20 },
  threads: { low: 0, high: 1024 },
  gpu_layers: { low: -1, high: 10_000 },
  route_margin: { low: 0, high: 1 },
  passage_states_mb: { low: 0, high: 2 ** 20 },
  pdf_seconds: { low: 1 },
};

/** Settings as they stand in the fields. */
export function draftOf(settings: Settings): Draft {
  return {
    ...settings,
    context: String(settings.context),
    threads: String(settings.threads),
    gpu_layers: String(settings.gpu_layers),
    route_margin: String(settings.route_margin),
    passage_states_mb: String(settings.passage_states_mb),
    pdf_seconds: String(settings.pdf_seconds),
  };
}

/** What is wrong with the number in a field; `null` if nothing. */
export function complaintAbout(field: NumberField, text: string): Complaint | null {
  const trimmed = text.trim();
  const value = Number(trimmed);
  if (trimmed === '' || !Number.isFinite(value)) return { reason: 'not_a_number' };
  if (field !== 'route_margin' && !Number.isInteger(value)) return { reason: 'not_whole' };
  const { low, high } = LIMITS[field];
  if (high === undefined) return value < low ? { reason: 'too_small', low } : null;
  return value < low || value > high ? { reason: 'out_of_range', low, high } : null;
}

/** Every complaint about a draft, by field. */
export function complaints(draft: Draft): Partial<Record<NumberField, Complaint>> {
  const found: Partial<Record<NumberField, Complaint>> = {};
  for (const field of NUMBERS) {
    const complaint = complaintAbout(field, draft[field]);
    if (complaint) found[field] = complaint;
  }
  return found;
}

/** The settings in a draft; `null` while something is wrong with it. */
export function settingsOf(draft: Draft): Settings | null {
  if (Object.keys(complaints(draft)).length > 0) return null;
  return {
    ...draft,
    context: Number(draft.context),
    threads: Number(draft.threads),
    gpu_layers: Number(draft.gpu_layers),
    route_margin: Number(draft.route_margin),
    passage_states_mb: Number(draft.passage_states_mb),
    pdf_seconds: Number(draft.pdf_seconds),
  };
}

/** The fields in which a draft differs from the settings in force. */
export function changedFields(draft: Draft, settings: Settings): Field[] {
  const saved = draftOf(settings);
  return (Object.keys(saved) as Field[]).filter((field) => draft[field].trim() !== saved[field]);
}

/** Whether saving these fields makes the engine load its model again. */
export function reloadsModel(fields: Field[]): boolean {
  return fields.some((field) => ENGINE.includes(field));
}
