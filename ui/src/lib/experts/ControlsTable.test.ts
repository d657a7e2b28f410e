import { render, screen } from '@testing-library/svelte';
import { beforeEach, describe, expect, it } from 'vitest';
import { setLanguage } from '../i18n';
import type { ControlResult } from './controls';
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
    const [, won, lost] = screen.getAllByRole('row');
    expect(won?.textContent).toMatch(/shuffled memory.*0\.62.*0\.55 to 0\.69.*\+0\.22.*0\.12 to 0\.32.*beats its control/s);
    expect(lost?.textContent).toMatch(/untrained projector.*does not beat its control/s);
  });

  it('knows metrics of which less is better', () => {
    render(ControlsTable, { results: [result('no document', -0.3, -0.1, { metric: 'Loss', higher_is_better: false })] });
    expect(screen.getByText(/less is better/)).toBeTruthy();
    expect(screen.getByText(/beats its control/)).toBeTruthy();
  });

  it('speaks German', () => {
    setLanguage('de');
    render(ControlsTable, { results: [result('ohne Dokument', 0.1, 0.2)] });
    expect(screen.getByText(/schlägt ihre Kontrolle/)).toBeTruthy();
    expect(screen.getByText('0,62')).toBeTruthy();
  });
});
