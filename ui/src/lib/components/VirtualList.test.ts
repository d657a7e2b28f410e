import { render } from '@testing-library/svelte';
import { tick } from 'svelte';
import { describe, expect, it } from 'vitest';
import { resize } from '../../test-setup';
import Fixture from './VirtualListFixture.svelte';

const names = (count: number) => Array.from({ length: count }, (_, index) => `row ${index}`);

async function show(props: { items: string[]; stick?: boolean; onrange?: (first: number, last: number) => void }) {
  const view = render(Fixture, { props });
  const viewport = view.getByRole('list', { name: 'Rows' });
  resize(viewport, 400);
  await tick();
  return {
    ...view,
    viewport,
    rows: () => [...viewport.querySelectorAll<HTMLElement>('[data-index]')],
    async scroll(top: number) {
      viewport.dispatchEvent(new Event('wheel'));
      viewport.scrollTop = top;
      viewport.dispatchEvent(new Event('scroll'));
      await tick();
    },
    /** Lays the drawn rows out at a height, as a browser would report it. */
    async measure(height: (index: number) => number) {
      for (const row of viewport.querySelectorAll<HTMLElement>('[data-index]')) resize(row, height(Number(row.dataset.index)));
      await tick();
    },
  };
}

const first = (rows: HTMLElement[]) => Number(rows[0]?.dataset.index);
const last = (rows: HTMLElement[]) => Number(rows.at(-1)?.dataset.index);

describe('a list of 10,000 rows', () => {
  it('draws only those in sight and a few around them', async () => {
    const { rows, scroll } = await show({ items: names(10_000) });
    expect(rows().length).toBeLessThan(15);
    await scroll(250_000);
    expect(first(rows())).toBe(4998);
    expect(last(rows())).toBe(5010);
    expect(rows()[0]?.getAttribute('aria-setsize')).toBe('10000');
    expect(rows()[0]?.getAttribute('aria-posinset')).toBe('4999');
  });

  it('is as high as all its rows', async () => {
    const { viewport, measure } = await show({ items: names(10_000) });
    const canvas = viewport.querySelector<HTMLElement>('.canvas');
    expect(canvas?.style.height).toBe('500000px');
    await measure((index) => (index === 0 ? 120 : 50));
    expect(canvas?.style.height).toBe('500070px');
  });

  it('tells which rows are in sight', async () => {
    const seen: [number, number][] = [];
    const { scroll } = await show({ items: names(10_000), onrange: (from, to) => seen.push([from, to]) });
    await scroll(5_000);
    expect(seen.at(-1)).toEqual([100, 108]);
  });
});

describe('what is looked at stays where it is', () => {
  it('when a row above turns out higher than thought', async () => {
    const { viewport, scroll, measure } = await show({ items: names(1000) });
    await scroll(5_020);
    await measure((index) => (index < 100 ? 90 : 50));
    // Rows 98 and 99 are drawn above the edge, and each grew by 40.
    expect(viewport.scrollTop).toBe(5_100);
  });

  it('but does not take back what the user has just scrolled', async () => {
    const { viewport, scroll, measure } = await show({ items: names(1000) });
    await scroll(5_020);
    viewport.scrollTop = 20_000;
    await measure(() => 60);
    expect(viewport.scrollTop).toBe(20_000);
  });

  it('when rows are put before it', async () => {
    const { viewport, scroll, rerender } = await show({ items: names(1000) });
    await scroll(5_020);
    await rerender({ items: ['new 1', 'new 2', ...names(1000)] });
    expect(viewport.scrollTop).toBe(5_120);
  });

  it('when rows before it go', async () => {
    const { viewport, scroll, rerender } = await show({ items: names(1000) });
    await scroll(5_020);
    await rerender({ items: names(1000).slice(10) });
    expect(viewport.scrollTop).toBe(4_520);
  });
});

describe('the end', () => {
  it('is kept in sight while the list grows', async () => {
    const { viewport, measure, rerender } = await show({ items: names(100), stick: true });
    expect(viewport.scrollTop).toBe(4_600);
    await rerender({ items: names(101) });
    expect(viewport.scrollTop).toBe(4_650);
    await measure((index) => (index === 100 ? 210 : 50));
    expect(viewport.scrollTop).toBe(4_810);
  });

  it('is left alone once the user has scrolled away', async () => {
    const { viewport, scroll, rerender } = await show({ items: names(100), stick: true });
    await scroll(1_000);
    await rerender({ items: names(140) });
    expect(viewport.scrollTop).toBe(1_000);
  });

  it('can be returned to', async () => {
    const { component, viewport, scroll } = await show({ items: names(100), stick: true });
    await scroll(1_000);
    component.scrollToBottom();
    expect(viewport.scrollTop).toBe(4_600);
  });
});

describe('going to a row', () => {
  it('finds it again when rows on the way turn out higher', async () => {
    const { component, viewport, measure, rows } = await show({ items: names(1000) });
    component.scrollToIndex(500);
    await tick();
    expect(viewport.scrollTop).toBe(25_000);
    await measure(() => 80);
    const target = rows().find((row) => row.dataset.index === '500');
    expect(target?.style.transform).toBe(`translateY(${viewport.scrollTop}px)`);
  });

  it('moves no further than needed where asked for the nearest', async () => {
    const { component, viewport } = await show({ items: names(1000) });
    component.scrollToIndex(3, 'nearest');
    expect(viewport.scrollTop).toBe(0);
    component.scrollToIndex(10, 'nearest');
    expect(viewport.scrollTop).toBe(150);
  });

  it('is undone by the user', async () => {
    const { component, viewport, scroll, measure } = await show({ items: names(1000) });
    component.scrollToIndex(500);
    await scroll(0);
    await measure(() => 80);
    expect(viewport.scrollTop).toBe(0);
  });
});

describe('the focus', () => {
  it('is not lost when its row is scrolled out of sight', async () => {
    const { getByText, scroll, rows } = await show({ items: names(1000) });
    const button = getByText('row 2');
    button.focus();
    await scroll(20_000);
    expect(document.activeElement).toBe(button);
    expect(first(rows())).toBe(2);
  });
});
