/** The one way from the pages to the core: Tauri's IPC in the window, HTTP in a browser, memory in tests. */
import type { Commands, DeskEvent, Error as DeskError, ErrorCode, ExportFormat, Pick } from '../bindings';

export type { Commands, DeskError, DeskEvent, ErrorCode, ExportFormat, Pick };

/** What a file dialog is to choose. */
export type PickKind = 'files' | 'folder' | 'model';

export interface Transport {
  readonly kind: 'window' | 'browser' | 'fake';
  /** Runs a command; rejects with a {@link DeskError}. */
  call<K extends keyof Commands>(name: K, request: Commands[K]['request']): Promise<Commands[K]['reply']>;
  /** Hears everything that happens, until the returned function is called. */
  listen(handler: (event: DeskEvent) => void): () => void;
  /** The PDF of a document. */
  documentBytes(document: number): Promise<ArrayBuffer>;
  /** Lets the user choose; `null` if they chose nothing. */
  pick(kind: PickKind): Promise<Pick | null>;
  /** Lets the user save a conversation; the file's name, or `null` if they did not. */
  saveExport(chat: number, format: ExportFormat): Promise<string | null>;
}

/** Whether a thrown value is an error of the core. */
export function isDeskError(thrown: unknown): thrown is DeskError {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown && 'message' in thrown;
}

/** Any thrown value as an error that can be shown. */
export function asDeskError(thrown: unknown): DeskError {
  if (isDeskError(thrown)) {
    return { code: thrown.code, message: thrown.message, hint: thrown.hint ?? null, subject: thrown.subject ?? null };
  }
  const message = thrown instanceof globalThis.Error ? thrown.message : String(thrown);
  return { code: 'internal', message, hint: null, subject: null };
}
