/** Scrolling of columns that stand side by side. */

/** How far an element is scrolled: 0 at the beginning, 1 at the end. */
export function scrolledShare(element: Pick<HTMLElement, 'scrollTop' | 'scrollHeight' | 'clientHeight'>): number {
  const room = element.scrollHeight - element.clientHeight;
  return room <= 0 ? 0 : Math.min(1, Math.max(0, element.scrollTop / room));
}

/** Keeps elements scrolled to the same share of their height, each in its own measure. */
export class ScrollTogether {
  on = true;
  readonly #elements = new Set<HTMLElement>();
  /** Where we have scrolled an element ourselves: the event of it is not the user's. */
  readonly #ours = new Map<HTMLElement, number>();

  /** As a Svelte action. */
  readonly join = (element: HTMLElement): { destroy: () => void } => {
    const onscroll = () => this.#scrolled(element);
    this.#elements.add(element);
    element.addEventListener('scroll', onscroll, { passive: true });
    return {
      destroy: () => {
        element.removeEventListener('scroll', onscroll);
        this.#elements.delete(element);
        this.#ours.delete(element);
      },
    };
  };

  #scrolled(source: HTMLElement): void {
    const ours = this.#ours.get(source);
    this.#ours.delete(source);
    if (ours !== undefined && Math.abs(ours - source.scrollTop) <= 1) return;
    if (!this.on) return;
    const share = scrolledShare(source);
    for (const element of this.#elements) {
      if (element !== source) this.to(element, share);
    }
  }

  /** Scrolls an element to a share of its height without the others following. */
  to(element: HTMLElement, share: number): void {
    const room = element.scrollHeight - element.clientHeight;
    const to = Math.round(share * room);
    if (room <= 0 || Math.abs(element.scrollTop - to) <= 1) return;
    this.#ours.set(element, to);
    element.scrollTop = to;
  }
}
