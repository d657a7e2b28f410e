/**
 * Opens PDFs with pdf.js. Everything it needs is part of the build: the worker, character maps,
 * substitutes for the standard fonts, image decoders. Scripts inside PDFs are never run.
 */
import type { PDFPageProxy } from 'pdfjs-dist';
import workerAddress from 'pdfjs-dist/legacy/build/pdf.worker.min.mjs?url';

/** An open PDF. */
export interface OpenDocument {
  pages: number;
  /** A page, counted from 1. */
  page(number: number): Promise<PDFPageProxy>;
  /** What stands on a page, with where. */
  text(page: PDFPageProxy): Promise<TextOfPage>;
  /** Fills an element with the page's text as selectable, invisible lines; returns how to call it off. */
  layText(page: PDFPageProxy, text: TextOfPage, into: HTMLElement): () => void;
  /** Frees its memory and ends its worker. */
  close(): Promise<void>;
}

/** What pdf.js reads from a page. */
export type TextOfPage = Awaited<ReturnType<PDFPageProxy['getTextContent']>>;

/** Opens a PDF from its bytes. */
export type Open = (bytes: ArrayBuffer) => Promise<OpenDocument>;

/** Why a PDF does not open. */
export type Refusal = 'password' | 'broken';

/** Images larger than this (in pixels) are left out rather than exhaust the memory. */
const MOST_IMAGE_PIXELS = 100_000_000;

export const open: Open = async (bytes) => {
  // The build for older engines: the window runs in whatever web view the system has.
  const pdfjs = await import('pdfjs-dist/legacy/build/pdf.mjs');
  // A worker for each document: a file that keeps one busy for ever holds up nothing else. Made
  // here, because pdf.js would wrap the address of a custom scheme (the window's) into a blob.
  const port = new Worker(workerAddress, { type: 'module' });
  const worker = pdfjs.PDFWorker.create({ port, verbosity: pdfjs.VerbosityLevel.ERRORS });
  const files = (folder: string) => new URL(`pdfjs/${folder}/`, document.baseURI).href;
  const task = pdfjs.getDocument({
    data: bytes,
    worker,
    verbosity: pdfjs.VerbosityLevel.ERRORS,
    cMapUrl: files('cmaps'),
    cMapPacked: true,
    standardFontDataUrl: files('standard_fonts'),
    wasmUrl: files('wasm'),
    // Fetched by the page, so that one policy covers every request.
    useWorkerFetch: false,
    isEvalSupported: false,
    enableXfa: false,
    maxImageSize: MOST_IMAGE_PIXELS,
  });
  const close = async () => {
    try {
      await task.destroy();
    } finally {
      worker.destroy();
      port.terminate();
    }
  };
  try {
    const failed = new Promise<never>((_, reject) => {
      port.addEventListener('error', (event) => reject(new Error(event.message || 'the PDF worker failed')));
    });
    const pdf = await Promise.race([task.promise, failed]);
    return {
      pages: pdf.numPages,
      page: (number) => Promise.race([pdf.getPage(number), failed]),
      text: readText,
      layText(page, text, into) {
        const layer = new pdfjs.TextLayer({
          textContentSource: text,
          container: into,
          viewport: page.getViewport({ scale: 1 }),
        });
        layer.render().catch(() => undefined);
        return () => layer.cancel();
      },
      close,
    };
  } catch (thrown) {
    await close().catch(() => undefined);
    throw thrown;
  }
};

/** As pdf.js's `getTextContent`, which iterates over a stream in a way that WebKitGTK 2.50 does not know yet. */
async function readText(page: PDFPageProxy): Promise<TextOfPage> {
  const text: TextOfPage = { items: [], styles: {}, lang: null };
  const reader = (page.streamTextContent() as ReadableStream<TextOfPage>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text;
    text.lang ??= value.lang;
    Object.assign(text.styles, value.styles);
    for (const item of value.items) text.items.push(item);
  }
}

/** What stands in the way, for something that pdf.js threw; `null` for anything else. */
export function refusal(thrown: unknown): Refusal | null {
  const name = thrown instanceof Error ? thrown.name : '';
  if (name === 'PasswordException') return 'password';
  return /^(InvalidPDF|Format|UnknownError|MissingPDF|XRef)/.test(name) ? 'broken' : null;
}

/** Whether something was thrown only because drawing was called off. */
export function calledOff(thrown: unknown): boolean {
  const name = thrown instanceof Error ? thrown.name : '';
  return name === 'RenderingCancelledException' || name === 'AbortException';
}
