import { cleanup, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Answer } from '../bindings';
import { answerOf, gagTrace, iagTrace, impragTrace, passage, Scripted } from '../chat/scripted';
import { setLanguage } from '../i18n';
import type { OpenDocument } from '../pages/document';
import { Desk } from '../state/desk.svelte';
import type { MethodEvidence } from './kinds';
import PanelOnDesk from './PanelOnDesk.svelte';

const text = 'The spare key hangs behind the barometer. The moon is made of cheese.';
const full: Answer = answerOf('rag', text, {
  sentences: [
    { start: 0, end: 41, support: { passage: 1, document: 7, span: { page: 12, start: 3, end: 20 }, score: 0.9 } },
    { start: 42, end: text.length, support: null },
  ],
  retrieved: [passage(0), passage(1, 'Letter', 12), passage(2, 'Minutes', 3)],
  read: [0, 1],
  used: [1],
  prompt: 'Passages:\n[1] The spare key …',
  search: { terms: ['key', 'moon'], idf: [1.25, 6.5], chunks: 92, embed_ms: 8, search_ms: 3 },
});

let transport: Scripted;
let opened: { bytes: ReturnType<typeof vi.fn>; document: OpenDocument };

beforeEach(() => {
  setLanguage('en');
  transport = new Scripted();
  transport.instead.page_text = ({ page }) => ({ document: {} as never, page, text: 'The spare key hangs behind the barometer.' });
  opened = {
    bytes: vi.spyOn(transport, 'documentBytes').mockResolvedValue(new ArrayBuffer(1)),
    document: { pages: 20, page: () => new Promise(() => undefined), text: () => new Promise(() => undefined), layText: () => () => undefined, close: async () => undefined },
  };
});
afterEach(cleanup);

const show = (props: Record<string, unknown>) =>
  render(PanelOnDesk, { desk: new Desk(transport), answer: full, open: async () => opened.document, ...props });
const tab = (name: string) => screen.getByRole('tab', { name });
const selectedTab = () => screen.getAllByRole('tab').find((each) => each.getAttribute('aria-selected') === 'true')?.textContent?.trim();

describe('EvidencePanel', () => {
  it('keeps cited, read and merely found passages apart', () => {
    show({});
    expect(selectedTab()).toBe('Passages');
    const titles = (name: string) =>
      within(screen.getByRole('region', { name })).getAllByRole('heading', { level: 4 }).map((heading) => heading.textContent);
    expect(titles('Cited')).toEqual(['Letter']);
    expect(titles('Read, not cited')).toEqual(['Handbook']);
    expect(titles('Found, not read')).toEqual(['Minutes']);
  });

  it('opens the page of the citation that was clicked', async () => {
    show({ selected: { passage: 1, span: { page: 12, start: 3, end: 20 } } });
    expect(selectedTab()).toBe('Page');
    await waitFor(() => expect(opened.bytes).toHaveBeenCalledWith(7));
    expect(transport.calls).toContainEqual({ name: 'page_text', request: { document: 7, page: 12 } });
    expect(screen.getByRole('textbox', { name: 'Page' })).toHaveProperty('value', '12');
  });

  it('opens a passage from the list without reading the same file twice', async () => {
    const user = userEvent.setup();
    show({ place: { document: 7, title: 'Letter', page: 12, span: null } });
    await waitFor(() => expect(opened.bytes).toHaveBeenCalledOnce());
    await user.click(tab('Passages'));
    await user.click(screen.getByRole('button', { name: 'Open page 3 of Minutes' }));
    expect(selectedTab()).toBe('Page');
    await waitFor(() => expect(transport.calls).toContainEqual({ name: 'page_text', request: { document: 7, page: 3 } }));
    expect(opened.bytes).toHaveBeenCalledOnce();
  });

  it('follows another citation from outside after something was clicked inside', async () => {
    const user = userEvent.setup();
    const view = show({ selected: { passage: 1, span: { page: 12, start: 3, end: 20 } } });
    await user.click(tab('Numbers'));
    await view.rerender({ selected: { passage: 2, span: { page: 3, start: 0, end: 9 } } });
    expect(selectedTab()).toBe('Page');
    await waitFor(() => expect(transport.calls).toContainEqual({ name: 'page_text', request: { document: 7, page: 3 } }));
  });

  it('lists sentences with and without support apart, in words', async () => {
    const user = userEvent.setup();
    show({});
    await user.click(tab('Sentences'));
    expect(screen.getByRole('region', { name: 'Supported by your documents' }).textContent).toContain('behind the barometer.');
    const unsupported = screen.getByRole('region', { name: 'No support found' });
    expect(unsupported.textContent).toContain('The moon is made of cheese.');
    expect(unsupported.textContent).not.toContain('barometer');
    await user.click(screen.getByRole('button', { name: 'Letter, page 12' }));
    expect(selectedTab()).toBe('Page');
  });

  it('puts the decision and the cost into words', async () => {
    const user = userEvent.setup();
    const view = show({});
    await user.click(tab('Numbers'));
    const panel = screen.getByRole('tabpanel', { name: 'Numbers' });
    expect(panel.textContent).toContain('put at 80%. That is at or above the limit of 40%, so it was shown.');
    for (const part of ['420 ms', '576', '17', '92 passages searched', 'moon', '6.5']) expect(panel.textContent).toContain(part);
    const withheld = answerOf('rag', 'Not in your documents.', {
      outcome: 'not_in_documents',
      withheld: 'Perhaps on the moon.',
      abstention: { probability: 0.1, threshold: 0.4, features: [['dense_top', 0.2], ['a_new_one', 1]] },
    });
    await view.rerender({ answer: withheld });
    await user.click(tab('Numbers'));
    expect(panel.textContent).toContain('below the limit of 40%, so it was held back.');
    expect(panel.textContent).toContain('Perhaps on the moon.');
    expect(panel.textContent).toContain('a_new_one');
  });

  it('shows the prompt exactly as it was read', async () => {
    const user = userEvent.setup();
    show({});
    await user.click(tab('Prompt'));
    expect(screen.getByRole('tabpanel', { name: 'Prompt' }).querySelector('pre')?.textContent).toBe(full.prompt);
  });

  it('says of each method’s own material what it is not', async () => {
    const user = userEvent.setup();
    const method: MethodEvidence = {
      gag: gagTrace({ background: 'Keys are kept dry.' }),
      iag: iagTrace({ document: 'A letter that nobody wrote.' }),
      imprag: impragTrace(),
    };
    const view = show({});
    expect(screen.queryByRole('tab', { name: 'Method' })).toBeNull();
    await view.rerender({ method });
    await user.click(tab('Method'));
    const words = screen.getByRole('tabpanel', { name: 'Method' }).textContent ?? '';
    expect(words).toMatch(/Not evidence\..*expert’s own words.*Keys are kept dry\./s);
    expect(words).toMatch(/Imagined, not evidence.*none of your documents.*A letter that nobody wrote\./s);
    expect(words).toMatch(/memory of layers 7 to 17/);
    expect(screen.getByRole('row', { name: /Expert on papers taken/ })).toBeTruthy();
  });

  it('moves between tabs by arrow keys', async () => {
    const user = userEvent.setup();
    show({});
    tab('Passages').focus();
    await user.keyboard('{ArrowRight}');
    expect(selectedTab()).toBe('Page');
    await user.keyboard('{End}');
    expect(selectedTab()).toBe('Prompt');
    await user.keyboard('{ArrowRight}');
    expect(selectedTab()).toBe('Passages');
    expect(document.activeElement).toBe(tab('Passages'));
  });

  it('shows a page alone where there is no answer', async () => {
    show({ answer: null, place: { document: 9, title: 'Atlas', page: 2, span: null } });
    expect(screen.queryByRole('tablist')).toBeNull();
    await waitFor(() => expect(opened.bytes).toHaveBeenCalledWith(9));
  });

  it('explains an answer made without documents', () => {
    show({ answer: answerOf('none', 'A guess.', { retrieved: [], read: [], used: [], sentences: [] }) });
    expect(screen.getByText(/made without your documents/)).toBeTruthy();
  });
});
