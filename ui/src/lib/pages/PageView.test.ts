import { cleanup, render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { setLanguage } from '../i18n';
import type { OpenDocument } from './document';
import PageView from './PageView.svelte';

const lines = ['The barometer hangs beside', 'the door of the drying room.', 'Nobody knows why.'];
const pageText = lines.join(' ');
const wanted = { start: 0, end: [...'The barometer hangs beside the door of the drying room.'].length };

/** A PDF of three pages of 600 by 800 points that draws nothing. */
function fakePdf() {
  const closed = vi.fn();
  const cancelled = vi.fn();
  const page = () => ({
    getViewport: ({ scale }: { scale: number }) => ({ width: 600 * scale, height: 800 * scale, transform: [scale, 0, 0, -scale, 0, 800 * scale] }),
    render: () => ({ promise: Promise.resolve(), cancel: cancelled }),
    cleanup: () => true,
  });
  const document = {
    pages: 3,
    page: async () => page(),
    text: async () => ({
      items: lines.map((str, line) => ({ str, transform: [10, 0, 0, 10, 50, 700 - 12 * line], width: 150, height: 10, hasEOL: true, dir: 'ltr', fontName: 'f' })),
      styles: {},
      lang: null,
    }),
    layText: (_page: unknown, _text: unknown, into: HTMLElement) => {
      into.textContent = lines.join('\n');
      return () => undefined;
    },
    close: async () => closed(),
  } as unknown as OpenDocument;
  return { open: vi.fn(async () => document), closed, cancelled };
}

const bytes = async () => new ArrayBuffer(8);
const base = { bytes, page: 1, pageText, span: wanted, title: 'Handbook' };

/** The drawn page. */
const sheet = (number: number) =>
  waitFor(() => {
    const found = document.querySelector<HTMLElement>(`[data-page="${number}"]`);
    if (!found) throw new Error(`page ${number} is not on show`);
    return found;
  });

beforeEach(() => {
  setLanguage('en');
  // happy-dom lays nothing out; the view needs some width to fit the page into.
  vi.spyOn(HTMLElement.prototype, 'clientWidth', 'get').mockReturnValue(500);
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

describe('PageView', () => {
  it('marks the passage and says so', async () => {
    const { open } = fakePdf();
    const { container } = render(PageView, { ...base, open });
    await screen.findByText('The passage is marked on page 1.');
    const marks = [...container.querySelectorAll<HTMLElement>('.mark')];
    expect(marks).toHaveLength(2);
    expect(Number.parseFloat(marks[0]!.style.left)).toBeCloseTo((49 / 600) * 100);
    expect((await sheet(1)).textContent).toContain('the door of the drying room.');
  });

  it('opens the page all the same when the passage is not on it, and shows the passage', async () => {
    const { open } = fakePdf();
    const text = 'Completely other words that stand nowhere on the page that was drawn.';
    render(PageView, { ...base, pageText: text, span: { start: 0, end: text.length }, open });
    await screen.findByText('The passage could not be marked on this page.');
    expect(screen.getByText(text)).toBeTruthy();
    await sheet(1);
  });

  it('says when the page had no readable text', async () => {
    const { open } = fakePdf();
    render(PageView, { ...base, pageText: null, open });
    await screen.findByText(/could not be read when the document was imported/);
  });

  it('says nothing about marks while the text is on its way, or where nothing is to be marked', async () => {
    const { open } = fakePdf();
    const view = render(PageView, { ...base, pageText: undefined, open });
    await sheet(1);
    expect(screen.getByRole('status').textContent?.trim()).toBe('');
    await view.rerender({ span: null, pageText });
    expect(screen.getByRole('status').textContent?.trim()).toBe('');
  });

  it('turns pages by button, field and keyboard, within the document', async () => {
    const { open } = fakePdf();
    const user = userEvent.setup();
    render(PageView, { ...base, open });
    await screen.findByText('of 3');
    await user.click(screen.getByRole('button', { name: 'Next page' }));
    await sheet(2);
    expect(document.querySelectorAll('.mark')).toHaveLength(0);
    await user.click(screen.getByRole('button', { name: 'Back to the passage on page 1' }));
    await screen.findByText('The passage is marked on page 1.');

    const field = screen.getByRole('textbox', { name: 'Page' });
    await user.clear(field);
    await user.type(field, '99');
    await user.tab();
    await sheet(3);
    expect(screen.getByRole('button', { name: 'Next page' })).toHaveProperty('disabled', true);

    screen.getByRole('region', { name: 'Page 3 of Handbook' }).focus();
    await user.keyboard('{ArrowLeft}');
    await sheet(2);
  });

  it('zooms in steps and back to the width', async () => {
    const { open } = fakePdf();
    const user = userEvent.setup();
    render(PageView, { ...base, open });
    const first = await sheet(1);
    // 500 pixels of room less the margins.
    expect(Number.parseFloat(first.style.width)).toBeCloseTo(476);
    await user.click(screen.getByRole('button', { name: 'Zoom in' }));
    await waitFor(() => expect(Number.parseFloat(first.style.width)).toBeCloseTo(0.67 * 800));
    screen.getByRole('region', { name: 'Page 1 of Handbook' }).focus();
    await user.keyboard('0');
    await waitFor(() => expect(Number.parseFloat(first.style.width)).toBeCloseTo(476));
  });

  it('shows why a document does not open, and tries again', async () => {
    const { open } = fakePdf();
    const user = userEvent.setup();
    const gone = vi
      .fn<() => Promise<ArrayBuffer>>()
      .mockRejectedValueOnce({ code: 'not_found', message: 'the file is gone', hint: 'Put it back.', subject: '/papers/a.pdf' })
      .mockResolvedValue(new ArrayBuffer(8));
    render(PageView, { ...base, bytes: gone, open });
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toMatch(/the file is gone.*\/papers\/a\.pdf.*Put it back\./s);
    await user.click(screen.getByRole('button', { name: /again/i }));
    await screen.findByText('The passage is marked on page 1.');
  });

  it('names a damaged file in words', async () => {
    const open = vi.fn(async () => {
      throw Object.assign(new Error('Invalid PDF structure.'), { name: 'InvalidPDFException' });
    });
    render(PageView, { ...base, open });
    expect((await screen.findByRole('alert')).textContent).toContain('The file is damaged, or not a PDF.');
  });

  it('says when the document has fewer pages now', async () => {
    const { open } = fakePdf();
    render(PageView, { ...base, page: 9, open });
    expect((await screen.findByRole('alert')).textContent).toContain('The file has only 3 pages now.');
    await userEvent.setup().click(screen.getByRole('button', { name: 'Previous page' }));
    await sheet(3);
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('closes each document when another takes its place, and the last one at the end', async () => {
    const first = fakePdf();
    const second = fakePdf();
    const view = render(PageView, { ...base, open: first.open });
    await screen.findByText('The passage is marked on page 1.');
    await view.rerender({ open: second.open, bytes: async () => new ArrayBuffer(4) });
    await waitFor(() => expect(first.closed).toHaveBeenCalledOnce());
    await screen.findByText('The passage is marked on page 1.');
    view.unmount();
    expect(second.closed).toHaveBeenCalledOnce();
    expect(second.cancelled).toHaveBeenCalled();
  });

  it('closes a document that opens after it is no longer wanted', async () => {
    const late = fakePdf();
    let release = () => undefined as void;
    const waiting = new Promise<void>((resolve) => (release = resolve));
    const open = vi.fn(async () => {
      await waiting;
      return late.open();
    });
    const view = render(PageView, { ...base, open });
    view.unmount();
    release();
    await waitFor(() => expect(late.closed).toHaveBeenCalledOnce());
  });
});
