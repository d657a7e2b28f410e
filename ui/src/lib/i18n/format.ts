/** Numbers, sizes, times and dates as the language in force writes them. */
import { language } from './language.svelte';

/** Making a formatter takes longer than using it, and lists use the same few again and again. */
const formatters = new Map<string, Intl.NumberFormat>();

function formatter(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = `${language()} ${JSON.stringify(options)}`;
  let known = formatters.get(key);
  if (!known) {
    known = new Intl.NumberFormat(language(), options);
    formatters.set(key, known);
  }
  return known;
}

/** A number with at most `digits` digits after the point, and at least `least`. */
export function number(value: number, digits = 2, least = 0): string {
  return formatter({ minimumFractionDigits: least, maximumFractionDigits: digits }).format(value);
}

/** A share from 0 to 1 as a percentage. */
export function percent(share: number, digits = 0): string {
  return formatter({ style: 'percent', maximumFractionDigits: digits }).format(share);
}

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;

/** A size in bytes, in steps of 1,000 as file managers count. */
export function bytes(size: number): string {
  let value = Math.max(0, size);
  let step = 0;
  while (value >= 999.5 && step < units.length - 1) {
    value /= 1000;
    step += 1;
  }
  return formatter({
    style: 'unit',
    unit: units[step],
    unitDisplay: step === 0 ? 'long' : 'short',
    maximumFractionDigits: step === 0 || value >= 100 ? 0 : 1,
  }).format(value);
}

function unit(value: number, name: string, digits = 0): string {
  return formatter({
    style: 'unit',
    unit: name,
    unitDisplay: 'short',
    maximumFractionDigits: digits,
  }).format(value);
}

/** A length of time in its one or two largest units: `850 ms`, `4.2 sec`, `3 min 20 sec`, `2 hr 5 min`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return '–';
  if (seconds < 0.9995) return unit(Math.round(seconds * 1000), 'millisecond');
  if (seconds < 9.95) return unit(seconds, 'second', 1);
  const whole = Math.round(seconds);
  if (whole < 60) return unit(whole, 'second');
  const pair = (large: string, small: string, size: number, count: number) => {
    const rest = count % size;
    const head = unit(Math.floor(count / size), large);
    return rest === 0 ? head : `${head} ${unit(rest, small)}`;
  };
  if (whole < 3600) return pair('minute', 'second', 60, whole);
  if (whole < 86_400) return pair('hour', 'minute', 60, Math.round(whole / 60));
  return pair('day', 'hour', 24, Math.round(whole / 3600));
}

/** A point in time (seconds since 1970) as date and time. */
export function dateTime(seconds: number): string {
  return new Intl.DateTimeFormat(language(), { dateStyle: 'medium', timeStyle: 'short' }).format(seconds * 1000);
}

/** A point in time (seconds since 1970) as seen from `now`: `5 min ago`. */
export function ago(seconds: number, now: number = Date.now() / 1000): string {
  const format = new Intl.RelativeTimeFormat(language(), { numeric: 'auto', style: 'short' });
  const past = Math.max(0, now - seconds);
  if (past < 45) return format.format(0, 'second');
  if (past < 3600) return format.format(-Math.round(past / 60), 'minute');
  if (past < 86_400) return format.format(-Math.round(past / 3600), 'hour');
  if (past < 30 * 86_400) return format.format(-Math.round(past / 86_400), 'day');
  return new Intl.DateTimeFormat(language(), { dateStyle: 'medium' }).format(seconds * 1000);
}
