/**
 * A core in memory: for component tests and for looking at the pages without a core. Its documents
 * and answers are made up. A test replaces single commands with {@link FakeTransport.reply}.
 */
import type { Commands, DeskEvent, Pick } from '../bindings';
import { fakeChat } from './fake/chat';
import { fakeJobs } from './fake/jobs';
import { fakeLibrary } from './fake/library';
import { fakeMachine } from './fake/machine';
import { asDeskError, type ExportFormat, type PickKind, type Transport } from './transport';

/** What answers commands: some of them, or all. */
export type Handlers = {
  [K in keyof Commands]?: (request: Commands[K]['request']) => Commands[K]['reply'] | Promise<Commands[K]['reply']>;
};

/** How much is in it. */
export interface FakeOptions {
  /** Documents in the first collection; without any there is no collection either. */
  documents?: number;
  /** Milliseconds between two pieces of an answer; 0 sends all at once. */
  pace?: number;
}

export interface FakeTransport extends Transport {
  /** Every command run so far. */
  readonly calls: { name: keyof Commands; request: unknown }[];
  /** Sends an event to everyone who listens. */
  emit(event: DeskEvent): void;
  /** Replaces how a command is answered; what it throws becomes the command's error. */
  reply<K extends keyof Commands>(name: K, handler: NonNullable<Handlers[K]>): void;
  /** What `pick` and `saveExport` give next; nothing unless set. */
  chosen: { pick: Pick | null; file: string | null };
}

export function fakeTransport({ documents = 240, pace = 30 }: FakeOptions = {}): FakeTransport {
  const listeners = new Set<(event: DeskEvent) => void>();
  const emit = (event: DeskEvent) => [...listeners].forEach((listener) => listener(event));
  const jobs = fakeJobs(emit);
  const library = fakeLibrary(documents, jobs);
  const handlers: Handlers = { ...library, ...jobs.handlers, ...fakeMachine(jobs), ...fakeChat(emit, pace) };
  const calls: FakeTransport['calls'] = [];
  return {
    kind: 'fake',
    calls,
    emit,
    chosen: { pick: null, file: null },
    reply(name, handler) {
      Object.assign(handlers, { [name]: handler });
    },
    async call(name, request) {
      calls.push({ name, request });
      const handler = handlers[name];
      if (!handler) throw asDeskError(new Error(`the made-up core has no command ${name}`));
      return handler(request);
    },
    listen(handler) {
      listeners.add(handler);
      return () => listeners.delete(handler);
    },
    documentBytes: async () => new ArrayBuffer(0),
    async pick(_kind: PickKind) {
      return this.chosen.pick;
    },
    async saveExport(_chat: number, _format: ExportFormat) {
      return this.chosen.file;
    },
  };
}
