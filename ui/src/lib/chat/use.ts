import { useDesk } from '../state/desk.svelte';
import { ChatState } from '../state/chat.svelte';

/** In a component's script: the chat of this window. It outlives the views. */
export function useChat(): ChatState {
  return useDesk().keep('chat', ({ transport }) => new ChatState(transport));
}
