import type { Artefact, MethodStatus, Settings } from '../../bindings';
import { artefact, curve } from '../../experts/scripted';
import { empty, gagArtefact } from '../../experts/scriptedGag';
import { collapsed, iagArtefact } from '../../experts/scriptedIag';
import type { Handlers } from '../fake';
import type { FakeJobs } from './jobs';

/** What answers; GAG and IAG where they were trained. */
const methods = (trained: boolean): MethodStatus[] => [
  { method: 'none', state: 'ready', needs: null, estimate_seconds: null, can_start: false },
  { method: 'rag', state: 'ready', needs: null, estimate_seconds: null, can_start: false },
  trained
    ? { method: 'gag', state: 'ready', needs: null, estimate_seconds: null, can_start: true }
    : { method: 'gag', state: 'needs_training', needs: 'an expert trained on this collection', estimate_seconds: 2400, can_start: true },
  trained
    ? { method: 'iag', state: 'ready', needs: null, estimate_seconds: null, can_start: true }
    : { method: 'iag', state: 'needs_training', needs: 'a training on this collection', estimate_seconds: 3600, can_start: true },
  { method: 'imprag', state: 'ready', needs: null, estimate_seconds: null, can_start: true },
];

/** What was trained, by collection: one that was worth it, and one that was not. */
const trained: Record<string, Artefact[]> = {
  Research: [artefact(), gagArtefact(), iagArtefact()],
  House: [
    artefact(
      {
        in_domain: null,
        general: { before: 24.1, after: 28.3 },
        closed_book_f1: { before: 0.112, after: 0.104 },
        questions: 14,
        held_out_passages: 0,
        passages: 21,
      },
      { collection: 2, collection_name: 'House', preset: 'quick', stale: true, adapter: 'c3'.repeat(32) },
    ),
    gagArtefact(
      { controls: empty, questions: 14, routing: { prototypes: 4, routes: 3, domain: [14, 11], general: [0, 0] }, foretold_seconds: null },
      { collection: 2, collection_name: 'House', preset: 'quick', stale: true, adapter: 'e5'.repeat(32) },
    ),
    iagArtefact(
      {
        controls: collapsed,
        questions: 14,
        answered: 14,
        gate: { questions: 14, teacher: 0.14, student: 0.14, teacher_f1: 0.21, student_f1: 0.19, is_open: false },
        strengths: [],
        specificity: { pairs: 91, distance: 0.004 },
        taught_rows: 0,
        foretold_seconds: null,
      },
      { collection: 2, collection_name: 'House', preset: 'quick', stale: true, adapter: 'c9'.repeat(32) },
    ),
  ],
};

/** The machine: models, devices, settings, privacy, and what is trained on it. */
export function fakeMachine(jobs: FakeJobs): Handlers {
  const defaults: Settings = {
    base: 'auto',
    context: 4096,
    threads: 0,
    gpu_layers: -1,
    route_margin: 0,
    passage_states_mb: 2048,
    imprag_words: 'auto',
    pdf_seconds: 60,
    language: 'auto',
    theme: 'auto',
  };
  let settings = defaults;
  const view = () => ({
    settings,
    defaults,
    file: '/home/anna/.config/quartet/settings.toml',
    data_folder: '/home/anna/.local/share/quartet',
    data_bytes: 734_000_000,
    machine: 'An 8-core processor with 16 GB of memory',
    cores: 8,
  });
  const device = { name: 'CPU', description: 'An 8-core processor', memory_free: 9_000_000_000, memory_total: 16_000_000_000 };
  const profile = { base: 'small', reason: 'the standard base would read too slowly here', small_tokens_per_second: 210 };
  const fit = (bytes: number) => ({
    weight_bytes: bytes,
    kv_cache_bytes: 48_000_000,
    compute_bytes: 120_000_000,
    available_bytes: 9_000_000_000,
    fits: bytes < 8_000_000_000,
  });
  const model = (name: string, role: 'base' | 'expert' | 'embedder', size: number, installed: boolean) => ({
    name,
    role,
    path: installed ? `/home/anna/models/${name}.gguf` : null,
    size,
    licence: 'Apache-2.0',
    description: `A ${role} model.`,
    fit: fit(size),
    problem: null,
    added_by_user: false,
  });
  return {
    hello: () => ({
      version: '0.1.0',
      language: settings.language,
      theme: settings.theme,
      data_folder: view().data_folder,
      problems: [],
    }),
    methods: ({ collection }) => methods(collection in trained),
    start_training: ({ collection }) =>
      jobs.add(
        'train',
        { id: 1, name: collection },
        { stage: 'listening', subject: null, done: 610, total: 2560, unit: 'steps', rate: 1.7, eta_seconds: 1147, point: null },
        curve(152),
      ),
    train_expert: ({ collection }) =>
      jobs.add(
        'train',
        { id: 1, name: collection },
        { stage: 'answering', subject: null, done: 780, total: 2400, unit: 'steps', rate: 1.42, eta_seconds: 1140, point: null },
        curve(195),
      ),
    index_passages: ({ collection }) =>
      jobs.add(
        'encode',
        { id: 1, name: collection },
        { stage: 'encoding', subject: null, done: 480, total: 2400, unit: 'chunks', rate: 3.2, eta_seconds: 600, point: null },
      ),
    passage_index: ({ collection }) => ({
      collection,
      base: 'small',
      mode: 'fast',
      tier: 'start',
      layers: [7, 17],
      passages: 2400,
      vectors: 480,
      is_whole: false,
      tokens: 36_000,
      vector_bytes: 512,
      states: 480,
      state_bytes: 216_000_000,
      state_bytes_per_passage: 450_000,
      state_limit: 2_147_483_648,
    }),
    artefacts: ({ collection }) => trained[collection] ?? [],
    list_models: () => ({
      models: [model('small', 'base', 531_000_000, true), model('standard', 'base', 1_900_000_000, false), model('embedder', 'embedder', 36_000_000, true)],
      base: settings.base,
      profile,
      loaded: [{ name: 'small', device: 'CPU', context: 4096 }],
      folders: ['/home/anna/models'],
    }),
    devices: () => [device],
    add_model: ({ pick }) => ({ ...model(pick, 'base', 900_000_000, true), added_by_user: true }),
    remove_model: () => ({}),
    settings: view,
    save_settings(wanted) {
      settings = wanted;
      return view();
    },
    diagnose: () => ({
      version: '0.1.0',
      machine: view().machine,
      data: view().data_folder,
      settings: view().file,
      model_folders: ['/home/anna/models'],
      devices: { Ok: [device] },
      base: profile,
      fingerprints: { Research: '9f2c' },
      problems: [],
    }),
    privacy: () => ({
      available: true,
      processes: [
        { id: 4211, name: 'window', files: ['/home/anna/.local/share/quartet/library.sqlite'], sockets: [{ family: 'unix', count: 12 }] },
        { id: 4219, name: 'engine', files: ['/home/anna/models/small.gguf'], sockets: [] },
      ],
      internet_sockets: 0,
      data_folder: view().data_folder,
      verify: 'lsof -a -i -p 4211,4219',
    }),
  };
}
