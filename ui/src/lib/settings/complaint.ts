import { t } from '../i18n';
import type { Complaint } from './draft';

/** Why a value cannot be saved, in words; `null` where nothing is wrong. */
export function wordsFor(complaint: Complaint | undefined): string | null {
  if (!complaint) return null;
  const { reason, ...limits } = complaint;
  return t(`settings.wrong.${reason}`, limits);
}
