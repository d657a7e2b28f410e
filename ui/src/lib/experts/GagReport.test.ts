import { cleanup, render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Artefact, ControlResult, GagReport as Report } from '../bindings';
import { setLanguage } from '../i18n';
import { worth } from './gag';
import GagReport from './GagReport.svelte';
import { artefact } from './scripted';
import { carrying, control, empty, gagArtefact, gagReport } from './scriptedGag';

const user = userEvent.setup();
beforeEach(() => setLanguage('en'));
afterEach(cleanup);

function show(report: Partial<Report> = {}, over: Partial<Artefact> = {}, expert: Artefact | null = artefact()) {
  const shown = gagArtefact(report, over);
  return render(GagReport, { artefact: shown, report: shown.gag!, expert });
}
const banner = () => document.querySelector('section > p')?.textContent?.replace(/\s+/g, ' ').trim() ?? '';
const replaced = (changed: ControlResult) => carrying.map((one) => (one.name === changed.name && one.metric === changed.metric ? changed : one));

describe('the verdict', () => {
  it('comes first, and is good where the states carry information', () => {
    show();
    expect(banner()).toMatch(/^The expert’s states carry information:.*not measurably better than those of the expert alone\.$/);
    expect(document.querySelector('section > p.good')).toBeTruthy();
  });

  it('owns up where they make no difference', () => {
    show({ controls: empty });
    expect(banner()).toMatch(/^The expert’s states make no measurable difference here: this is prompt tuning, prefer RAG\. .*those of the base alone\.$/);
    expect(document.querySelector('section > p.warn')).toBeTruthy();
  });

  it.each([
    ['shuffled', -0.2, 0.001, 'none'],
    ['constant', -0.2, 0, 'none'],
    ['constant', -0.2, -0.001, 'carries'],
    ['zero', -0.2, 0.4, 'carries'],
  ] as const)('goes by the whole interval against %s: from %d to %d', (name, low, high, found) => {
    expect(worth(gagReport({ controls: replaced(control(name, 'nll', 2, low, high)) }))).toBe(found);
  });

  it('does not make up what was not measured', () => {
    expect(worth(gagReport({ controls: carrying.filter(({ name }) => name !== 'constant') }))).toBe('unknown');
    show({ controls: [], questions: 0 });
    expect(banner()).toBe('Whether the expert’s states make a difference was not measured here.');
    expect(screen.queryByRole('table')).toBeNull();
  });

  it('is not good where the answers do not gain by it', () => {
    show({ controls: replaced(control('none', 'f1', 0.2, -0.01, 0.2)) });
    expect(banner()).toContain('those of the base alone');
    expect(document.querySelector('section > p.neutral')).toBeTruthy();
  });
});

describe('the report', () => {
  it('has every control, by its name and metric', () => {
    show();
    expect(screen.getByText(/^Loss on 96 questions in words that nobody was trained on/)).toBeTruthy();
    const table = within(screen.getByRole('table'));
    for (const name of ['Shuffled', 'Constant', 'Zero', 'Untrained', 'Wrong route', 'Expert alone', 'Base alone']) {
      expect(table.getAllByRole('rowheader', { name: new RegExp(name) }).length).toBeGreaterThan(0);
    }
    expect(table.getByRole('rowheader', { name: /loss of the right answer/ })).toBeTruthy();
  });

  it('says how the router did, and what was not asked', () => {
    show({ routing: { prototypes: 4, routes: 3, domain: [60, 59], general: [0, 0] } });
    const router = screen.getByRole('region', { name: 'Router' }).textContent;
    expect(router).toMatch(/came here 98\.3% \(59 of 60\).*stayed general not measured.*3 routes.*4 prototypes/s);
  });

  it('lists sizes and deviations, on or off, with the reason', async () => {
    const { container } = show();
    await user.click(screen.getByText('How it was made'));
    expect(screen.getByRole('row', { name: /Numbers trained 2,988,560/ })).toBeTruthy();
    expect(screen.getByRole('row', { name: /Visits to them 2,560/ })).toBeTruthy();
    const list = within(screen.getByRole('region', { name: 'Deviations from the paper' })).getAllByRole('listitem');
    expect(list[0]?.textContent).toMatch(/on\s*Channels standardised.*holds most of the energy\. Without this/s);
    expect(list.at(-1)?.textContent).toMatch(/off\s*a name without words/);
    await user.click(screen.getByText('Time'));
    expect(screen.getByText(/The training itself took 25 min 45 sec; 24 min 50 sec was foretold/)).toBeTruthy();
    await user.click(screen.getByText('Loss curve'));
    expect(screen.getByRole('slider', { name: /Loss by training step/ })).toBeTruthy();
    expect(container.querySelectorAll('[style]')).toHaveLength(0);
    const { violations } = await axe.run(container, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  });

  it('says when documents, or the expert, have changed since', () => {
    const view = show({}, { stale: true });
    expect(banner()).toMatch(/^Documents were added.*bring it up to date\.$/);
    view.unmount();
    show({}, {}, artefact({}, { adapter: 'ff'.repeat(32) }));
    expect(banner()).toBe('The expert was trained again since, and this still listens to the one before. Train GAG again.');
  });

  it('speaks German', async () => {
    setLanguage('de');
    show({ controls: empty });
    expect(banner()).toMatch(/^Die Zustände des Experten machen hier keinen messbaren Unterschied/);
    expect(screen.getAllByText('Nur Basis', { exact: false }).length).toBeGreaterThan(0);
    await user.click(screen.getByText('Wie es gemacht wurde'));
    expect(screen.getByText(/Ein Kanal eines kleinen Experten/)).toBeTruthy();
  });
});
