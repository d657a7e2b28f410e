/** The keys of the chat. */

import type { Shortcut } from '../keyboard';
import type { ChatState } from '../state/chat.svelte';
import { CHOICES } from './methods';

/** What the keys do that only the view can. */
export interface Actions {
  begin: () => void;
  focus: () => void;
  move: (step: 1 | -1) => void;
}

export function chatShortcuts(chat: ChatState, { begin, focus, move }: Actions): Shortcut[] {
  const { asking } = chat;
  const scope = 'chat.keys';
  const previous = { choice: asking.choice === 'compare' ? ('rag' as const) : asking.choice };
  return [
    // A browser keeps Control+N for itself; the window does not.
    { id: 'chat.new', keys: 'Mod+N Alt+N', label: 'chat.new', scope, inFields: true, run: begin },
    { id: 'chat.focus', keys: '/', label: 'chat.keys.focus', scope, run: focus },
    {
      id: 'chat.stop',
      keys: 'Escape',
      label: 'chat.keys.stop',
      scope,
      inFields: true,
      when: () => chat.running !== undefined && !document.querySelector('dialog[open]'),
      run: () => void chat.stop(),
    },
    { id: 'chat.next', keys: 'Alt+ArrowDown', label: 'chat.keys.next', scope, inFields: true, run: () => move(1) },
    { id: 'chat.previous', keys: 'Alt+ArrowUp', label: 'chat.keys.previous', scope, inFields: true, run: () => move(-1) },
    ...CHOICES.map((choice, index) => ({
      id: `chat.choose.${choice}`,
      keys: `Alt+${index + 1}`,
      label: `chat.keys.${choice}`,
      scope,
      inFields: true,
      run: () => {
        asking.choice = choice;
      },
    })),
    {
      id: 'chat.compare',
      keys: 'Alt+C',
      label: 'chat.keys.toggle',
      scope,
      inFields: true,
      run: () => {
        if (asking.choice === 'compare') asking.choice = previous.choice;
        else {
          previous.choice = asking.choice;
          asking.choice = 'compare';
        }
      },
    },
  ];
}
