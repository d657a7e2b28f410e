/** What GAG spares the base model to read, against RAG on the same question. */

import type { Answer } from '../bindings';
import { t } from '../i18n';
import { expertAsked } from './routes';

/** What the expert read and wrote, in words; empty where none was asked. */
export function expertWords({ gag }: Answer): string {
  if (!gag || !expertAsked(gag)) return '';
  const { tokens_read: read, tokens_written: written } = gag.expert;
  if (read + written === 0) return gag.cached ? t('gag.saving.kept') : '';
  return t(gag.cached ? 'gag.saving.expert.kept' : 'gag.saving.expert', { read, written });
}

/**
 * How much less the base read than RAG's did, and what the expert read and wrote for it. Without
 * an answer by RAG to the same question there is nothing to compare with.
 */
export function savingWords(answer: Answer, rag: Answer | null | undefined): string {
  if (!answer.gag || !rag) return '';
  const fewer = rag.usage.tokens_read - answer.usage.tokens_read;
  const words =
    fewer === 0 ? t('gag.saving.same') : t(fewer > 0 ? 'gag.saving.fewer' : 'gag.saving.more', { count: Math.abs(fewer) });
  const expert = expertWords(answer);
  return expert === '' ? `${words}.` : `${words}; ${expert}.`;
}
