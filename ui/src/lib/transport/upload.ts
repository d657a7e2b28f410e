/** Files that a browser hands over: from a file dialog or dropped onto the page. */
import type { PickKind } from './transport';

/** A file with its name relative to what was chosen, such as `papers/2024/one.pdf`. */
export interface NamedFile {
  name: string;
  file: File;
}

const isPdf = (name: string) => name.toLowerCase().endsWith('.pdf');

/** Opens the browser's file dialog. */
export function choose(kind: PickKind): Promise<NamedFile[]> {
  const input = document.createElement('input');
  input.type = 'file';
  input.hidden = true;
  if (kind === 'folder') input.webkitdirectory = true;
  else input.multiple = kind === 'files';
  if (kind === 'files') input.accept = '.pdf,application/pdf';
  if (kind === 'model') input.accept = '.gguf';
  document.body.append(input);
  return new Promise<NamedFile[]>((done) => {
    input.addEventListener('cancel', () => done([]));
    input.addEventListener('change', () => {
      const files = [...(input.files ?? [])].map((file) => ({ name: file.webkitRelativePath || file.name, file }));
      done(kind === 'folder' ? files.filter(({ name }) => isPdf(name)) : files);
    });
    input.click();
  }).finally(() => input.remove());
}

async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const entries: FileSystemEntry[] = [];
  // A reader hands out a folder in portions; an empty portion is the end.
  for (;;) {
    const portion = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
    if (portion.length === 0) return entries;
    entries.push(...portion);
  }
}

async function collect(entry: FileSystemEntry, files: NamedFile[]): Promise<void> {
  if (entry.isDirectory) {
    for (const inner of await entriesOf(entry as FileSystemDirectoryEntry)) await collect(inner, files);
  } else if (isPdf(entry.name)) {
    const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
    files.push({ name: entry.fullPath.replace(/^\/+/, ''), file });
  }
}

/** The PDFs among what was dropped, folders included. */
export async function droppedFiles(entries: FileSystemEntry[]): Promise<{ files: NamedFile[]; folders: boolean }> {
  const files: NamedFile[] = [];
  for (const entry of entries) await collect(entry, files);
  return { files, folders: entries.some((entry) => entry.isDirectory) };
}

/** Tells when files hover over the page and when they are dropped. */
export function watchDrops(on: { over(over: boolean): void; drop(entries: FileSystemEntry[]): Promise<void> }): () => void {
  const stop = new AbortController();
  const options = { signal: stop.signal };
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  // Entering an inner element fires before leaving the outer one, so the two are counted.
  let depth = 0;
  window.addEventListener('dragenter', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth += 1;
    if (depth === 1) on.over(true);
  }, options);
  window.addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault();
  }, options);
  window.addEventListener('dragleave', (event) => {
    if (!hasFiles(event)) return;
    depth = Math.max(0, depth - 1);
    if (depth === 0) on.over(false);
  }, options);
  window.addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    on.over(false);
    // The list is emptied as soon as this handler returns.
    const entries = [...(event.dataTransfer?.items ?? [])]
      .map((item) => item.webkitGetAsEntry())
      .filter((entry) => entry !== null);
    void on.drop(entries);
  }, options);
  return () => stop.abort();
}
