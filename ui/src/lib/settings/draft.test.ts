import { describe, expect, it } from 'vitest';
import type { Settings } from '../bindings';
import { changedFields, complaintAbout, complaints, draftOf, reloadsModel, settingsOf } from './draft';

const settings: Settings = {
  base: 'auto',
  context: 4096,
  threads: 0,
  gpu_layers: -1,
  route_margin: 0,
  passage_states_mb: 2048,
  imprag_words: 'auto',
  pdf_seconds: 600,
  language: 'auto',
  theme: 'auto',
};

describe('a draft of the settings', () => {
  it('gives the settings back unchanged', () => {
    const draft = draftOf(settings);
    expect(settingsOf(draft)).toEqual(settings);
    expect(changedFields(draft, settings)).toEqual([]);
  });

  it('tells what was changed, and whether the model has to be loaded again', () => {
    const draft = { ...draftOf(settings), theme: 'dark', context: ' 8192 ' };
    expect(changedFields(draft, settings)).toEqual(['context', 'theme']);
    expect(reloadsModel(['context', 'theme'])).toBe(true);
    expect(reloadsModel(['theme', 'language', 'pdf_seconds'])).toBe(false);
    expect(settingsOf(draft)?.context).toBe(8192);
  });

  it.each([
    ['context', '', 'not_a_number'],
    ['context', 'much', 'not_a_number'],
    ['context', '4096.5', 'not_whole'],
    ['context', '511', 'out_of_range'],
    ['context', '1048577', 'out_of_range'],
    ['threads', '-1', 'out_of_range'],
    ['gpu_layers', '-2', 'out_of_range'],
    ['pdf_seconds', '0', 'too_small'],
    ['passage_states_mb', '-1', 'out_of_range'],
  ] as const)('with %s = "%s" cannot be saved: %s', (field, text, reason) => {
    expect(complaintAbout(field, text)?.reason).toBe(reason);
    const draft = { ...draftOf(settings), [field]: text };
    expect(complaints(draft)).toHaveProperty(field);
    expect(settingsOf(draft)).toBeNull();
  });

  it.each([
    ['context', '512'],
    ['context', '1048576'],
    ['threads', '0'],
    ['gpu_layers', '-1'],
    ['pdf_seconds', '1'],
  ] as const)('accepts the limit %s = %s', (field, text) => {
    expect(complaintAbout(field, text)).toBeNull();
  });
});
