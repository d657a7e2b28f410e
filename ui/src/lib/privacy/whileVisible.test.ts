import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { everyWhileVisible } from './whileVisible';

let visible = true;

function show(now: boolean) {
  visible = now;
  document.dispatchEvent(new Event('visibilitychange'));
}

beforeEach(() => {
  visible = true;
  vi.useFakeTimers();
  vi.spyOn(document, 'visibilityState', 'get').mockImplementation(() => (visible ? 'visible' : 'hidden'));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

it('works at once, then again and again until stopped', async () => {
  const work = vi.fn(async () => {});
  const stop = everyWhileVisible(3000, work);
  expect(work).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(6001);
  expect(work).toHaveBeenCalledTimes(3);
  stop();
  await vi.advanceTimersByTimeAsync(9000);
  expect(work).toHaveBeenCalledTimes(3);
});

it('rests while nobody looks, and works at once when somebody does', async () => {
  const work = vi.fn(async () => {});
  const stop = everyWhileVisible(3000, work);
  await vi.advanceTimersByTimeAsync(0);
  show(false);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(work).toHaveBeenCalledTimes(1);
  show(true);
  expect(work).toHaveBeenCalledTimes(2);
  stop();
});

it('never begins before the last turn is done', async () => {
  let done = () => {};
  const work = vi.fn(() => new Promise<void>((resolve) => (done = resolve)));
  const stop = everyWhileVisible(3000, work);
  await vi.advanceTimersByTimeAsync(10_000);
  show(false);
  show(true);
  expect(work).toHaveBeenCalledTimes(1);
  done();
  await vi.advanceTimersByTimeAsync(3001);
  expect(work).toHaveBeenCalledTimes(2);
  stop();
});
