import { describe, expect, it } from 'vitest';
import { locate, type Location, type TextItem } from './locate';
import { skeleton } from './skeleton';

/** Items as pdf.js gives them: one for each string, each on a line of its own. */
function itemsOf(lines: string[]): TextItem[] {
  return lines.map((str, line) => ({
    str,
    transform: [10, 0, 0, 10, 50, 700 - 12 * line],
    width: str.length * 5,
    height: 10,
    hasEOL: true,
    dir: 'ltr',
  }));
}

/** The span of `passage` in `text`, in code points; the `nth` occurrence, from 0. */
function spanOf(text: string, passage: string, nth = 0): { start: number; end: number } {
  let unit = -1;
  for (let i = 0; i <= nth; i += 1) unit = text.indexOf(passage, unit + 1);
  if (unit < 0) throw new Error(`not in the text: ${passage}`);
  const start = [...text.slice(0, unit)].length;
  return { start, end: start + [...passage].length };
}

function shown(lines: string[], location: Location | null): string[] | null {
  return location && location.parts.map((part) => lines[part.item]!.slice(part.start, part.end));
}

const find = (lines: string[], text: string, passage: string, nth = 0) =>
  shown(lines, locate(itemsOf(lines), text, spanOf(text, passage, nth)));

interface Case {
  name: string;
  lines: string[];
  text: string;
  passage: string;
  found: string[] | null;
}

const cases: Case[] = [
  {
    name: 'part of a line',
    lines: ['The library opened in 1987. It moved twice.'],
    text: 'The library opened in 1987. It moved twice.',
    passage: 'It moved twice.',
    found: ['It moved twice.'],
  },
  {
    name: 'over lines, with a word cut by a hyphen',
    lines: ['Seeds are kept in paper enve-', 'lopes, never in plastic.'],
    text: 'Seeds are kept in paper envelopes, never in plastic.',
    passage: 'paper envelopes, never',
    found: ['paper enve', 'lopes, never'],
  },
  {
    name: 'a soft hyphen',
    lines: ['the thermo\u00ad', 'meter reads four'],
    text: 'the thermometer reads four',
    passage: 'thermometer',
    found: ['thermo', 'meter'],
  },
  {
    name: 'ligatures on the page',
    lines: ['The ﬁnal oﬃce ﬂoor plan'],
    text: 'The final office floor plan',
    passage: 'final office',
    found: ['ﬁnal oﬃce'],
  },
  {
    name: 'an accent drawn as a glyph of its own',
    lines: ['Universit¨at M¨unchen heute'],
    text: 'Universität München heute',
    passage: 'Universität München',
    found: ['Universit¨at M¨unchen'],
  },
  {
    name: 'German, with ß and capitals',
    lines: ['Die Straße heißt „Große Gasse“, nicht anders.'],
    text: 'Die Straße heißt „Große Gasse“, nicht anders.',
    passage: '„Große Gasse“',
    found: ['„Große Gasse“'],
  },
  {
    name: 'Greek, with a final sigma that was read as another',
    lines: ['Ο λόγος του Σωκράτους είναι σαφής.'],
    text: 'Ο λόγοσ του Σωκράτουσ είναι σαφήσ.',
    passage: 'του Σωκράτουσ είναι',
    found: ['του Σωκράτους είναι'],
  },
  {
    name: 'Chinese, without any spaces',
    lines: ['本报告期内公司实现营业', '收入三亿元，同比增长。'],
    text: '本报告期内公司实现营业收入三亿元,同比增长。',
    passage: '营业收入三亿元',
    found: ['营业', '收入三亿元'],
  },
  {
    name: 'Japanese in compatibility forms',
    lines: ['ｶﾀｶﾅ と ひらがな'],
    text: 'カタカナ と ひらがな',
    passage: 'カタカナ と ひらがな',
    found: ['ｶﾀｶﾅ と ひらがな'],
  },
  {
    name: 'Arabic in presentation forms',
    lines: ['\uFEE3\uFEAE\uFEA3\uFE92\uFE8E \uFE91\uFEDC\uFEE2 في المكتبة'],
    text: 'مرحبا بكم في المكتبة',
    passage: 'مرحبا بكم',
    found: ['\uFEE3\uFEAE\uFEA3\uFE92\uFE8E \uFE91\uFEDC\uFEE2'],
  },
  {
    name: 'Hebrew, items of a line in visual order',
    lines: ['נפתחה בשנת 1987', 'ספריית הזרעים של העמק'],
    text: 'ספריית הזרעים של העמק נפתחה בשנת 1987',
    passage: 'ספריית הזרעים של העמק נפתחה בשנת 1987',
    found: ['ספריית הזרעים של העמק', 'נפתחה בשנת 1987'],
  },
  {
    name: 'characters outside the basic plane before and inside the passage',
    lines: ['😀😀 first line 𝐁𝐨𝐥𝐝 words here'],
    text: '😀😀 first line Bold words here',
    passage: 'Bold words',
    found: ['𝐁𝐨𝐥𝐝 words'],
  },
  {
    name: 'at the start of the page',
    lines: ['Opening words of all', 'and then some more'],
    text: 'Opening words of all and then some more',
    passage: 'Opening words',
    found: ['Opening words'],
  },
  {
    name: 'at the end of the page',
    lines: ['Opening words of all', 'and then some more'],
    text: 'Opening words of all and then some more',
    passage: 'some more',
    found: ['some more'],
  },
  {
    name: 'a running head between the lines, which our text does not have',
    lines: ['The barometer hangs beside', 'ANNUAL REPORT 2030', 'the door of the drying room.'],
    text: 'The barometer hangs beside the door of the drying room.',
    passage: 'The barometer hangs beside the door of the drying room.',
    found: ['The barometer hangs beside', 'the door of the drying room.'],
  },
  {
    name: 'two columns drawn line by line across both',
    lines: [
      'Bees visit the orchard in the', 'The storm of March broke the',
      'first warm week of the spring', 'eastern gate and two windows',
      'and leave with the last asters.', 'of the old ticket hall at night.',
    ],
    text:
      'Bees visit the orchard in the first warm week of the spring and leave with the last asters.\n\n' +
      'The storm of March broke the eastern gate and two windows of the old ticket hall at night.',
    passage: 'Bees visit the orchard in the first warm week of the spring and leave with the last asters.',
    found: ['Bees visit the orchard in the', 'first warm week of the spring', 'and leave with the last asters.'],
  },
  {
    name: 'items in reverse order',
    lines: ['who brings the key back in the evening', 'a second person signs the red book, and', 'Before anyone enters the cold room'],
    text: 'Before anyone enters the cold room a second person signs the red book, and who brings the key back in the evening',
    passage: 'Before anyone enters the cold room a second person signs the red book, and who brings the key back in the evening',
    found: ['Before anyone enters the cold room', 'a second person signs the red book, and', 'who brings the key back in the evening'],
  },
  {
    name: 'a letter for each item',
    lines: [...'The tide turns at noon'],
    text: 'The tide turns at noon',
    passage: 'tide turns',
    found: [...'tideturns'],
  },
  {
    name: 'a few wrong characters',
    lines: ['The quick hrown fox jumps ouer the lazy d0g and is gone'],
    text: 'The quick brown fox jumps over the lazy dog and is gone',
    passage: 'The quick brown fox jumps over the lazy dog and is gone',
    found: ['The quick hrown fox jumps ouer the lazy d0g and is gone'],
  },
  {
    name: 'figures of a chart, in another order',
    lines: ['702', '2025', '811', '2026', '934', '2027', 'Packets lent, and what comes next', 'Every school should have a shelf.'],
    text: 'Packets lent, and what comes next\n\n702\n\n2025  2026  2027\n\n811\n\n934\n\nEvery school should have a shelf.',
    passage: 'Packets lent, and what comes next\n\n702\n\n2025  2026  2027\n\n811\n\n934',
    found: ['Packets lent, and what comes next', '702', '2025', '2026', '2027', '811', '934'],
  },
  {
    name: 'a formula without letters',
    lines: ['therefore', '∅ ∪ ∅ = ∅', 'holds'],
    text: 'therefore ∅ ∪ ∅ = ∅ holds',
    passage: '∅ ∪ ∅ = ∅',
    found: ['∅ ∪ ∅ = ∅'],
  },
  {
    name: 'a text that is not on the page',
    lines: ['Nothing on this page is about what was asked, not even remotely or by chance.'],
    text: 'The harbour master keeps the breaker schedule in the green book of the clinic.',
    passage: 'The harbour master keeps the breaker schedule in the green book of the clinic.',
    found: null,
  },
  {
    name: 'a text of which only half is on the page',
    lines: ['The harbour master keeps the schedule.'],
    text: 'The harbour master keeps the schedule. Every spring it is copied by hand into two other books.',
    passage: 'The harbour master keeps the schedule. Every spring it is copied by hand into two other books.',
    found: null,
  },
  {
    name: 'a short word that occurs only inside others, among other words',
    lines: ['capital letters and vitality'],
    text: 'Nobody saw it, and nobody will.',
    passage: 'it',
    found: null,
  },
  { name: 'a page without text', lines: [], text: 'Some words of ours that are long enough.', passage: 'words of ours', found: null },
  { name: 'a page of empty items', lines: ['', ' ', ''], text: 'Some words of ours.', passage: 'words', found: null },
];

describe('locate', () => {
  it.each(cases)('$name', ({ lines, text, passage, found }) => {
    expect(find(lines, text, passage)).toEqual(found);
  });

  it('tells repeated sentences apart by what stands around them', () => {
    const lines = ['North wing.', 'See the porter first.', 'South wing.', 'See the porter first.', 'East wing.', 'See the porter first.'];
    const text = 'North wing. See the porter first. South wing. See the porter first. East wing. See the porter first.';
    for (const nth of [0, 1, 2]) {
      const location = locate(itemsOf(lines), text, spanOf(text, 'See the porter first.', nth));
      expect(location?.parts.map((part) => part.item)).toEqual([2 * nth + 1]);
    }
  });

  it('tells them apart by their order where all around is alike', () => {
    const lines = ['yes no', 'yes no', 'yes no'];
    const text = 'yes no\nyes no\nyes no';
    const items = [0, 1, 2].map((nth) => locate(itemsOf(lines), text, spanOf(text, 'yes no', nth))?.parts[0]?.item);
    expect(items).toEqual([0, 1, 2]);
  });

  it('finds nothing for a span that is empty, reversed or beyond the text', () => {
    const items = itemsOf(['some words on a page']);
    for (const span of [{ start: 3, end: 3 }, { start: 9, end: 2 }, { start: 500, end: 600 }]) {
      expect(locate(items, 'some words on a page', span)).toBeNull();
    }
  });
});

/** Numbers that look random and are the same in every run (a linear congruential generator, Numerical Recipes' constants). */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A page of random words, as our text has it. */
function randomWords(random: (below: number) => number, count: number): string[] {
  const alphabet = 'abcdefghijklmnopqrstuvwxyzäöüßéα';
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + random(9) }, () => [...alphabet][random(32)]!).join(''),
  );
}

/** Draws words as a typesetter might: other line ends, hyphens, ligature signs, capitals, accents apart. */
function typeset(words: string[], random: (below: number) => number): string[] {
  const lines: string[] = [];
  let line = '';
  for (let word of words) {
    if (random(12) === 0) word = word.replace('é', 'e\u0301').replace('fi', 'ﬁ');
    if (random(15) === 0) word = word.toUpperCase().replace('SS', 'ß');
    if (random(20) === 0) word += [',', '.', ';', '”'][random(4)]!;
    if (line.length > 30 + random(40) && word.length > 4) {
      lines.push(`${line}${word.slice(0, 2)}-`);
      line = `${word.slice(2)} `;
    } else line += `${word} `;
  }
  lines.push(line);
  return lines;
}

describe('locate on random pages', () => {
  const rounds = Array.from({ length: 60 }, (_, seed) => seed);

  it.each(rounds)('finds exactly what was set, round %i', (seed) => {
    const random = generator(seed * 7919 + 1);
    const words = randomWords(random, 40 + random(400));
    const lines = typeset(words, random);
    const text = words.join(' ');
    const first = random(words.length - 12);
    const passage = words.slice(first, first + 6 + random(6)).join(' ');
    const start = [...words.slice(0, first).join(' ')].length + (first > 0 ? 1 : 0);
    const location = locate(itemsOf(lines), text, { start, end: start + [...passage].length });
    const found = shown(lines, location)?.join('') ?? '';
    expect(skeleton([found], 'letters').text).toBe(skeleton([passage], 'letters').text);
    expect(location?.coverage).toBe(1);
  });

  it.each(rounds)('finds a damaged passage in shuffled blocks, round %i', (seed) => {
    const random = generator(seed * 104_729 + 5);
    const words = randomWords(random, 200);
    const text = words.join(' ');
    const first = random(150);
    const passage = words.slice(first, first + 40).join(' ');
    const start = [...words.slice(0, first).join(' ')].length + (first > 0 ? 1 : 0);
    // One word in fifteen is misread, and the page is drawn in blocks of ten words in another order.
    const drawn = words.map((word) => (random(15) === 0 ? [...word].toReversed().join('') : word));
    const blocks = Array.from({ length: 20 }, (_, block) => drawn.slice(block * 10, block * 10 + 10).join(' '));
    const lines = blocks.map((block, index) => ({ block, key: (index * 7) % 20 })).sort((a, b) => a.key - b.key).map(({ block }) => block);
    const location = locate(itemsOf(lines), text, { start, end: start + [...passage].length });
    expect(location).not.toBeNull();
    const inside = shown(lines, location)!.join(' ');
    // What is marked is hardly more than what was looked for.
    expect(inside.length).toBeLessThan(passage.length * 1.35);
    for (const part of location!.parts) {
      expect(part.start).toBeGreaterThanOrEqual(0);
      expect(part.end).toBeGreaterThan(part.start);
      expect(part.end).toBeLessThanOrEqual(lines[part.item]!.length);
    }
  });

  it.each(rounds)('finds nothing on another random page, round %i', (seed) => {
    const random = generator(seed * 31 + 17);
    const lines = typeset(randomWords(random, 300), random);
    const passage = randomWords(random, 12).join(' ');
    expect(locate(itemsOf(lines), passage, { start: 0, end: [...passage].length })).toBeNull();
  });
});
