import type { Collection, Document, DocumentStatus, JobView, LinkedFolder } from '../../bindings';
import type { Handlers } from '../fake';
import type { FakeJobs } from './jobs';

const topics = ['Annual report', 'Maintenance handbook', 'Field study', 'Tenancy agreement', 'Lecture notes', 'Safety data sheet'];

/** Unhappy ends, one every so many documents. */
const troubles: { every: number; status: DocumentStatus; reason: string; hint: string }[] = [
  { every: 17, status: 'failed', reason: 'the file ends in the middle of a page', hint: 'Open it in a viewer and save it anew.' },
  { every: 23, status: 'no_text', reason: 'its 12 pages are pictures without text', hint: 'Run text recognition (OCR) on it first.' },
  { every: 29, status: 'protected', reason: 'it needs a password', hint: 'Save a copy without a password.' },
  { every: 37, status: 'missing', reason: 'the file is no longer there', hint: 'Its text can still be searched.' },
];

function makeDocument(id: number, collection: number): Document {
  const trouble = troubles.find(({ every }) => id % every === 0);
  const status = trouble?.status ?? (id % 41 === 0 ? 'extracted' : id % 43 === 0 ? 'queued' : 'ready');
  const pages = trouble && trouble.status !== 'missing' ? 0 : 4 + ((id * 7) % 60);
  const title = `${topics[id % topics.length]} ${2000 + (id % 26)}-${String(id).padStart(4, '0')}`;
  return {
    id,
    collection,
    path: `/home/anna/Papers/${2000 + (id % 26)}/${title}.pdf`,
    sha256: null,
    title,
    status,
    reason: trouble?.reason ?? null,
    hint: trouble?.hint ?? null,
    duplicate_of: null,
    pages,
    failed_pages: id % 19 === 0 ? 2 : 0,
    chunks: status === 'ready' || status === 'missing' ? pages * 3 : 0,
    bytes: 180_000 + ((id * 7919) % 4_000_000),
    added_at: 1_790_000_000 + id,
  };
}

const notFound = (what: string, subject: string) => ({ code: 'not_found', message: `no such ${what}`, hint: null, subject });

/** Collections, documents and folders. */
export function fakeLibrary(count: number, jobs: FakeJobs): Handlers {
  const names = new Map<number, string>(count > 0 ? [[1, 'Research'], [2, 'House']] : []);
  let documents = Array.from({ length: count }, (_, index) => makeDocument(index + 1, index % 50 === 49 ? 2 : 1));
  let folders: LinkedFolder[] = count > 0
    ? [{ id: 1, collection: 'Research', path: '/home/anna/Papers', found: true, synced_at: Date.now() / 1000 - 900 }]
    : [];
  let ids = 100;

  const of = (collection: string) => {
    const id = [...names].find(([, name]) => name === collection)?.[0];
    if (id === undefined) throw notFound('collection', collection);
    return id;
  };
  const summary = (id: number): Collection => {
    const all = documents.filter((document) => document.collection === id);
    const ready = all.filter(({ status }) => status === 'ready' || status === 'missing');
    const sum = (pick: (document: Document) => number) => ready.reduce((total, document) => total + pick(document), 0);
    return {
      id,
      name: names.get(id) ?? '',
      documents: all.length,
      ready_documents: ready.length,
      pages: sum(({ pages }) => pages),
      chunks: sum(({ chunks }) => chunks),
    };
  };
  const addJob = (collection: string): JobView =>
    jobs.add(
      'import',
      { id: of(collection), name: collection },
      {
        stage: 'reading',
        subject: 'Field study 2014.pdf',
        done: 148,
        total: 620,
        unit: 'pages',
        rate: 23.4,
        eta_seconds: 47,
        point: null,
      },
    );

  return {
    list_collections: () => [...names.keys()].map(summary),
    create_collection({ name }) {
      names.set(++ids, name);
      return summary(ids);
    },
    rename_collection({ name, to }) {
      const id = of(name);
      names.set(id, to);
      return summary(id);
    },
    delete_collection({ name }) {
      const id = of(name);
      names.delete(id);
      documents = documents.filter(({ collection }) => collection !== id);
      return {};
    },
    list_documents({ collection, query, status, offset, limit }) {
      const all = documents.filter((document) => document.collection === of(collection));
      const wanted = query.toLowerCase();
      const found = all.filter(
        (document) =>
          (status === null || document.status === status) &&
          `${document.title} ${document.path}`.toLowerCase().includes(wanted),
      );
      const counts = new Map<DocumentStatus, number>();
      for (const document of all) counts.set(document.status, (counts.get(document.status) ?? 0) + 1);
      return {
        total: found.length,
        documents: found.slice(offset, offset + limit),
        counts: [...counts].map(([name, number]) => ({ status: name, count: number })),
      };
    },
    delete_documents({ documents: gone }) {
      documents = documents.filter(({ id }) => !gone.includes(id));
      return {};
    },
    retry_documents: ({ collection }) => addJob(collection),
    page_text({ document, page }) {
      const found = documents.find(({ id }) => id === document);
      if (!found) throw notFound('document', String(document));
      return { document: found, page, text: `Page ${page} of ${found.title}.` };
    },
    history: () => [],
    import_pick({ pick, collection, link }) {
      if (![...names.values()].includes(collection)) names.set(++ids, collection);
      if (link) folders = [...folders, { id: ++ids, collection, path: `/home/anna/${pick}`, found: true, synced_at: null }];
      return addJob(collection);
    },
    linked_folders: ({ collection }) => folders.filter((folder) => folder.collection === collection),
    sync_folder({ folder }) {
      const found = folders.find(({ id }) => id === folder);
      if (!found) throw notFound('folder', String(folder));
      return addJob(found.collection);
    },
    unlink_folder({ folder }) {
      folders = folders.filter(({ id }) => id !== folder);
      return {};
    },
  };
}
