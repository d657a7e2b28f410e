/** A language the window speaks. */
export type Language = 'en' | 'de';

/** What the settings may say: a language, or the one the system prefers. */
export type LanguageChoice = Language | 'auto';

const languages: Language[] = ['en', 'de'];

function preferred(): Language {
  for (const tag of navigator.languages ?? []) {
    const found = languages.find((language) => tag.toLowerCase().startsWith(language));
    if (found) return found;
  }
  return 'en';
}

let current = $state<Language>('en');

/** The language in force; reading it in a component makes the component follow it. */
export function language(): Language {
  return current;
}

/** Changes the language of the whole window. */
export function setLanguage(choice: LanguageChoice | string): void {
  current = languages.find((language) => language === choice) ?? preferred();
  document.documentElement.lang = current;
}
