/** The transport of a browser on `quartet serve`. */
import { asDeskError, isDeskError, type DeskError, type DeskEvent, type Pick, type PickKind, type Transport } from './transport';
import type { JobView } from '../bindings';
import { t } from '../i18n';
import { choose, droppedFiles, watchDrops, type NamedFile } from './upload';

const tokenKey = 'quartet-token';

/**
 * The token that `quartet serve` printed in the address. It is taken out of the address bar,
 * so that it does not end up in a bookmark, and kept until the tab is closed.
 */
export function takeToken(): string {
  const given = /[#&]token=([^&]+)/.exec(location.hash)?.[1];
  if (given) {
    sessionStorage.setItem(tokenKey, decodeURIComponent(given));
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(tokenKey) ?? '';
}

function unreachable(): DeskError {
  return { code: 'io', message: t('frame.error.unreachable'), hint: t('frame.error.unreachable.hint'), subject: null };
}

async function refused(response: Response): Promise<DeskError> {
  const body: unknown = await response.json().catch(() => null);
  if (isDeskError(body)) return asDeskError(body);
  if (response.status === 401 || response.status === 403) {
    return { code: 'invalid_input', message: t('frame.error.token'), hint: t('frame.error.token.hint'), subject: null };
  }
  return { ...unreachable(), code: 'internal', subject: `HTTP ${response.status}` };
}

const pause = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

/** Calls `handler` for each line of JSON until the stream ends. */
export async function readLines(stream: ReadableStream<Uint8Array>, handler: (event: DeskEvent) => void): Promise<void> {
  const reader = stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim()) handler(JSON.parse(line) as DeskEvent);
  }
}

/** The browser's transport. */
export function httpTransport(token: string = takeToken()): Transport {
  const listeners = new Set<(event: DeskEvent) => void>();
  const emit = (event: DeskEvent) => listeners.forEach((listener) => listener(event));
  let stopAll: (() => void) | null = null;

  async function request(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...(init.headers as Record<string, string>), Authorization: `Bearer ${token}` };
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers });
    } catch (thrown) {
      if (init.signal?.aborted) throw thrown;
      throw unreachable();
    }
    if (!response.ok) throw await refused(response);
    return response;
  }

  async function call(name: string, body: unknown) {
    const response = await request(`api/call/${name}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    return response.json();
  }

  async function followEvents(signal: AbortSignal): Promise<void> {
    let wait = 250;
    for (let first = true; !signal.aborted; first = false) {
      try {
        const response = await request('api/events', { signal });
        wait = 250;
        // Whatever happened while nobody listened is made good by reading the state again.
        if (!first) {
          emit({ kind: 'library' });
          emit({ kind: 'models' });
          for (const job of (await call('list_jobs', {})) as JobView[]) emit({ kind: 'job', job });
        }
        if (response.body) await readLines(response.body, emit);
      } catch {
        // Tried again below; the commands report what is wrong.
      }
      if (signal.aborted) return;
      await pause(wait);
      wait = Math.min(wait * 2, 5000);
    }
  }

  async function upload(files: NamedFile[], kind: PickKind): Promise<Pick> {
    const opened = await request('api/uploads', { method: 'POST' });
    const { upload: id } = (await opened.json()) as { upload: string };
    for (const { name, file } of files) {
      await request(`api/uploads/${id}/${encodeURIComponent(name)}`, { method: 'PUT', body: file });
    }
    const done = await request(`api/uploads/${id}/done?kind=${kind}`, { method: 'POST' });
    return (await done.json()) as Pick;
  }

  return {
    kind: 'browser',
    call: call as Transport['call'],
    listen(handler) {
      listeners.add(handler);
      if (!stopAll) {
        const stopped = new AbortController();
        void followEvents(stopped.signal);
        const stopDrops = watchDrops({
          over: (over) => emit({ kind: 'drag', over }),
          async drop(items) {
            const { files, folders } = await droppedFiles(items);
            if (files.length > 0) emit({ kind: 'dropped', pick: await upload(files, folders ? 'folder' : 'files') });
          },
        });
        stopAll = () => {
          stopped.abort();
          stopDrops();
        };
      }
      return () => {
        listeners.delete(handler);
        if (listeners.size === 0) {
          stopAll?.();
          stopAll = null;
        }
      };
    },
    async documentBytes(document) {
      return (await request(`api/documents/${document}`)).arrayBuffer();
    },
    async pick(kind) {
      const files = await choose(kind);
      return files.length > 0 ? upload(files, kind) : null;
    },
    async saveExport(chat, format) {
      const { name, media_type, content } = await call('export_chat', { chat, format });
      const address = URL.createObjectURL(new Blob([content], { type: media_type }));
      const link = document.createElement('a');
      link.href = address;
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
      return name;
    },
  };
}
