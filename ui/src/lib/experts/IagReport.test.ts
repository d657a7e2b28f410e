import { cleanup, render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Artefact, ControlResult, IagReport as Report } from '../bindings';
import { setLanguage } from '../i18n';
import { worth } from './iag';
import IagReport from './IagReport.svelte';
import { control } from './scriptedGag';
import { collapsed, iagArtefact, iagReport, specific } from './scriptedIag';

const user = userEvent.setup();
beforeEach(() => setLanguage('en'));
afterEach(cleanup);

function show(report: Partial<Report> = {}, over: Partial<Artefact> = {}) {
  const shown = iagArtefact(report, over);
  return render(IagReport, { artefact: shown, report: shown.iag! });
}
const banner = () => document.querySelector('section > p')?.textContent?.replace(/\s+/g, ' ').trim() ?? '';
const words = () => document.body.textContent?.replace(/\s+/g, ' ') ?? '';
const replaced = (changed: ControlResult) => specific.map((one) => (one.name === changed.name && one.metric === changed.metric ? changed : one));

describe('the verdict', () => {
  it('comes first, and is good where weights follow the question', () => {
    show();
    expect(banner()).toBe('The weights follow the question: those made for it are better than those of another question, and than one set for all.');
    expect(document.querySelector('section > p.good')).toBeTruthy();
  });

  it('owns up to a collapse, a shut gate, and answers that gain nothing', () => {
    show({ controls: collapsed, gate: { ...iagReport().gate!, is_open: false } });
    expect(banner()).toMatch(/^Collapsed: .*one fixed adapter.*nothing to distil.*document makes no measurable difference.*those of the base alone\.$/);
    expect(document.querySelector('section > p.warn')).toBeTruthy();
  });

  it.each([
    ['shuffled_features', -0.2, 0.001, 'collapsed'],
    ['constant_features', -0.2, 0, 'collapsed'],
    ['constant_features', -0.2, -0.001, 'specific'],
    ['question_features', -0.2, 0.4, 'specific'],
  ] as const)('goes by the whole interval against %s: from %d to %d', (name, low, high, found) => {
    expect(worth(iagReport({ controls: replaced(control(name, 'nll', 2, low, high)) }))).toBe(found);
  });

  it('says where weights of its own help no question', () => {
    const strengths = [{ strength: 1, loss: 2.4 }, { strength: 0, loss: 2.1 }];
    expect(worth(iagReport({ strengths }))).toBe('off');
    show({ strengths });
    expect(banner()).toMatch(/^Switched off: questions that were not trained on do better without/);
    expect(screen.getByTestId('strength').textContent).toMatch(/in force at 0%.*2.40 at 100%; 2.10 at 0%/s);
  });

  it('does not make up what was not measured', () => {
    expect(worth(iagReport({ controls: specific.filter(({ name }) => name !== 'constant_features') }))).toBe('unknown');
    show({ controls: [], questions: 0 });
    expect(banner()).toBe('Whether weights made for a question are better than those of another was not measured here.');
    expect(screen.queryByRole('table', { name: /against its controls/ })).toBeNull();
  });
});

describe('the report', () => {
  it('has every control by its name, the teacher, and what was squeezed', () => {
    show();
    for (const name of [/^Shuffled features/, /^Constant features/, /^Question features/, /^No weights/, /^No feed-forward change/]) {
      expect(screen.getAllByRole('rowheader', { name }).length).toBeGreaterThan(0);
    }
    expect(screen.getAllByRole('rowheader', { name: /^No document/ })).toHaveLength(2);
    expect(screen.getByTestId('gate').textContent).toMatch(/80 questions asked of both.*61% \(0\.702\).*7% \(0\.131\).*enough better to learn from/s);
    expect(words()).toMatch(/Tokens of the passages, on average ?612.*Tokens of the document, on average ?41.*hold the answer ?94%.*put back ?8%.*now writes, on average ?38/);
    expect(words()).toContain('The weights of two questions differ by 37% of their size. On average over 240 pairs.');
  });

  it('says when there was no teacher', () => {
    show({ gate: null });
    expect(screen.getByTestId('gate').textContent).toContain('without distillation');
  });

  it('tells how it was made, and where it leaves the paper', async () => {
    show();
    await user.click(screen.getByText('How it was made'));
    expect(words()).toMatch(/the small expert model.*question and document.*1,482,240/);
    expect(words()).toContain('(d) Whitening once and for all');
    expect(words()).toContain('what the window does not know by name is shown as the core tells it');
  });

  it('labels the bank as restricted', async () => {
    show({ options: { ...iagReport().options, form: 'bank' } });
    await user.click(screen.getByText('How it was made'));
    expect(words()).toMatch(/Restricted variant.*Adapters in the bank ?8/);
    expect(words()).not.toContain('Hidden units');
  });

  it('speaks German', async () => {
    setLanguage('de');
    show();
    await user.click(screen.getByText('Wie es gemacht wurde'));
    expect(words()).toMatch(/Die Gewichte folgen der Frage.*Vertauschte Merkmale.*Einmal für immer dekorreliert/);
    expect(words()).not.toMatch(/iag\./);
    setLanguage('en');
  });

  it('is accessible', async () => {
    show();
    const { violations } = await axe.run(document.body, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
    expect(document.querySelectorAll('[style]')).toHaveLength(0);
  });
});
