/** Groups chats by the day they were last added to. */

/** Where a day lies, as people say it. */
export type Day = 'today' | 'yesterday' | 'week' | 'month' | { year: number; month: number };

const DAY_MS = 86_400_000;

function midnight(date: Date): number {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

/** The group of a moment (seconds since 1970), in local time, as seen at `now`. */
export function dayOf(seconds: number, now: Date): Day {
  const then = new Date(seconds * 1000);
  // Rounded, because a day with a change of the clocks has 23 or 25 hours.
  const days = Math.round((midnight(now) - midnight(then)) / DAY_MS);
  if (days <= 0) return 'today';
  if (days === 1) return 'yesterday';
  if (days < 7) return 'week';
  if (days < 30) return 'month';
  return { year: then.getFullYear(), month: then.getMonth() };
}

/** A text that is equal for equal groups. */
export function dayKey(day: Day): string {
  return typeof day === 'string' ? day : `${day.year}-${day.month}`;
}
