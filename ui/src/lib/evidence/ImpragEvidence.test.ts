import { cleanup, render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer, ImpragTrace } from '../bindings';
import { impragAnswer, Scripted } from '../chat/scripted';
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

/** Shows the method's own evidence of an answer. */
async function show(trace: Partial<ImpragTrace> = {}, change: Partial<Answer> = {}, tab = 'Method'): Promise<void> {
  const desk = new Desk(new Scripted());
  desk.keep('chat', () => new ChatState(new Scripted()));
  render(PanelOnDesk, { desk, answer: impragAnswer(trace, change) });
  await user.click(screen.getByRole('tab', { name: tab }));
}
const panel = () => screen.getAllByRole('tabpanel').at(-1)!;
const words = () => panel().textContent?.replace(/\s+/g, ' ') ?? '';
const neighbours = () =>
  within(screen.getByRole('list', { name: /implicit query/ }))
    .getAllByRole('listitem')
    .map((item) => item.textContent?.replace(/\s+/g, ' ').trim());

describe('an answer by implicit query', () => {
  it('says in a sentence who searched and which layers read', async () => {
    await show();
    expect(words()).toContain('Nobody wrote a search');
    expect(words()).toContain('It answered from the memory of layers 7 to 17');
    expect(screen.queryByTestId('fallback')).toBeNull();
    expect(screen.queryByTestId('control')).toBeNull();
  });

  it('lists the neighbours with raw scores and what became of them', async () => {
    await show();
    expect(neighbours()).toEqual([
      expect.stringMatching(/^Handbook Page 1 .*Inner product 41\.3 ?read$/),
      expect.stringMatching(/^Letter Page 12 .*Inner product 38\.6 ?cited$/),
      expect.stringMatching(/^Minutes Page 3 .*Inner product 30\.2 ?not read$/),
    ]);
    expect(words()).toContain('is no probability');
    expect(words()).toContain('No limit was calibrated here');
  });

  it('opens the page of a neighbour', async () => {
    await show();
    await user.click(screen.getByRole('button', { name: 'Open page 3 of Minutes' }));
    expect(screen.getByRole('tab', { name: 'Page' }).getAttribute('aria-selected')).toBe('true');
  });

  it('counts what was restored and where the time went', async () => {
    await show();
    expect(words()).toMatch(/fast: each passage encoded once.*retrieval heads \(T0\).*Passages read ?2.*Tokens in them ?118.*Restored from disk ?6\d\d (kB|KiB).*24 \+ 6 tokens/);
    expect(words()).toMatch(/Making the query ?42 ms.*Comparing it with the passages ?2 ms.*Restoring passages and reading the question ?31 ms.*Writing ?300 ms.*Waiting and the rest ?15 ms.*In all ?390 ms/);
    expect(words()).not.toMatch(/Encoded just now|Encoding passages/);
  });

  it('owns up to states that had to be made', async () => {
    await show({ encoded: 3, encode_ms: 210 });
    expect(words()).toMatch(/Encoded just now, as they were not on disk ?3/);
    expect(words()).toMatch(/Encoding passages that were not on disk ?210 ms/);
  });

  it('claims no memory where nothing is kept', async () => {
    await show({ encoded: 2, restored_bytes: 0 });
    expect(words()).toContain('each encoded by itself for this question');
    expect(words()).not.toContain('from the memory');
  });

  it('tells quality mode apart', async () => {
    await show({ mode: 'quality', encoded: 2, restored_bytes: 0, tier: 't3' });
    expect(words()).toContain('Layers 7 to 17 read the passages one after another for this question');
    expect(words()).toMatch(/quality: the passages encoded together.*all layers, as in the paper \(T3\)/);
    expect(words()).toMatch(/Reading passages and question ?31 ms/);
    expect(words()).not.toMatch(/Restored|Restoring|Encoded just now/);
  });

  it('labels the fallback and what its words found', async () => {
    const answer = impragAnswer();
    const [first, second, third] = answer.retrieved;
    await show({ is_hybrid: true, scores: [41.3, null] }, { retrieved: [first!, { ...second!, dense: null, lexical: [0.4, 1] }, third!] });
    expect(screen.getByTestId('fallback').textContent).toMatch(/Fallback:.*BM25.*not the method of the paper/);
    expect(neighbours()[1]).toMatch(/Found by its words ?cited$/);
  });

  it.each([
    ['untrained_heads', 'vectors of the bare model'],
    ['lexical', 'found by their words'],
    ['random', 'drawn at random'],
    ['hide_all', 'no layer sees'],
    ['reveal_all', 'every layer sees'],
    ['oracle', 'hold the right answer'],
  ] as const)('labels the control %s', async (control, said) => {
    await show({ control, layers: control === 'hide_all' ? [18, 17] : [7, 17] });
    expect(screen.getByTestId('control').textContent).toContain(said);
    if (control === 'hide_all') expect(words()).toContain('No layer saw the passages.');
  });

  it('explains the limit by raw scores', async () => {
    await show({ threshold: 35.5 });
    expect(words()).toContain('reached 41.3. That is at or above the limit of 35.5');
    cleanup();
    await show({ threshold: 50 }, { outcome: 'not_in_documents', withheld: 'On the moon.', sentences: [], used: [] });
    expect(words()).toMatch(/reached 41\.3\. That is below the limit of 50.*so the answer was held back\..*On the moon\./);
  });

  it('shows how an answer without passages came about', async () => {
    await show({ best: null, scores: [], passage_tokens: 0 }, { retrieved: [], read: [], used: [], outcome: 'not_in_documents' });
    expect(words()).toContain('so the model was not asked');
    expect(screen.queryByRole('list', { name: /implicit query/ })).toBeNull();
    expect(words()).not.toMatch(/Restoring passages|Writing/);
  });

  it('names the implicit query beside the passages, and no search by words', async () => {
    await show({}, {}, 'Passages');
    expect(words()).toMatch(/Implicit query ?rank 1 \(41\.3\d?\)/);
    expect(words()).not.toMatch(/By words|By meaning/);
  });

  it('speaks German', async () => {
    setLanguage('de');
    await show({ is_hybrid: true, control: 'lexical' }, {}, 'Verfahren');
    expect(words()).toMatch(/Gedächtnis der Schichten 7 bis 17.*Ausweichsuche:.*Skalarprodukt 41,3/);
    expect(words()).not.toMatch(/imprag\./);
  });

  it('is accessible', async () => {
    await show({ is_hybrid: true, threshold: 35 });
    const { violations } = await axe.run(document.body, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    expect(panel().querySelectorAll('[style]')).toHaveLength(0);
  });
});
