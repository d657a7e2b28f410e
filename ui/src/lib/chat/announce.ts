/** What a screen reader is told about a run. */

import { t } from '../i18n';
import type { Announcement } from '../state/chat.svelte';
import { supportShare } from './support';

export function announce(announcement: Announcement | null): string {
  if (!announcement) return '';
  if (announcement.kind === 'begun') return t('chat.begun', { count: announcement.methods });
  const { columns } = announcement.run;
  const [first] = columns;
  if (columns.length !== 1 || !first) return t('chat.ended.many', { count: columns.length });
  if (first.answer?.outcome === 'not_in_documents') return t('chat.ended.absent');
  if (first.answer) {
    const share = supportShare(first.answer);
    return t('chat.ended', { support: share.total === 0 ? '' : t('chat.support', share) }).trim();
  }
  if (first.phase === 'stopped') return t('chat.ended.stopped');
  return t('chat.ended.failed', { message: first.error?.message || t('chat.lost') });
}
