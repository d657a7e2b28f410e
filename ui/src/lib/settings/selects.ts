/**
 * For tests: happy-dom finds no chosen option by `select:checked`, which is how Svelte reads a
 * bound <select>.
 */
export function selectsKnowWhatIsChosen(): void {
  const find = HTMLSelectElement.prototype.querySelector;
  HTMLSelectElement.prototype.querySelector = function (this: HTMLSelectElement, selectors: string) {
    if (selectors === ':checked') return this.options[this.selectedIndex] ?? null;
    return find.call(this, selectors);
  } as typeof find;
}
