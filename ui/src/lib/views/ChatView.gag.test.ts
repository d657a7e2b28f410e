import { cleanup, render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOf, gagAnswer, gagTrace, Scripted } from '../chat/scripted';
import { setLanguage } from '../i18n';
import { Desk } from '../state/desk.svelte';
import ChatView from './ChatView.svelte';
import OnDesk from './OnDesk.test.svelte';

let transport: Scripted;
let stop: () => void;
const user = userEvent.setup();

beforeEach(async () => {
  setLanguage('en');
  transport = new Scripted();
  transport.methods = transport.methods.map((status) => (status.method === 'gag' ? { ...status, state: 'ready' } : status));
  const desk = new Desk(transport);
  stop = desk.start();
  render(OnDesk, { desk, view: ChatView });
  await screen.findByText('Ask papers');
});

afterEach(() => {
  cleanup();
  stop();
});

const choose = (name: RegExp | string) => user.click(screen.getByRole('radio', { name }));

async function ask(): Promise<void> {
  await user.type(screen.getByRole('textbox', { name: 'Question' }), 'Where is the key?{Enter}');
  await waitFor(() => expect(transport.asked()).toHaveLength(1));
}

describe('GAG', () => {
  it('tells the route, and when the expert has written', async () => {
    await choose(/GAG/);
    await ask();
    const { scores, route, background } = gagTrace();
    transport.say('gag', { routed: [scores, route] });
    const progress = await screen.findByTestId('progress');
    await waitFor(() => expect(progress.textContent).toMatch(/The expert thinks.*Route: Expert on papers/s));
    transport.say('gag', { prefill: { done: 10, total: 31 } });
    transport.say('gag', { background });
    await waitFor(() => expect(progress.textContent).toMatch(/The expert has written; the base answers.*Route: Expert on papers/s));
    expect(document.body.textContent).not.toContain(background);
    transport.say('gag', { finished: gagAnswer() });
    transport.end();
    await screen.findByTestId('numbers');
    expect(screen.queryByTestId('saving')).toBeNull();
  });

  it('goes on at once where the route is general', async () => {
    await choose(/GAG/);
    await ask();
    transport.say('gag', { routed: [gagTrace().scores, 'general'] });
    await waitFor(() => expect(screen.getByTestId('progress').textContent).toMatch(/Reading.*Route: General/s));
  });

  it.each([false, true])('beside RAG says what it spares, once names are seen; blind: %s', async (blind) => {
    await choose('Compare');
    if (blind) await user.click(screen.getByRole('switch', { name: 'Blind' }));
    await ask();
    transport.say('gag', { routed: [gagTrace().scores, 'general'] });
    transport.say('none', { finished: answerOf('none', 'Here.', { id: 1, retrieved: [], read: [], used: [], sentences: [] }) });
    transport.say('rag', { finished: answerOf('rag', 'Here.', { id: 2 }) });
    const finished = () => screen.getAllByTestId('column').filter(({ dataset }) => dataset.phase === 'finished');
    await waitFor(() => expect(finished()).toHaveLength(2));
    expect(/Route: /.test(document.body.textContent ?? '')).toBe(!blind);
    transport.say('gag', { finished: gagAnswer() });
    transport.end();
    await waitFor(() => expect(finished()).toHaveLength(3));
    if (blind) {
      expect(screen.queryByTestId('saving')).toBeNull();
      await user.click(await screen.findByRole('button', { name: 'No difference' }));
    }
    const saving = await screen.findByTestId('saving');
    expect(saving.textContent).toBe('Reads 524 tokens fewer than RAG here; the expert itself read 31 and wrote 48.');
    expect(saving.closest('[data-testid=column]')?.getAttribute('data-method')).toBe('gag');
  });
});
