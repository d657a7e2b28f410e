import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setLanguage } from '../i18n';
import { Desk } from '../state/desk.svelte';
import ChatView from './ChatView.svelte';
import OnDesk from './OnDesk.test.svelte';
import { iagAnswer, passage, Scripted } from '../chat/scripted';

let transport: Scripted;
let stop: () => void;
const user = userEvent.setup();

beforeEach(async () => {
  setLanguage('en');
  transport = new Scripted();
  transport.methods = transport.methods.map((status) => (status.method === 'iag' ? { ...status, state: 'ready' } : status));
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
const choice = () => screen.queryByRole('radiogroup', { name: 'What IAG puts into the prompt' });
async function ask(): Promise<void> {
  const before = transport.asked().length;
  await user.type(screen.getByRole('textbox', { name: 'Question' }), 'Where is the key?{Enter}');
  await waitFor(() => expect(transport.asked().length).toBe(before + 1));
}

describe('asking with imagination', () => {
  it('lets choose what stands in the prompt, its own document at first', async () => {
    expect(choice()).toBeNull();
    await choose('IAG');
    expect(within(choice()!).getByRole('radio', { checked: true }).textContent?.trim()).toBe('Own document');
    expect(screen.getByTestId('imagine').textContent).toContain('No index is read.');
    await ask();
    expect(transport.lastAsk).toMatchObject({ methods: ['iag'], imagine: 'own_document' });
    transport.say('iag', { finished: iagAnswer() });
    transport.end();
    await choose('Retrieved passages');
    expect(screen.getByTestId('imagine').textContent).toContain('grounded, not imagined');
    await waitFor(() => expect(screen.queryByRole('button', { name: 'Stop' })).toBeNull());
    await ask();
    expect(transport.lastAsk).toMatchObject({ imagine: 'retrieved' });
  });

  it('offers the choice where IAG is compared, and says nothing of it to others', async () => {
    await ask();
    expect(transport.lastAsk).not.toHaveProperty('imagine');
    await choose('Compare');
    expect(choice()).toBeTruthy();
    await user.click(within(screen.getByRole('group', { name: 'Methods to compare' })).getByRole('button', { name: 'IAG' }));
    expect(choice()).toBeNull();
  });

  it('tells of the document while the base reads, and what kind it is', async () => {
    await choose('IAG');
    await ask();
    await screen.findByText('Imagining a document');
    transport.say('iag', { loading: 0.5 });
    await screen.findByText('Loading the model, 50%');
    transport.say('iag', { loading: 1 });
    await screen.findByText('Imagining a document');
    transport.say('iag', { imagined: ['Key hangs barometer.', 'own_document'] });
    await screen.findByText('Imagined a document');
    screen.getByText('Making weights for the question');
    transport.say('iag', { prefill: { done: 4, total: 20 } });
    await screen.findByText('Reading, 4 of 20 tokens');
    expect(screen.queryByText('Squeezed the passages')).toBeNull();
  });

  it('tells of its work where it is compared, once its turn has come', async () => {
    await choose('Compare');
    await ask();
    expect(screen.queryByText('Imagining a document')).toBeNull();
    transport.say('iag', { imagining: 'own_document' });
    await screen.findByText('Imagining a document');
  });

  it('does not call squeezed passages imagined', async () => {
    await choose('IAG');
    await choose('Retrieved passages');
    await ask();
    await screen.findByText('Searching');
    transport.say('iag', { retrieved: [passage(0)] });
    await screen.findByText('Squeezing the passages');
    transport.say('iag', { imagined: ['key behind barometer', 'retrieved'] });
    await screen.findByText('Squeezed the passages');
    expect(screen.queryByText('Imagined a document')).toBeNull();
  });

  it('does not speak of a document where there is to be none', async () => {
    await choose('IAG');
    await choose('No document');
    await ask();
    await screen.findByText('Making weights for the question');
    expect(screen.queryByText(/Imagin/)).toBeNull();
  });

  it('is accessible', async () => {
    await choose('IAG');
    const { violations } = await axe.run(document.body, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  });
});
