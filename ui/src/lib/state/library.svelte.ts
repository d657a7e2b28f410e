import type { Collection, Document, DocumentPage, DocumentStatus, JobView, LinkedFolder, Pick, StatusCount } from '../bindings';
import { t } from '../i18n';
import type { Transport } from '../transport/transport';
import type { AppState } from './app.svelte';

/** Documents fetched at a time. */
const portion = 100;

/** Collections, and the documents of the one that is open. */
export class LibraryState {
  collections = $state.raw<Collection[]>([]);
  loaded = $state(false);
  /** Name of the open collection. */
  collection = $state<string | null>(null);
  /** Files hover over the window. */
  dragging = $state(false);

  query = $state('');
  status = $state<DocumentStatus | null>(null);
  /** Every matching document in order; those not fetched yet are `undefined`. */
  documents = $state.raw<(Document | undefined)[]>([]);
  counts = $state.raw<StatusCount[]>([]);
  folders = $state.raw<LinkedFolder[]>([]);
  /** Whether the documents shown are those of the open collection and filter. */
  fresh = $state(false);

  /** The open collection. */
  current = $derived(this.collections.find(({ name }) => name === this.collection) ?? null);

  #transport: Transport;
  #app: AppState;
  /** Counts the questions asked, so that a late answer to an old one is not taken. */
  #asked = 0;
  /** Portions on their way, and portions that are here and up to date, by their first row. */
  #pending = new Set<number>();
  #current = new Set<number>();
  /** Rows in sight. */
  #range = { first: 0, last: 0 };
  #again: ReturnType<typeof setTimeout> | null = null;

  constructor(transport: Transport, app: AppState) {
    this.#transport = transport;
    this.#app = app;
  }

  listen(): () => void {
    return this.#transport.listen((event) => {
      if (event.kind === 'drag') this.dragging = event.over;
      if (event.kind === 'dropped') {
        this.dragging = false;
        // Model files are for the models page.
        if (event.pick.folders === 0 && event.pick.names.every((name) => /\.gguf$/i.test(name))) return;
        void this.importPick(event.pick, false, t('frame.firstCollection'));
      }
      if (event.kind === 'library') this.#soon();
    });
  }

  /** Changes come in bursts during an import; they are read together. */
  #soon(): void {
    this.#again ??= setTimeout(() => {
      this.#again = null;
      void this.refreshCollections();
      if (this.fresh) void this.#renew();
    }, 400);
  }

  async #try<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (thrown) {
      this.#app.fail(thrown);
      return null;
    }
  }

  async refreshCollections(): Promise<void> {
    const collections = await this.#try(() => this.#transport.call('list_collections', {}));
    if (!collections) return;
    this.collections = collections;
    this.loaded = true;
    if (!collections.some(({ name }) => name === this.collection)) this.open(collections[0]?.name ?? null);
  }

  /** Opens a collection. */
  open(name: string | null): void {
    if (this.collection === name) return;
    this.collection = name;
    this.query = '';
    this.status = null;
    this.documents = [];
    this.counts = [];
    this.folders = [];
    this.fresh = false;
  }

  /** Shows only documents whose title or path contains `query` and that have `status`. */
  filter(query: string, status: DocumentStatus | null): Promise<void> {
    this.query = query;
    this.status = status;
    return this.refreshDocuments();
  }

  /** Reads the documents and linked folders of the open collection, from the first one on. */
  async refreshDocuments(): Promise<void> {
    this.#range = { first: 0, last: 0 };
    await this.#read(0, true);
  }

  /** Reads what is in sight once more; the rest stays as it is until it comes into sight. */
  async #renew(): Promise<void> {
    await this.#read(Math.floor(this.#range.first / portion) * portion, false);
    await this.need(this.#range.first, this.#range.last);
  }

  async #read(offset: number, anew: boolean): Promise<void> {
    const asked = ++this.#asked;
    this.#pending.clear();
    this.#current.clear();
    const { collection } = this;
    if (collection === null) {
      this.documents = [];
      this.fresh = true;
      return;
    }
    const [page, folders] = await Promise.all([
      this.#page(offset),
      this.#try(() => this.#transport.call('linked_folders', { collection })),
    ]);
    if (!page || asked !== this.#asked) return;
    this.#place(offset, page, anew ? [] : this.documents);
    this.counts = page.counts;
    this.folders = folders ?? this.folders;
    this.fresh = true;
  }

  /** Fetches those of the documents from `first` to `last` that are not here yet or may have changed. */
  async need(first: number, last: number): Promise<void> {
    this.#range = { first, last };
    const asked = this.#asked;
    for (let offset = Math.floor(first / portion) * portion; offset <= last; offset += portion) {
      if (offset >= this.documents.length || this.#current.has(offset) || this.#pending.has(offset)) continue;
      this.#pending.add(offset);
      const page = await this.#page(offset);
      if (asked !== this.#asked) return;
      this.#pending.delete(offset);
      if (page) this.#place(offset, page, this.documents);
    }
  }

  async #page(offset: number): Promise<DocumentPage | null> {
    const { collection, query, status } = this;
    if (collection === null) return null;
    return this.#try(() =>
      this.#transport.call('list_documents', { collection, query, status, offset, limit: portion }),
    );
  }

  #place(offset: number, page: DocumentPage, before: readonly (Document | undefined)[]): void {
    this.documents = Array.from({ length: page.total }, (_, index) => page.documents[index - offset] ?? before[index]);
    this.#current.add(offset);
  }

  /** Lets the user choose files or a folder and reads them into the open collection. */
  async choose(kind: 'files' | 'folder', link: boolean, fallback: string): Promise<void> {
    const pick = await this.#try(() => this.#transport.pick(kind));
    if (pick) await this.importPick(pick, link, fallback);
  }

  /** Reads chosen files into the open collection; without one, into a new one named `fallback`. */
  async importPick(pick: Pick, link = false, fallback = 'Documents'): Promise<JobView | null> {
    const collection = this.collection ?? fallback;
    const job = await this.#try(() => this.#transport.call('import_pick', { pick: pick.id, collection, link }));
    if (job) await this.refreshCollections();
    return job;
  }

  async createCollection(name: string): Promise<void> {
    const made = await this.#transport.call('create_collection', { name });
    await this.refreshCollections();
    this.open(made.name);
  }

  async renameCollection(name: string, to: string): Promise<void> {
    const renamed = await this.#transport.call('rename_collection', { name, to });
    const wasOpen = this.collection === name;
    if (wasOpen) this.collection = renamed.name;
    await this.refreshCollections();
  }

  async deleteCollection(name: string): Promise<void> {
    await this.#transport.call('delete_collection', { name });
    await this.refreshCollections();
  }

  async deleteDocuments(documents: number[]): Promise<void> {
    await this.#transport.call('delete_documents', { documents });
    await Promise.all([this.refreshCollections(), this.refreshDocuments()]);
  }

  /** Tries again whatever could not be read. */
  async retry(): Promise<void> {
    const collection = this.collection;
    if (collection === null) return;
    await this.#try(() => this.#transport.call('retry_documents', { collection }));
  }

  async syncFolder(folder: number): Promise<void> {
    await this.#try(() => this.#transport.call('sync_folder', { folder }));
  }

  async unlinkFolder(folder: number): Promise<void> {
    await this.#transport.call('unlink_folder', { folder });
    await this.refreshDocuments();
  }
}
