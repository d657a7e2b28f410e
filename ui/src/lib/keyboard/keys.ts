/** Key combinations as text: `Mod+K`, `Shift+Enter`, `?`, `Escape`. `Mod` is Command on a Mac, else Control. */

/** Whether this is a Mac, where Command does what Control does elsewhere. */
export function isMac(): boolean {
  return /mac|iphone|ipad/i.test(navigator.platform || navigator.userAgent);
}

/** Whether an event is the press of a combination. */
export function matches(event: KeyboardEvent, combination: string, mac: boolean = isMac()): boolean {
  const parts = combination.split('+');
  const key = parts.pop() || '+';
  const wanted = new Set(parts);
  const control = wanted.has('Control') || (wanted.has('Mod') && !mac);
  const meta = wanted.has('Meta') || (wanted.has('Mod') && mac);
  if (event.ctrlKey !== control || event.metaKey !== meta || event.altKey !== wanted.has('Alt')) return false;
  // A sign such as `?` needs Shift on some keyboards and not on others.
  const sign = key.length === 1 && !/[a-z0-9]/i.test(key);
  if (!sign && event.shiftKey !== wanted.has('Shift')) return false;
  return event.key.toLowerCase() === key.toLowerCase();
}

const symbols: Record<string, string> = {
  ArrowUp: '↑',
  ArrowDown: '↓',
  ArrowLeft: '←',
  ArrowRight: '→',
  Enter: '⏎',
  Escape: 'Esc',
  PageUp: 'Pg ↑',
  PageDown: 'Pg ↓',
};

/** The keys of a combination as they are shown, one string for each key. */
export function keyCaps(combination: string, mac: boolean = isMac()): string[] {
  return combination.split(/\+(?=.)/).map((key) => {
    if (key === 'Mod') return mac ? '⌘' : 'Ctrl';
    if (key === 'Control') return mac ? '⌃' : 'Ctrl';
    if (key === 'Alt') return mac ? '⌥' : 'Alt';
    return symbols[key] ?? (key.length === 1 ? key.toUpperCase() : key);
  });
}

/** Whether an event comes from something that text is typed into. */
export function inTextField(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !['checkbox', 'radio', 'button', 'range'].includes(target.type);
}
