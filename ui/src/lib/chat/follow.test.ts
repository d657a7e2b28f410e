import { expect, it } from 'vitest';
import { ScrollTogether, scrolledShare } from './follow';

/** An element of a height in a window of 100 pixels; setting `scrollTop` says so later, as browsers do. */
function tall(height: number): HTMLElement {
  const element = document.createElement('div');
  Object.defineProperties(element, { scrollHeight: { value: height }, clientHeight: { value: 100 } });
  return element;
}

const scroll = (element: HTMLElement, to: number) => {
  element.scrollTop = to;
  element.dispatchEvent(new Event('scroll'));
};

it('measures the share that is scrolled', () => {
  const element = tall(300);
  element.scrollTop = 50;
  expect(scrolledShare(element)).toBe(0.25);
  expect(scrolledShare(tall(80))).toBe(0);
});

it('scrolls columns by the same share, and what it did itself does not come back', () => {
  const together = new ScrollTogether();
  const [short, long, fits] = [tall(200), tall(1100), tall(60)];
  for (const element of [short, long, fits]) together.join(element);
  scroll(short, 30);
  expect([long.scrollTop, fits.scrollTop]).toEqual([300, 0]);
  // The event of our own scrolling: rounding must not push the first column about.
  scroll(long, 300);
  expect(short.scrollTop).toBe(30);
  scroll(long, 1000);
  expect(short.scrollTop).toBe(100);
});

it('lets columns go their own way', () => {
  const together = new ScrollTogether();
  const [one, other] = [tall(200), tall(1100)];
  const joined = together.join(one);
  together.join(other);
  together.to(other, 1);
  scroll(other, 1000);
  expect(one.scrollTop).toBe(0);
  together.on = false;
  scroll(other, 500);
  expect(one.scrollTop).toBe(0);
  together.on = true;
  joined.destroy();
  scroll(other, 700);
  expect(one.scrollTop).toBe(0);
});
