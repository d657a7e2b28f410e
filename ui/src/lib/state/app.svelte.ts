import type { Answer, Hello, PageSpan } from '../bindings';
import { setLanguage } from '../i18n';
import { asDeskError, type DeskError, type Transport } from '../transport/transport';

/** The views of the main area. */
export const views = ['chat', 'library', 'models', 'experts', 'settings', 'privacy'] as const;
export type ViewName = (typeof views)[number];

/** A short message in the corner. */
export interface Toast {
  id: number;
  kind: 'info' | 'good' | 'bad';
  text: string;
  /** Where it is about an error, the whole of it. */
  error: DeskError | null;
  action: { label: string; run: () => void } | null;
}

/** What the evidence panel is to show: a place in a document, or what stands behind an answer. */
export interface EvidenceTarget {
  /** The page to open; `null` shows only what stands behind the answer. */
  place: { document: number; title: string; page: number; span: PageSpan | null } | null;
  /** The answer it is about. */
  answer: Answer | null;
  /** Index into the answer's sentences of the one that was clicked. */
  sentence: number | null;
}

/** What is seen of the window as a whole: view, theme, language, messages. */
export class AppState {
  view = $state<ViewName>('chat');
  hello = $state.raw<Hello | null>(null);
  /** Why the core did not answer at the start. */
  startError = $state.raw<DeskError | null>(null);
  toasts = $state.raw<Toast[]>([]);
  evidence = $state.raw<EvidenceTarget | null>(null);
  /** Whether the list of shortcuts is shown. */
  helpOpen = $state(false);
  theme = $state('auto');
  #transport: Transport;
  #toasts = 0;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Greets the core and takes over language and theme from the settings. */
  async start(): Promise<void> {
    try {
      this.hello = await this.#transport.call('hello', {});
      this.startError = null;
      setLanguage(this.hello.language);
      this.setTheme(this.hello.theme);
    } catch (thrown) {
      this.startError = asDeskError(thrown);
    }
  }

  /** Asks again what stands in the way of answering. */
  async greet(): Promise<void> {
    try {
      this.hello = await this.#transport.call('hello', {});
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  go(view: ViewName): void {
    this.view = view;
  }

  /** `auto`, `light` or `dark`. */
  setTheme(theme: string): void {
    this.theme = theme;
    const root = document.documentElement;
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  showEvidence(target: EvidenceTarget): void {
    this.evidence = target;
  }

  closeEvidence(): void {
    this.evidence = null;
  }

  /** Shows a short message. Those about errors stay until dismissed. */
  toast(text: string, options: Partial<Omit<Toast, 'id' | 'text'>> = {}): number {
    const id = ++this.#toasts;
    const toast: Toast = { id, text, kind: 'info', error: null, action: null, ...options };
    this.toasts = [...this.toasts.slice(-3), toast];
    return id;
  }

  /** Shows something thrown, unless the user cancelled it themselves. */
  fail(thrown: unknown): void {
    const error = asDeskError(thrown);
    if (error.code === 'cancelled') return;
    if (this.toasts.some((toast) => toast.error?.message === error.message && toast.error.subject === error.subject)) return;
    this.toast(error.message, { kind: 'bad', error });
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }
}
