/** What can be done with a chat, as entries of a menu. */

import type { ChatSummary, ExportFormat } from '../bindings';
import type { MenuItem } from '../components';
import { t } from '../i18n';
import type { Desk } from '../state/desk.svelte';

/** Entries that save a chat to a file. */
export function exportItems(chat: ChatSummary, { transport, app }: Desk): MenuItem[] {
  const save = async (format: ExportFormat) => {
    try {
      const name = await transport.saveExport(chat.id, format);
      if (name !== null) app.toast(t('chat.export.done', { name }), { kind: 'good' });
    } catch (thrown) {
      app.fail(thrown);
    }
  };
  return (['markdown', 'json', 'html'] as const).map((format) => ({
    label: t('chat.export.as', { format: t(`chat.export.${format}`) }),
    icon: 'export',
    run: () => void save(format),
  }));
}

/** All entries: rename, export, delete. */
export function chatItems(chat: ChatSummary, desk: Desk, on: { rename: () => void; remove: () => void }): MenuItem[] {
  return [
    { label: t('chat.rename'), icon: 'edit', run: on.rename },
    ...exportItems(chat, desk),
    { label: t('chat.delete'), icon: 'trash', danger: true, run: on.remove },
  ];
}
