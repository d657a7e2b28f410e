/** What an expert's report says, in words: the figures are the core's, the judgements are these. */
import type { BeforeAfter, ExpertReport } from '../bindings';
import { number, percent, t } from '../i18n';

/** Perplexity on everyday text may rise by this share before it is a warning. */
export const TOLERATED_RISE = 0.1;

export type Tone = 'good' | 'neutral' | 'warn';

/** A figure before and after, and what to make of it; without a pair it was not measured. */
export interface Measure {
  name: 'in_domain' | 'general' | 'closed_book';
  about: string;
  /** The two figures as they are written. */
  pair: { before: string; after: string } | null;
  tone: Tone;
  verdict: string;
}

/** A pair of numbers. JSON has no infinity: a training that diverged leaves gaps. */
function pairOf(pair: BeforeAfter | null): BeforeAfter | null {
  return pair && Number.isFinite(pair.before) && Number.isFinite(pair.after) ? pair : null;
}

/** The difference, or nothing where it would be written as zero. */
const visible = (difference: number) => (Math.abs(difference) < 0.0005 ? 0 : difference);

function perplexity(name: 'in_domain' | 'general', about: string, given: BeforeAfter | null): Measure {
  const pair = pairOf(given);
  const key = `experts.measure.${name}`;
  if (!pair || pair.before <= 0) {
    return { name, about, pair: null, tone: 'neutral', verdict: t(given ? 'experts.measure.broken' : 'experts.measure.none') };
  }
  const share = visible(pair.after / pair.before - 1);
  const change = percent(Math.abs(share), 1);
  const written = { before: number(pair.before, 2), after: number(pair.after, 2) };
  const say = (verdict: string, tone: Tone): Measure => ({ name, about, pair: written, tone, verdict: t(`${key}.${verdict}`, { change }) });
  if (share < 0) return say('better', 'good');
  if (name === 'in_domain') return say(share === 0 ? 'same' : 'worse', 'warn');
  if (share === 0) return say('same', 'neutral');
  return share > TOLERATED_RISE ? say('worse', 'warn') : say('held', 'neutral');
}

function closedBook(about: string, given: BeforeAfter | null): Measure {
  const pair = pairOf(given);
  const name = 'closed_book';
  if (!pair) {
    return { name, about, pair: null, tone: 'neutral', verdict: t(given ? 'experts.measure.broken' : 'experts.measure.none') };
  }
  const difference = visible(pair.after - pair.before);
  const verdict = difference > 0 ? 'better' : difference < 0 ? 'worse' : 'same';
  return {
    name,
    about,
    pair: { before: number(pair.before, 3), after: number(pair.after, 3) },
    tone: difference > 0 ? 'good' : 'warn',
    verdict: t(`experts.measure.closed_book.${verdict}`, { change: number(Math.abs(difference), 3) }),
  };
}

/** The three measures, in the order of what matters to a reader of answers. */
export function measures(report: ExpertReport): Measure[] {
  const held = t('experts.measure.in_domain.about', { count: report.held_out_passages });
  const asked = t('experts.measure.closed_book.about', { count: report.questions });
  return [
    closedBook(report.closed_book_f1 ? asked : '', report.closed_book_f1),
    perplexity('in_domain', report.in_domain ? held : '', report.in_domain),
    perplexity('general', t('experts.measure.general.about'), report.general),
  ];
}

/** Whether the expert answers better from memory than the model it was made from. */
export function verdict(report: ExpertReport): 'beats' | 'fails' | 'unknown' {
  const pair = pairOf(report.closed_book_f1);
  if (!pair) return 'unknown';
  return visible(pair.after - pair.before) > 0 ? 'beats' : 'fails';
}

/**
 * Whether so small a difference can be chance: it is below two standard errors of the mean of `n`
 * differences with a standard deviation of one half, 2 × 0.5 / √n. F1 is seldom spread wider.
 */
export function mayBeChance(report: ExpertReport): boolean {
  const pair = pairOf(report.closed_book_f1);
  return pair !== null && Math.abs(pair.after - pair.before) * Math.sqrt(report.questions) < 1;
}

/** Counts by name, most first. */
export function ranked(counts: ExpertReport['rows']): [string, number][] {
  return (Object.entries(counts) as [string, number][]).sort(([, one], [, other]) => other - one);
}

/** What says how long a training took. */
export type Timed = Pick<ExpertReport, 'stages' | 'seconds' | 'foretold_seconds'>;

/** Seconds of all parts, and of the stages that were foretold. */
export function spent(report: Timed): { all: number; training: number } {
  const seconds = new Map(ranked(report.seconds));
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
  return { all: sum(seconds.values()), training: sum(report.stages.map(({ name }) => seconds.get(name) ?? 0)) };
}
