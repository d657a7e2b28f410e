import { expect, it } from 'vitest';
import type { Diagnosis } from '../bindings';
import { diagnosisAsText } from './report';

const diagnosis: Diagnosis = {
  version: '0.1.0',
  machine: 'Some processor, 2 cores, 24 GiB, linux',
  data: '/data',
  settings: '/data/config.toml',
  model_folders: ['/data/models'],
  devices: { Ok: [{ name: 'CPU', description: 'Some processor', memory_free: 10, memory_total: 20 }] },
  base: null,
  fingerprints: { b: 'bb', a: 'aa' },
  problems: [],
};

it('holds everything that was found', () => {
  expect(diagnosisAsText(diagnosis)).toBe(`Quartet 0.1.0
Some processor, 2 cores, 24 GiB, linux
data: /data
settings: /data/config.toml
models: /data/models

devices
  CPU: Some processor, 10 of 20 bytes free

base: not measured yet

collections
  a: aa
  b: bb

no problems
`);
});

it('says what is wrong, with the subject and the hint', () => {
  const error = { code: 'bad_model', message: 'the digest is wrong', hint: 'Run make models.', subject: '/m.gguf' } as const;
  const text = diagnosisAsText({ ...diagnosis, devices: { Err: error }, problems: [error] });
  expect(text).toContain('unknown: the digest is wrong');
  expect(text).toContain('bad_model: the digest is wrong (/m.gguf)\n    Run make models.');
});
