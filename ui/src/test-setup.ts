import { configure } from '@testing-library/svelte';

// For busy machines; a test that succeeds does not wait.
configure({ asyncUtilTimeout: 15_000 });

// What happy-dom has no notion of, because it lays nothing out.

/** Remembers its targets; a test reports sizes itself by {@link resize}. */
class FakeResizeObserver implements ResizeObserver {
  static all = new Set<FakeResizeObserver>();
  targets = new Set<Element>();
  constructor(private callback: ResizeObserverCallback) {
    FakeResizeObserver.all.add(this);
  }
  observe(target: Element): void {
    this.targets.add(target);
  }
  unobserve(target: Element): void {
    this.targets.delete(target);
  }
  disconnect(): void {
    this.targets.clear();
    FakeResizeObserver.all.delete(this);
  }
  report(target: Element, height: number): void {
    const size = [{ blockSize: height, inlineSize: 0 }];
    const entry = { target, borderBoxSize: size, contentBoxSize: size, contentRect: { height } };
    this.callback([entry as unknown as ResizeObserverEntry], this);
  }
}

globalThis.ResizeObserver = FakeResizeObserver;

/** Reports a new height of an element to whoever observes it. */
export function resize(target: Element, height: number): void {
  for (const observer of FakeResizeObserver.all) {
    if (observer.targets.has(target)) observer.report(target, height);
  }
}
