import { describe, expect, it } from 'vitest';
import type { LoadedModel, ModelView, ModelsView } from '../bindings';
import { answeringBase, byRole, choosableBases, isAboutModels } from './catalog';
import { idleAccelerators } from './device';

const model = (name: string, over: Partial<ModelView> = {}): ModelView => ({
  name,
  role: 'base',
  path: `/models/${name}.gguf`,
  size: 1,
  licence: null,
  description: '',
  fit: null,
  problem: null,
  added_by_user: false,
  ...over,
});
const view = (over: Partial<ModelsView>): ModelsView => ({
  models: [],
  base: 'auto',
  profile: null,
  loaded: [],
  folders: [],
  ...over,
});

describe('the list of models', () => {
  it('groups by role, with installed models first and the order kept', () => {
    const models = [
      model('search', { role: 'embedder' }),
      model('absent', { path: null }),
      model('b'),
      model('a'),
    ];
    expect(byRole(models).map(({ role, models }) => [role, models.map(({ name }) => name)])).toEqual([
      ['base', ['b', 'a', 'absent']],
      ['embedder', ['search']],
    ]);
  });

  it('offers installed bases, and the one that is set even if it is gone', () => {
    const models = [model('a'), model('gone', { path: null }), model('other', { path: null })];
    const names = (base: string) => choosableBases(view({ models, base })).map(({ name }) => name);
    expect(names('auto')).toEqual(['a']);
    expect(names('gone')).toEqual(['a', 'gone']);
    const problem = { code: 'bad_model', message: 'm', hint: null, subject: null } as const;
    expect(choosableBases(view({ models: [model('a'), model('broken', { problem })] }))).toHaveLength(1);
  });

  it('offers a name once, though two folders hold it', () => {
    const models = [model('a'), model('a', { path: '/other/a.gguf' })];
    expect(choosableBases(view({ models })).map(({ path }) => path)).toEqual(['/models/a.gguf']);
  });

  it('knows which base answers: the one set, or the one measured', () => {
    const models = [model('small'), model('standard')];
    const profile = { base: 'standard', reason: '', small_tokens_per_second: null };
    expect(answeringBase(view({ models }))).toBeNull();
    expect(answeringBase(view({ models, profile }))?.name).toBe('standard');
    expect(answeringBase(view({ models, profile, base: 'small' }))?.name).toBe('small');
  });
});

it.each([
  [['a.gguf'], 0, true],
  [['A.GGUF', 'b.gguf'], 0, true],
  [['a.gguf', 'b.pdf'], 0, false],
  [['models'], 1, false],
  [[], 0, false],
])('a drop of %j with %i folders is about models: %s', (names, folders, expected) => {
  expect(isAboutModels({ id: 'p', names, files: names.length, folders })).toBe(expected);
});

describe('accelerators', () => {
  const device = (name: string) => ({ name, description: '', memory_free: 0, memory_total: 0 });
  const on = (device: string): LoadedModel => ({ name: 'm', device, context: 1 });
  const all = [device('CPU'), device('Vulkan0')];

  it('lie idle when everything loaded computes on the processor', () => {
    expect(idleAccelerators([on('CPU')], all).map(({ name }) => name)).toEqual(['Vulkan0']);
  });
  it('do not when one computes, when nothing is loaded, or when there are none', () => {
    expect(idleAccelerators([on('CPU'), on('Vulkan0')], all)).toEqual([]);
    expect(idleAccelerators([], all)).toEqual([]);
    expect(idleAccelerators([on('CPU')], [device('CPU')])).toEqual([]);
  });
});
