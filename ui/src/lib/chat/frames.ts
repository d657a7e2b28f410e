/** Gathers what arrives and hands it over once per frame. */

/** Calls back once: at the next frame, or soon where there are no frames (a hidden window). */
export type Schedule = (callback: () => void) => void;

/** The next animation frame, or 150 ms: a window out of sight paints no frames. */
export const nextFrame: Schedule = (callback) => {
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    callback();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, 150);
};

/** A function that collects items and passes all of them to `take` at the next frame. */
export function perFrame<Item>(take: (items: Item[]) => void, schedule: Schedule = nextFrame): (item: Item) => void {
  let waiting: Item[] = [];
  return (item) => {
    waiting.push(item);
    if (waiting.length > 1) return;
    schedule(() => {
      const items = waiting;
      waiting = [];
      take(items);
    });
  };
}
