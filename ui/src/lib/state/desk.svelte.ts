import { getContext, setContext } from 'svelte';
import { Shortcuts } from '../keyboard/shortcuts.svelte';
import type { Transport } from '../transport/transport';
import { AppState } from './app.svelte';
import { JobsState } from './jobs.svelte';
import { LibraryState } from './library.svelte';

/** Everything the components share. One is made for each window (or test) and passed down as context. */
export class Desk {
  readonly transport: Transport;
  readonly shortcuts = new Shortcuts();
  readonly app: AppState;
  readonly library: LibraryState;
  readonly jobs: JobsState;
  #kept = new Map<string, unknown>();

  constructor(transport: Transport) {
    this.transport = transport;
    this.app = new AppState(transport);
    this.library = new LibraryState(transport, this.app);
    this.jobs = new JobsState(transport, this.app);
  }

  /** Begins to listen and reads what the window shows first; returns how to stop. */
  start(): () => void {
    const greet = this.transport.listen((event) => {
      if (event.kind === 'models') void this.app.greet();
    });
    const stops = [greet, this.library.listen(), this.jobs.listen(), this.shortcuts.attach()];
    void this.refresh();
    return () => stops.forEach((stop) => stop());
  }

  /** Reads what the window shows first. If the core does not even greet, nothing else is asked. */
  async refresh(): Promise<void> {
    await this.app.start();
    if (this.app.startError) return;
    await Promise.all([this.library.refreshCollections(), this.jobs.refresh()]);
  }

  /**
   * State of a view that outlives the view: made at the first call under this name, then the same.
   * An object with a `listen()` method is set listening for as long as the desk exists.
   */
  keep<T extends object>(name: string, create: (desk: Desk) => T): T {
    const known = this.#kept.get(name) as T | undefined;
    if (known) return known;
    const made = create(this);
    this.#kept.set(name, made);
    if ('listen' in made && typeof made.listen === 'function') (made.listen as () => void)();
    return made;
  }
}

const key = Symbol('desk');

export function provideDesk(desk: Desk): Desk {
  return setContext(key, desk);
}

/** The context of a component that is mounted by itself, as tests do. */
export function deskContext(desk: Desk): Map<unknown, unknown> {
  return new Map([[key, desk]]);
}

/** In a component's script: the desk it stands on. */
export function useDesk(): Desk {
  const desk = getContext<Desk | undefined>(key);
  if (!desk) throw new globalThis.Error('no desk in context');
  return desk;
}
