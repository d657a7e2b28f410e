import { describe, expect, it } from 'vitest';
import tokens from './tokens.css?raw';

type Colours = Record<string, string>;

function block(pattern: RegExp): Colours {
  const body = pattern.exec(tokens)?.[1] ?? '';
  return Object.fromEntries([...body.matchAll(/(--[\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [name, value]));
}

const light = block(/^:root \{([\s\S]*?)^\}/m);
const preferred = block(/prefers-color-scheme: dark\) \{\s*:root:not\(\[data-theme='light'\]\) \{([\s\S]*?)\n {2}\}/);
const chosen = block(/^:root\[data-theme='dark'\] \{\s*(--bg:[\s\S]*?)^\}/m);

/** Relative luminance, WCAG 2.2, "relative luminance". */
function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const channel = parseInt(hex.slice(at, at + 2), 16) / 255;
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast ratio, WCAG 2.2, "contrast ratio". */
function contrast(one: string, other: string): number {
  const [dark = 0, bright = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}

const surfaces = ['--bg', '--bg-raised', '--bg-sunken'];
const methods = ['none', 'rag', 'gag', 'iag', 'imprag'].map((method) => `--method-${method}`);
const texts = ['--text', '--text-soft', '--text-faint', '--accent', '--good', '--warn', '--bad', ...methods];
const soft = ['--accent', '--good', '--warn', '--bad'];

describe.each([
  ['light', light],
  ['dark', { ...light, ...chosen }],
])('the %s colours', (_name, colours) => {
  const pairs = [
    ...texts.flatMap((text) => surfaces.map((surface) => [text, surface, 4.5] as const)),
    ...soft.flatMap((text) => [[text, `${text}-soft`, 4.5] as const, ['--text', `${text}-soft`, 4.5] as const]),
    ['--text-soft', '--accent-soft', 4.5] as const,
    ['--text-soft', '--bad-soft', 4.5] as const,
    ['--accent-text', '--accent', 4.5] as const,
    // Edges of controls and the mark of focus (WCAG 1.4.11).
    ...surfaces.flatMap((surface) => [['--line-strong', surface, 3] as const, ['--focus', surface, 3] as const]),
  ];
  it.each(pairs)('%s on %s has a contrast of at least %s', (text, surface, least) => {
    expect(contrast(colours[text] ?? '', colours[surface] ?? '')).toBeGreaterThanOrEqual(least);
  });
});

describe('the two dark blocks', () => {
  it('are alike', () => {
    expect(Object.keys(chosen).length).toBeGreaterThan(20);
    expect(preferred).toEqual(chosen);
  });
});
