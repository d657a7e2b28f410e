/** The transport of the desktop window. No other file may import `@tauri-apps`. */
import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';
import { asDeskError, type DeskEvent, type ExportFormat, type Pick, type PickKind, type Transport } from './transport';

async function ask<Reply>(name: string, request: Record<string, unknown>): Promise<Reply> {
  try {
    return await invoke<Reply>(name, request);
  } catch (thrown) {
    throw asDeskError(thrown);
  }
}

/** The window's transport. */
export function tauriTransport(): Transport {
  return {
    kind: 'window',
    // Every request is an object, and is the whole payload of its command.
    call: (name, request) => ask(name, request as Record<string, unknown>),
    listen(handler) {
      // Registering is asynchronous; an early stop must still take effect.
      const registered = listen<DeskEvent>('desk', ({ payload }) => handler(payload));
      return () => void registered.then((stop) => stop());
    },
    documentBytes: (document) => ask<ArrayBuffer>('document_bytes', { document }),
    pick: (kind: PickKind) => ask<Pick | null>('pick', { kind }),
    saveExport: (chat: number, format: ExportFormat) => ask<string | null>('save_export', { chat, format }),
  };
}
