import { describe, expect, it } from 'vitest';
import { groupFiles, internetSockets, inOrder, kindOfFile } from './openFiles';

describe('what an open file belongs to', () => {
  it.each([
    ['/home/me/.local/share/quartet/library.sqlite', 'data'],
    ['/home/me/.local/share/quartet', 'data'],
    ['/home/me/.local/share/quartet/models/standard.gguf', 'models'],
    ['/srv/models/Big.GGUF', 'models'],
    ['/home/me/.local/share/quartet-old/library.sqlite', 'other'],
    ['/home/me/papers/valve.pdf', 'documents'],
    ['/home/me/papers/valve.pdf (deleted)', 'documents'],
    ['/home/me/.local/share/quartet/uploads/valve.pdf', 'data'],
    ['/opt/quartet/quartet-desktop', 'other'],
  ])('%s: %s', (path, kind) => {
    expect(kindOfFile(path, '/home/me/.local/share/quartet/')).toBe(kind);
  });

  it('an unknown data folder takes nothing in', () => {
    expect(kindOfFile('/etc/hosts', '')).toBe('other');
  });
});

it('groups keep every file, in a fixed order of kinds', () => {
  const files = ['/x/b', '/d/library.sqlite', '/x/a', '/m/s.gguf', '/p/a.pdf'];
  const groups = groupFiles(files, '/d');
  expect(groups.map(({ kind }) => kind)).toEqual(['documents', 'models', 'data', 'other']);
  expect(groups.flatMap(({ files }) => files).sort()).toEqual([...files].sort());
});

it('only internet sockets count, and the window comes first', () => {
  const process = (name: string, count: number) => ({
    id: 1,
    name,
    files: [],
    sockets: [
      { family: 'unix', count: 9 },
      { family: 'internet', count },
    ],
  });
  expect(internetSockets(process('engine', 2))).toBe(2);
  const view = { available: true, processes: [process('engine', 0), process('window', 0)], internet_sockets: 0, data_folder: '', verify: '' };
  expect(inOrder(view).map(({ name }) => name)).toEqual(['window', 'engine']);
});
