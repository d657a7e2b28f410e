import { render, screen } from '@testing-library/svelte';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ControlResult } from '../bindings';
import { setLanguage } from '../i18n';
import ControlsTable from './ControlsTable.svelte';

const result = (name: string, low: number, high: number, over: Partial<ControlResult> = {}): ControlResult => ({
  name,
  metric: 'F1',
  higher_is_better: true,
  method: { value: 0.62, low: 0.55, high: 0.69 },
  control: { value: 0.4, low: 0.33, high: 0.47 },
  difference: { value: (low + high) / 2, low, high },
  ...over,
});

beforeEach(() => setLanguage('en'));

describe('the table of controls', () => {
  it('is not there without results', () => {
    const { container } = render(ControlsTable, { results: [] });
    expect(container.querySelector('table')).toBeNull();
  });

  it('gives the verdict in words, after the interval of the difference', () => {
    render(ControlsTable, { results: [result('shuffled memory', 0.12, 0.32), result('untrained projector', -0.03, 0.2)] });
    const [, metric, won, lost] = screen.getAllByRole('row');
    expect(metric?.textContent).toContain('F1');
    expect(won?.textContent).toMatch(/shuffled memory.*0\.620.*0\.550 to 0\.690.*\+0\.220.*0\.120 to 0\.320.*beats its control/s);
    expect(lost?.textContent).toMatch(/untrained projector.*does not beat its control/s);
  });

  it('knows metrics of which less is better', () => {
    render(ControlsTable, { results: [result('no document', -0.3, -0.1, { metric: 'Loss', higher_is_better: false })] });
    expect(screen.getByText(/less is better/)).toBeTruthy();
    expect(screen.getByText(/beats its control/)).toBeTruthy();
  });

  it('keeps metrics apart, and names the controls it knows', () => {
    const loss = { metric: 'nll', higher_is_better: false };
    render(ControlsTable, { results: [result('none', 0.1, 0.2, { metric: 'f1' }), result('shuffled', -0.3, -0.1, loss), result('constant', -0.3, 0.1, loss)] });
    const groups = screen.getAllByRole('rowgroup').slice(1).map((group) => group.textContent?.replace(/\s+/g, ' '));
    expect(groups).toHaveLength(2);
    expect(groups[0]).toMatch(/token F1 ?Base alone/);
    expect(groups[1]).toMatch(/loss of the right answer \(less is better\) ?Shuffled.*✓ beats its control ?Constant.*✕ does not beat its control/);
  });

  it('does not make up what diverged', () => {
    const gap = { value: null, low: null, high: null } as unknown as ControlResult['difference'];
    render(ControlsTable, { results: [result('zero', 0, 0, { control: gap, difference: gap, higher_is_better: false })] });
    expect(screen.getByText('does not beat its control', { exact: false })).toBeTruthy();
    expect(screen.getByRole('table').textContent).not.toMatch(/null|NaN/);
  });

  it('speaks German', () => {
    setLanguage('de');
    render(ControlsTable, { results: [result('ohne Dokument', 0.1, 0.2)] });
    expect(screen.getByText(/schlägt ihre Kontrolle/)).toBeTruthy();
    expect(screen.getByText('0,620')).toBeTruthy();
  });
});
