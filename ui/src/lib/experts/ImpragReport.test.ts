import { render, screen } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import type { Artefact, ImpragReport as Report } from '../bindings';
import ImpragReport from './ImpragReport.svelte';
import { artefact } from './scripted';

function shown(implicit: number, untrained = 0.1): { artefact: Artefact; report: Report } {
  const of = (retriever: string, recall_10: number) => ({
    format: 'question',
    retriever,
    queries: 40,
    recall_10,
    mrr_10: recall_10 / 2,
  });
  const hubs = { largest_share: 0.2, deviation: 5, mean_cosine: 0.4 };
  const report: Report = {
    settings: { first_layer: 7, last_layer: 17, longest: 128, passages: 10, mode: 'fast' },
    tier: 't0',
    query: 'a',
    passage: 'a',
    reader: null,
    states: null,
    start: ['b'],
    parameters: 90_112,
    queries: { question: 200, gap: 40 },
    retrieval: [of('implicit', implicit), of('untrained', untrained), of('lexical', 0.7), of('elsewhere', 0.3)],
    hubs: [hubs, hubs],
    threshold: null,
    stages: [],
    seconds: {},
  };
  return { artefact: { ...artefact(), kind: 'imprag', imprag: report }, report };
}

describe('what was taught for implicit queries', () => {
  it.each([
    [0.8, /used alone/],
    [0.4, /words are searched as well/],
    [0.1, /no difference/],
  ])('finding %s among ten it says so', (recall, words) => {
    render(ImpragReport, shown(recall));
    expect(screen.getByText(words)).toBeTruthy();
  });

  it('shows every search with its figure, also one without words of ours', () => {
    render(ImpragReport, shown(0.4));
    expect(screen.getByRole('table', { name: 'Questions (40)' })).toBeTruthy();
    for (const name of ['Implicit query', 'Bare model', 'Words (BM25)', 'elsewhere']) {
      expect(screen.getByRole('rowheader', { name })).toBeTruthy();
    }
    expect(screen.getByText('70%')).toBeTruthy();
  });

  it('says that heads alone are not the method of the paper', () => {
    render(ImpragReport, shown(0.4));
    expect(screen.getByText(/not the paper/)).toBeTruthy();
  });
});
