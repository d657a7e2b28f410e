/** Made-up models and devices for tests and for looking at the pages. */
import type { Device, Diagnosis, ModelView, ModelsView, SettingsView } from '../bindings';

const GB = 1_000_000_000;

export function model(name: string, over: Partial<ModelView> = {}): ModelView {
  return {
    name,
    role: 'base',
    path: `/home/anna/.local/share/quartet/models/${name}-q4_k_m.gguf`,
    size: 1.1 * GB,
    licence: 'Apache-2.0',
    description: `What ${name} is good for, in a sentence.`,
    fit: {
      weight_bytes: 1.1 * GB,
      kv_cache_bytes: 0.115 * GB,
      compute_bytes: 0.31 * GB,
      available_bytes: 9 * GB,
      fits: true,
    },
    problem: null,
    added_by_user: false,
    ...over,
  };
}

export function modelsView(over: Partial<ModelsView> = {}): ModelsView {
  const large = { weight_bytes: 13.9 * GB, kv_cache_bytes: 0.8 * GB, compute_bytes: 0.6 * GB };
  return {
    models: [
      model('small', { size: 0.49 * GB, description: 'Quick, for tests and weak machines.' }),
      model('standard', { description: 'Answers from several passages; the better of the two bases.' }),
      model('expert', {
        role: 'expert',
        path: null,
        size: 0.25 * GB,
        licence: 'LicenseRef-Gemma',
        fit: null,
        description: 'A small model that is trained on a collection.',
      }),
      model('embedder', { role: 'embedder', size: 0.025 * GB, fit: null, description: 'Sentence vectors for search.' }),
      model('a-model-with-a-very-long-name-24b-instruct-2026-q4_k_m', {
        path: '/home/anna/Downloads/models from the other machine/2026/a-model-with-a-very-long-name-24b-instruct-2026-q4_k_m.gguf',
        size: 13.9 * GB,
        licence: null,
        description: 'Added by you; its licence is yours to check.',
        fit: { ...large, available_bytes: 9 * GB, fits: false },
        added_by_user: true,
      }),
      model('broken', {
        size: 12_345,
        licence: null,
        description: 'Added by you; its licence is yours to check.',
        fit: null,
        problem: {
          code: 'bad_model',
          message: 'the file ends in the middle of its header',
          hint: 'Copy the file again; it may be incomplete.',
          subject: '/home/anna/Downloads/broken.gguf',
        },
        added_by_user: true,
      }),
    ],
    base: 'auto',
    profile: {
      base: 'standard',
      reason: 'standard would read about 74 tokens/s here, so a first word after 11 s',
      small_tokens_per_second: 166.4,
    },
    loaded: [
      { name: 'standard', device: 'CPU', context: 4096 },
      { name: 'embedder', device: 'CPU', context: 512 },
    ],
    folders: ['/home/anna/.local/share/quartet/models', '/srv/shared/language models/gguf'],
    ...over,
  };
}

export const processor: Device = {
  name: 'CPU',
  description: 'An 8-core processor',
  memory_free: 9 * GB,
  memory_total: 16 * GB,
};
export const graphics: Device = {
  name: 'Vulkan0',
  description: 'A graphics card',
  memory_free: 7.4 * GB,
  memory_total: 8 * GB,
};

export function settingsView(over: Partial<SettingsView['settings']> = {}): SettingsView {
  const defaults = {
    base: 'auto',
    context: 4096,
    threads: 0,
    gpu_layers: -1,
    route_margin: 0,
    passage_states_mb: 2048,
    imprag_words: 'auto',
    pdf_seconds: 600,
    language: 'en',
    theme: 'auto',
  };
  return {
    settings: { ...defaults, ...over },
    defaults: { ...defaults, language: 'auto' },
    file: '/home/anna/.config/quartet/config.toml',
    data_folder: '/home/anna/.local/share/quartet',
    data_bytes: 734_000_000,
    machine: 'An 8-core processor, 8 cores, 16 GiB, linux',
    cores: 8,
  };
}

export function diagnosis(over: Partial<Diagnosis> = {}): Diagnosis {
  return {
    version: '0.1.0',
    machine: 'An 8-core processor, 8 cores, 16 GiB, linux',
    data: '/home/anna/.local/share/quartet',
    settings: '/home/anna/.config/quartet/config.toml',
    model_folders: ['/home/anna/.local/share/quartet/models'],
    devices: { Ok: [processor] },
    base: modelsView().profile,
    fingerprints: { Research: '9f2c4c1be03f7d1f8f4b14b9f8ab0f5ac3b1d77fb1f8a53a1f4ad0f5bb9e6c11' },
    problems: [],
    ...over,
  };
}
