import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer, IagTrace, Method } from '../bindings';
import { answerOf, iagAnswer, passage, Scripted } from '../chat/scripted';
import { setLanguage } from '../i18n';
import { ChatState } from '../state/chat.svelte';
import { Desk } from '../state/desk.svelte';
import PanelOnDesk from './PanelOnDesk.svelte';

const user = userEvent.setup();
beforeEach(() => setLanguage('en'));
afterEach(() => {
  cleanup();
  setLanguage('en');
});

/** Asks, lets IAG and perhaps RAG answer, and shows the evidence of IAG's answer. */
async function show(trace: Partial<IagTrace> = {}, change: Partial<Answer> = {}, rag: Answer | null = null): Promise<Scripted> {
  const transport = new Scripted();
  transport.methods = transport.methods.map((status) => (status.method === 'iag' ? { ...status, state: 'ready' } : status));
  const desk = new Desk(transport);
  const chat = desk.keep('chat', () => new ChatState(transport, { schedule: (work) => work() }));
  chat.listen();
  await chat.show('papers');
  const answer = iagAnswer(trace, change);
  const methods: Method[] = rag ? ['rag', 'iag'] : ['iag'];
  await chat.ask({ question: answer.question, methods, blind: false, abstain: true });
  for (const one of [...(rag ? [rag] : []), answer]) transport.say(one.method, { finished: one });
  transport.end();
  render(PanelOnDesk, { desk, answer });
  await waitFor(() => expect(chat.items.at(-1)?.run).toBeNull());
  await user.click(screen.getByRole('tab', { name: /Method|Verfahren/ }));
  return transport;
}
const panel = () => screen.getAllByRole('tabpanel').at(-1)!;
const words = () => panel().textContent?.replace(/\s+/g, ' ') ?? '';
const box = () => screen.queryByTestId('document');

const retrieved: Partial<Answer> = { retrieved: [passage(0), passage(1), passage(2)], read: [0, 1] };

describe('an answer with imagination', () => {
  it('opens with the document, in a box that says what it is not', async () => {
    await show();
    expect(words()).toContain('No document was opened and no index was read');
    expect(words()).toContain('made weights for this one question');
    expect(box()?.textContent).toMatch(/Imagined, not evidence.*none of your documents.*never cited.*Spare key hangs barometer hall\./s);
    expect(box()?.classList.contains('grounded')).toBe(false);
    expect(words()).not.toMatch(/Grounded|Kept from/);
    expect(screen.queryByTestId('control')).toBeNull();
    expect(screen.queryByTestId('restricted')).toBeNull();
  });

  it('calls squeezed passages grounded and not imagined', async () => {
    await show({ mode: 'retrieved', imagine: { tokens_read: 231, tokens_written: 0, bytes_read: 90 } }, retrieved);
    expect(box()?.textContent).toMatch(/Grounded.*Squeezed from 2 passages/s);
    expect(box()?.textContent).not.toContain('magined');
    expect(box()?.classList.contains('grounded')).toBe(true);
    expect(words()).toMatch(/Read to squeeze the passages ?231 tokens.*Finding and squeezing passages ?210 ms/);
  });

  it('shows no document where there was none', async () => {
    await show({ mode: 'closed_book', document: '', imagine: { tokens_read: 0, tokens_written: 0, bytes_read: 0 } });
    expect(box()).toBeNull();
    expect(words()).toContain('not even an imagined one');
    expect(words()).not.toMatch(/Imagine model read|Imagining the document/);
    await user.click(screen.getByRole('tab', { name: 'Passages' }));
    expect(screen.getByText(/nothing but the question/)).toBeTruthy();
  });

  it('says where the time went, weights included, and what was read and written', async () => {
    await show();
    expect(words()).toMatch(/Own document.*read and wrote ?21 \+ 9 tokens.*Base read and wrote ?28 \+ 6 tokens.*Of it to make the weights ?24 tokens.*Size of the weights made ?1\.\d M/);
    expect(words()).toMatch(/Imagining the document ?210 ms.*Reading for the weights ?40 ms.*Making the weights ?2 ms.*Loading them ?3 ms.*Base reads and writes ?180 ms.*rest ?15 ms.*In all ?450 ms/);
    await user.click(screen.getByRole('tab', { name: 'Passages' }));
    expect(screen.getByText(/what it read was imagined/)).toBeTruthy();
  });

  it('owns up to a document that was kept', async () => {
    await show({ cached: true, imagine_ms: 0 });
    expect(words()).toContain('Kept from an earlier time, when the same question was asked.');
    expect(words()).toMatch(/had read and written, earlier ?21 \+ 9/);
    expect(words()).not.toContain('Imagining the document');
  });

  it('says when nothing was written', async () => {
    await show({ document: ' ' });
    expect(box()?.textContent).toContain('Nothing was written.');
  });

  it.each([
    ['no_document', 'no document in the prompt'],
    ['no_hypernetwork', 'no weights made'],
    ['constant_features', 'the same weights for every question'],
    ['shuffled_features', 'made for another question'],
    ['question_features', 'without the document'],
    ['no_feed_forward', 'before the training'],
    ['retrieved', 'in place of an imagined document'],
  ] as const)('labels the control %s', async (control, said) => {
    await show({ control });
    expect(screen.getByTestId('control').textContent).toContain(said);
  });

  it('labels the restricted variant, and claims no weights where none were made', async () => {
    await show({ form: 'bank' });
    expect(screen.getByTestId('restricted').textContent).toMatch(/Restricted variant:.*not the method of the paper/);
    cleanup();
    await show({ form: null, feature_tokens: 0, adapter_bytes: 0 });
    expect(words()).toContain('No weights were made for the question.');
    expect(words()).not.toMatch(/Making the weights|Size of the weights|Of it to make/);
  });

  it('is compared with RAG on the same question, imagining included', async () => {
    await show();
    expect(screen.queryByTestId('evidence-against')).toBeNull();
    cleanup();
    await show({}, {}, answerOf('rag', 'Here.', { id: 9 }));
    expect(screen.getByTestId('evidence-against').textContent).toBe(
      '2.9 times as fast as RAG here, imagining included; its models together read 49 and wrote 15 tokens, RAG 576 and 17.',
    );
  });

  it('is asked for again with something else in the prompt, in its place', async () => {
    const transport = await show();
    const group = within(screen.getByRole('group', { name: 'Ask again with' }));
    expect(group.queryByRole('button', { name: 'Own document' })).toBeNull();
    await user.click(group.getByRole('button', { name: 'Retrieved passages' }));
    expect(transport.lastAsk).toMatchObject({ methods: ['iag'], imagine: 'retrieved', replaces: expect.any(Number) });
  });

  it('speaks German', async () => {
    setLanguage('de');
    await show({ control: 'shuffled_features', form: 'bank', cached: true });
    expect(words()).toMatch(/kein Index gelesen.*Eingeschränkte Variante:.*Kontrolle:.*Ausgedacht, kein Beleg/);
    expect(words()).not.toMatch(/iag\./);
  });

  it('is accessible', async () => {
    await show({ control: 'constant_features', cached: true });
    const { violations } = await axe.run(document.body, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    expect(panel().querySelectorAll('[style]')).toHaveLength(0);
  });
});
