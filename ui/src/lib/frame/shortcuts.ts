import type { Shortcut } from '../keyboard';
import { views, type AppState } from '../state/app.svelte';

const general = 'frame.keyboard.general';
const widgets = 'frame.keyboard.widgets';

/** The shortcuts that work everywhere, and those that the components handle themselves. */
export function frameShortcuts(app: AppState): Shortcut[] {
  return [
    { id: 'frame.help', keys: '?', label: 'frame.keyboard.help', scope: general, run: () => (app.helpOpen = true) },
    ...views.map((view, index) => ({
      id: `frame.go.${view}`,
      keys: `Mod+${index + 1}`,
      label: `frame.keyboard.${view}`,
      scope: general,
      run: () => app.go(view),
    })),
    {
      id: 'frame.evidence.close',
      keys: 'Escape',
      label: 'frame.keyboard.evidence',
      scope: general,
      when: () => app.evidence !== null && !document.querySelector('dialog[open]'),
      run: () => app.closeEvidence(),
    },
    { id: 'frame.tab', keys: 'Tab', label: 'frame.keyboard.tab', scope: widgets },
    { id: 'frame.arrows', keys: 'ArrowUp ArrowDown', label: 'frame.keyboard.arrows', scope: widgets },
    { id: 'frame.scroll', keys: 'PageUp PageDown', label: 'frame.keyboard.scroll', scope: widgets },
    { id: 'frame.resize', keys: 'ArrowLeft ArrowRight', label: 'frame.keyboard.resize', scope: widgets },
    { id: 'frame.escape', keys: 'Escape', label: 'frame.keyboard.escape', scope: widgets },
  ];
}
