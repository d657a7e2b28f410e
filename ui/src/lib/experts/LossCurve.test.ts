import { render, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CurvePoint } from '../bindings';
import { setLanguage } from '../i18n';
import LossCurve from './LossCurve.svelte';

/** Falls from 3 towards 1; measured on held-out material at every 50th step. */
const curve = (steps: number): CurvePoint[] =>
  Array.from({ length: steps }, (_, index) => ({
    step: (index + 1) * 10,
    loss: 1 + 2 / (index + 1),
    evaluation: (index + 1) % 5 === 0 ? 1.5 + 2 / (index + 1) : null,
  }));

beforeEach(() => setLanguage('en'));

describe('the loss curve', () => {
  it('says that it has nothing to show yet', () => {
    render(LossCurve, { curve: [] });
    expect(screen.getByText(/begins with the first measured step/)).toBeTruthy();
    expect(screen.queryByRole('slider')).toBeNull();
  });

  it('tells the two losses apart by dash and marker', () => {
    const { container } = render(LossCurve, { curve: curve(20) });
    expect(container.querySelectorAll('.plot .held')).toHaveLength(1);
    expect(container.querySelectorAll('.plot .marker')).toHaveLength(4);
    expect(container.querySelectorAll('[style]')).toHaveLength(0);
  });

  it('reads points out by keyboard', async () => {
    const user = userEvent.setup();
    render(LossCurve, { curve: curve(20) });
    const plot = screen.getByRole('slider', { name: /Loss by training step/ });
    plot.focus();
    await user.keyboard('{Home}');
    expect(plot.getAttribute('aria-valuetext')).toBe('Step 10: training 3');
    await user.keyboard('{ArrowRight}{ArrowRight}{ArrowRight}{ArrowRight}');
    expect(plot.getAttribute('aria-valuetext')).toBe('Step 50: training 1.4, held-out 1.9');
    await user.keyboard('{End}');
    expect(plot.getAttribute('aria-valuenow')).toBe('200');
    await user.keyboard('{ArrowRight}');
    expect(plot.getAttribute('aria-valuenow')).toBe('200');
  });

  it('keeps the point that is read out while the curve grows', async () => {
    const user = userEvent.setup();
    const { rerender } = render(LossCurve, { curve: curve(20) });
    const plot = screen.getByRole('slider', { name: /Loss by training step/ });
    plot.focus();
    await user.keyboard('{Home}{ArrowRight}');
    await rerender({ curve: curve(60) });
    expect(plot.getAttribute('aria-valuenow')).toBe('20');
    expect(plot.getAttribute('aria-valuemax')).toBe('600');
  });

  it('is there as a table too, with every held-out measurement', async () => {
    const user = userEvent.setup();
    render(LossCurve, { curve: curve(1000) });
    await user.click(screen.getByText('As a table'));
    const table = await screen.findByRole('table', { name: /Loss by training step/ });
    const rows = within(table).getAllByRole('row');
    expect(rows.length).toBeGreaterThan(200);
    expect(rows.length).toBeLessThan(400);
    expect(within(table).getByRole('rowheader', { name: '10,000' })).toBeTruthy();
    expect(screen.getByText(/rows of 1,000/)).toBeTruthy();
  });
});
