import { cleanup, render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Artefact } from '../bindings';
import { setLanguage } from '../i18n';
import ExpertCard from './ExpertCard.svelte';
import { artefact } from './scripted';

const user = userEvent.setup();
beforeEach(() => setLanguage('en'));
afterEach(cleanup);

function show(...artefacts: Artefact[]) {
  return render(ExpertCard, { collection: 'Research', artefacts, under: null, starting: false, onstart: () => {} });
}
const measure = (container: Element, name: string) =>
  container.querySelector(`[data-measure=${name}]`)?.textContent?.replace(/\s+/g, ' ').trim() ?? '';

describe('a report', () => {
  it('says what the expert is, and every figure before and after', () => {
    const { container } = show(artefact());
    expect(screen.getByText('2 hr. ago')).toBeTruthy();
    expect(screen.getByText('Standard', { selector: 'dd' })).toBeTruthy();
    expect(measure(container, 'in_domain')).toMatch(/untrained 31\.42.*trained 18\.07.*fell by 42\.5%.*38 passages/);
    expect(measure(container, 'general')).toMatch(/24\.1.*24\.9.*rose by 3\.3%: hardly anything unlearnt/);
    expect(measure(container, 'closed_book')).toMatch(/0\.061.*0\.342.*better by 0\.281.*80 questions/);
    expect(screen.getByText(/From memory it answers better/).textContent).not.toMatch(/chance/);
    expect(container.querySelectorAll('[style]')).toHaveLength(0);
  });

  it.each([
    [0.2, 0.2, 'no better than untrained'],
    [0.2, 0.2001, 'no better than untrained'],
    [0.2, 0.15, 'worse than untrained by 0.05'],
  ])('owns up in words: F1 from %d to %d', (before, after, words) => {
    const { container } = show(artefact({ closed_book_f1: { before, after }, questions: 200 }));
    expect(measure(container, 'closed_book')).toContain(words);
    expect(screen.getByText(/does not beat the untrained model/)).toBeTruthy();
  });

  it.each([
    [0.3, 14, true],
    [0.5, 14, false],
    [0.24, 200, true],
    [0.3, 200, false],
  ])('says when a difference can be chance: from 0.2 to %d on %i questions', (after, questions, chance) => {
    show(artefact({ closed_book_f1: { before: 0.2, after }, questions }));
    expect(/can be chance/.test(screen.getByText(/From memory it answers better/).textContent ?? '')).toBe(chance);
  });

  it('warns of what was unlearnt, from ten per cent', () => {
    const { container, unmount } = show(artefact({ general: { before: 20, after: 22.1 } }));
    expect(measure(container, 'general')).toContain('rose by 10.5%: everyday language was unlearnt');
    expect(container.querySelector('[data-measure=general] .warn')).toBeTruthy();
    unmount();
    const mild = show(artefact({ general: { before: 20, after: 21.9 } }));
    expect(mild.container.querySelector('[data-measure=general] .warn')).toBeNull();
  });

  it('says that it gained nothing on the collection', () => {
    const { container } = show(artefact({ in_domain: { before: 20, after: 21 } }));
    expect(measure(container, 'in_domain')).toContain('rose by 5%: worse than untrained');
  });

  it('does not make up what was not measured', () => {
    const gap = { before: 20, after: null } as unknown as { before: number; after: number };
    const { container } = show(artefact({ in_domain: null, closed_book_f1: null, questions: 0, general: gap }));
    expect(measure(container, 'in_domain')).toMatch(/not measured \(collection too small\)$/);
    expect(measure(container, 'closed_book')).toMatch(/not measured \(collection too small\)$/);
    expect(measure(container, 'general')).toMatch(/not measured/);
    expect(screen.getByText(/Whether it answers better .* was not measured/)).toBeTruthy();
    expect(container.textContent).not.toMatch(/NaN|undefined|null/);
  });

  it('shows the curve of each stage, the material and the time when asked', async () => {
    show(artefact());
    expect(screen.queryByRole('slider')).toBeNull();
    await user.click(screen.getByText('Loss curves'));
    const answering = within(screen.getByRole('region', { name: 'learning to answer' }));
    expect(answering.getByRole('slider', { name: /Loss by training step/ })).toBeTruthy();
    expect(answering.getByText(/Ended early/)).toBeTruthy();
    expect(within(screen.getByRole('region', { name: 'reading the collection' })).queryByText(/Ended early/)).toBeNull();

    await user.click(screen.getByText('Study material', { selector: 'summary' }));
    expect(screen.getByText('Made from 342 passages; held out to measure on: 38.')).toBeTruthy();
    const rows = within(screen.getByRole('table', { name: 'Rows by what made them' })).getAllByRole('row');
    expect(rows[1]?.textContent).toMatch(/question written by the model\s*811/);
    expect(rows.at(-1)?.textContent).toMatch(/All\s*1,725/);
    const dropped = screen.getByRole('table', { name: 'Dropped rows by reason' });
    expect(within(dropped).getByRole('rowheader', { name: 'there already' })).toBeTruthy();

    await user.click(screen.getByText('Time', { selector: 'summary' }));
    expect(screen.getByText(/2 stages of training took 28 min 55 sec; 32 min was foretold/)).toBeTruthy();
    expect(screen.getByRole('rowheader', { name: 'measuring before training' })).toBeTruthy();
  });

  it('shows what it has no words for as the core names it', async () => {
    show(artefact({ rows: { riddle: 3 }, dropped: {}, stages: [{ name: 'dreaming', curve: [], is_early: false }] }));
    await user.click(screen.getByText('Study material', { selector: 'summary' }));
    expect(screen.getByRole('rowheader', { name: 'riddle' })).toBeTruthy();
    expect(screen.getByText('Nothing was dropped.')).toBeTruthy();
    await user.click(screen.getByText('Loss curve'));
    expect(screen.getByText('Left out: there was nothing to learn.')).toBeTruthy();
  });

  it('speaks German', () => {
    setLanguage('de');
    const { container } = show(artefact({ closed_book_f1: { before: 0.2, after: 0.1 } }, { stale: true }));
    expect(screen.getByText('Veraltet')).toBeTruthy();
    expect(screen.getByText(/schlägt das untrainierte Modell nicht/)).toBeTruthy();
    expect(measure(container, 'in_domain')).toContain('um 42,5 % gesunken');
  });

  it('is accessible, with everything open', async () => {
    const { container } = show(artefact({}, { stale: true }));
    for (const summary of container.querySelectorAll('summary')) await user.click(summary);
    const { violations } = await axe.run(container, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  });
});
