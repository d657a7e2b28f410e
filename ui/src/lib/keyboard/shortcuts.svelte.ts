import { inTextField, matches } from './keys';

/** A keyboard shortcut. */
export interface Shortcut {
  /** Unique, such as `chat.send`. */
  id: string;
  /** The combination, such as `Mod+Enter`; several are separated by a space. */
  keys: string;
  /** Message key of what it does. */
  label: string;
  /** Message key of the heading it is listed under. */
  scope: string;
  /** What it does; without it the shortcut is only listed, and a component handles the keys itself. */
  run?: (event: KeyboardEvent) => void;
  /** Whether it works at the moment; always, if left out. */
  when?: () => boolean;
  /** Whether it also works while text is being typed. Combinations with Mod always do. */
  inFields?: boolean;
}

/** The shortcuts that work at the moment. */
export class Shortcuts {
  #known = $state.raw<Shortcut[]>([]);

  /** All of them, in the order they were registered. */
  get all(): readonly Shortcut[] {
    return this.#known;
  }

  /** Adds a shortcut until the returned function is called. A later one wins over an earlier one. */
  register(shortcut: Shortcut): () => void {
    this.#known = [...this.#known, shortcut];
    return () => {
      this.#known = this.#known.filter((known) => known !== shortcut);
    };
  }

  /** Runs the shortcut for a key press; whether there was one. */
  handle(event: KeyboardEvent): boolean {
    if (event.defaultPrevented || event.isComposing) return false;
    const typing = inTextField(event);
    for (const shortcut of [...this.#known].reverse()) {
      if (!shortcut.run || (shortcut.when && !shortcut.when())) continue;
      const keys = shortcut.keys.split(' ').find((combination) => matches(event, combination));
      if (!keys || (typing && !shortcut.inFields && !keys.includes('Mod+'))) continue;
      event.preventDefault();
      shortcut.run(event);
      return true;
    }
    return false;
  }

  /** Listens to the whole page. */
  attach(target: Window = window): () => void {
    const handler = (event: KeyboardEvent) => void this.handle(event);
    target.addEventListener('keydown', handler);
    return () => target.removeEventListener('keydown', handler);
  }
}
