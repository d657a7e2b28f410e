/** How long IAG took and what its models read, against RAG on the same question. */

import type { Answer } from '../bindings';
import { number, t } from '../i18n';

/** Differences below this share are not told from none. */
const SAME = 0.05;

/**
 * Whether IAG was faster end to end, with what it took to imagine, and the tokens of all of its
 * models. Without an answer by RAG to the same question there is nothing to compare with.
 */
export function againstWords({ iag, timings, usage }: Answer, rag: Answer | null | undefined): string {
  if (!iag || !rag || timings.total_ms <= 0 || rag.timings.total_ms <= 0) return '';
  const ratio = rag.timings.total_ms / timings.total_ms;
  const times = (value: number) => number(value, value < 10 ? 1 : 0);
  const speed = () => {
    if (Math.abs(ratio - 1) < SAME) return t('iag.against.same');
    return ratio > 1 ? t('iag.against.faster', { times: times(ratio) }) : t('iag.against.slower', { times: times(1 / ratio) });
  };
  const included = iag.cached ? t('iag.against.kept') : iag.mode === 'own_document' ? t('iag.against.included') : '';
  // What a kept document had cost was paid by another question.
  const imagine = iag.cached ? { tokens_read: 0, tokens_written: 0 } : iag.imagine;
  const tokens = t('iag.against.tokens', {
    read: usage.tokens_read + imagine.tokens_read,
    written: usage.tokens_written + imagine.tokens_written,
    theirs: rag.usage.tokens_read,
    wrote: rag.usage.tokens_written,
  });
  return `${speed()}${included === '' ? '' : `, ${included}`}; ${tokens}.`;
}
