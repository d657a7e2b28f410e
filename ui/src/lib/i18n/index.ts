/**
 * Words. Every area has a pair of files `messages/<area>.en.ts` and `messages/<area>.de.ts`;
 * a new pair is found without a change here. Keys begin with the area: `library.title`.
 */
import { language, type Language } from './language.svelte';

export { language, setLanguage, type Language, type LanguageChoice } from './language.svelte';
export * from './format';
import { number } from './format';

/** Messages of one area in one language. */
export type Messages = Record<string, string>;

/** Values for the `{names}` in a message; numbers are written as the language writes them. */
export type Params = Record<string, string | number>;

const files = import.meta.glob<{ default: Messages }>('./messages/*.ts', { eager: true });

/** All messages by language, and by area within it. */
export const areas: Record<Language, Record<string, Messages>> = { en: {}, de: {} };
const all: Record<Language, Messages> = { en: {}, de: {} };
for (const [path, file] of Object.entries(files)) {
  const [, area, tag] = /\/([^/.]+)\.(en|de)\.ts$/.exec(path) ?? [];
  if (!area || !tag) continue;
  areas[tag as Language][area] = file.default;
  Object.assign(all[tag as Language], file.default);
}

const plurals: Record<Language, Intl.PluralRules> = {
  en: new Intl.PluralRules('en'),
  de: new Intl.PluralRules('de'),
};

/** Whether there is a message of this key (in English, which has them all). */
export function hasMessage(key: string): boolean {
  return key in all.en || `${key}.other` in all.en;
}

/**
 * The message of a key in the language in force, with `{name}` replaced from `params`.
 * Where `params.count` is given, `key.one` or `key.other` is taken if there is one.
 * A key without a message is shown as it is, so that the gap can be seen.
 */
export function t(key: string, params: Params = {}): string {
  const messages = all[language()];
  let message = messages[key];
  if (typeof params.count === 'number') {
    const form = plurals[language()].select(params.count);
    message = messages[`${key}.${form}`] ?? messages[`${key}.other`] ?? message;
  }
  if (message === undefined) return key;
  return message.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = params[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? number(value) : value;
  });
}
