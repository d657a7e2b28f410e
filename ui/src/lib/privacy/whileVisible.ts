/**
 * Does some work now, and again `period` milliseconds after it is done, but only while the page
 * can be seen; coming back to the page does it at once. Returns how to stop.
 */
export function everyWhileVisible(period: number, work: () => Promise<void>): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let working = false;
  let stopped = false;

  async function turn() {
    timer = null;
    if (stopped || working || document.visibilityState !== 'visible') return;
    working = true;
    await work();
    working = false;
    if (!stopped) timer = setTimeout(() => void turn(), period);
  }
  function seen() {
    if (document.visibilityState !== 'visible') return;
    if (timer !== null) clearTimeout(timer);
    void turn();
  }

  document.addEventListener('visibilitychange', seen);
  void turn();
  return () => {
    stopped = true;
    if (timer !== null) clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}
