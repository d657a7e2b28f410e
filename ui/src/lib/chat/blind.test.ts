import { expect, it } from 'vitest';
import { blindOrder, letter } from './blind';
import { dayOf } from './days';
import { inOrder, METHODS } from './methods';

it('orders the same turn alike, and keeps every method', () => {
  for (let turn = 1; turn < 200; turn += 1) {
    const order = blindOrder(turn, METHODS);
    expect(blindOrder(turn, METHODS)).toEqual(order);
    expect(inOrder(order)).toEqual(METHODS);
  }
});

it('puts each method in each place about equally often', () => {
  const turns = 3000;
  const counts = new Map<string, number>();
  for (let turn = 1; turn <= turns; turn += 1) {
    blindOrder(turn, ['none', 'rag', 'gag', 'iag']).forEach((method, place) => {
      counts.set(`${method} ${place}`, (counts.get(`${method} ${place}`) ?? 0) + 1);
    });
  }
  expect(counts.size).toBe(16);
  for (const count of counts.values()) expect(Math.abs(count / turns - 0.25)).toBeLessThan(0.04);
});

it('names answers by letters', () => {
  expect([0, 1, 4].map(letter)).toEqual(['A', 'B', 'E']);
});

it('groups by local days', () => {
  const now = new Date(2026, 10, 21, 0, 30);
  const at = (...date: [number, number, number, number, number]) => new Date(...date).getTime() / 1000;
  expect(dayOf(at(2026, 10, 21, 0, 10), now)).toBe('today');
  expect(dayOf(at(2026, 10, 20, 23, 59), now)).toBe('yesterday');
  expect(dayOf(at(2026, 10, 15, 12, 0), now)).toBe('week');
  expect(dayOf(at(2026, 10, 14, 12, 0), now)).toBe('month');
  expect(dayOf(at(2026, 8, 1, 12, 0), now)).toEqual({ year: 2026, month: 8 });
  expect(dayOf(at(2026, 10, 22, 12, 0), now)).toBe('today');
});
