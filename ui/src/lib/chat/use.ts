import { useDesk } from '../state/desk.svelte';
import { ChatState } from '../state/chat.svelte';
import { Corrections } from './corrections.svelte';

/** In a component's script: the chat of this window. It outlives the views. */
export function useChat(): ChatState {
  return useDesk().keep('chat', ({ transport }) => new ChatState(transport));
}

/** In a component's script: the routes that were put right. */
export function useCorrections(): Corrections {
  return useDesk().keep('corrections', (desk) => new Corrections(desk));
}
