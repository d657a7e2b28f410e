import { onMount } from 'svelte';
import { useDesk } from '../state/desk.svelte';
import type { Shortcut } from './shortcuts.svelte';

export { inTextField, isMac, keyCaps, matches } from './keys';
export { Shortcuts, type Shortcut } from './shortcuts.svelte';

/** In a component's script: shortcuts that work for as long as the component is shown. */
export function useShortcuts(...shortcuts: Shortcut[]): void {
  const { shortcuts: registry } = useDesk();
  onMount(() => {
    const stops = shortcuts.map((shortcut) => registry.register(shortcut));
    return () => stops.forEach((stop) => stop());
  });
}
