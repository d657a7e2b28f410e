/** Made-up open files and a made-up journal for tests and for looking at the pages. */
import type { JournalEntry, PrivacyView } from '../bindings';
import { CHANGES } from './journal';

const data = '/home/anna/.local/share/quartet';

export function privacyView(over: Partial<PrivacyView> = {}): PrivacyView {
  return {
    available: true,
    processes: [
      {
        id: 4219,
        name: 'engine',
        files: [`${data}/models/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf`, '/opt/quartet/quartet-desktop'],
        sockets: [],
      },
      {
        id: 4211,
        name: 'window',
        files: [
          `${data}/library.sqlite`,
          `${data}/library.sqlite-wal`,
          `${data}/index/1/00a3f9d1.store`,
          '/home/anna/Papers/a folder with quite a long name/2024/Maintenance handbook of the pump station.pdf',
          '/opt/quartet/quartet-desktop',
        ],
        sockets: [
          { family: 'unix', count: 12 },
          { family: 'netlink', count: 1 },
        ],
      },
      { id: 4230, name: 'pdf', files: [], sockets: [] },
    ],
    internet_sockets: 0,
    data_folder: data,
    verify: 'strace -f -e trace=socket,connect,bind,listen -p 4211',
    ...over,
  };
}

/** Newest first, as the core gives it. */
export function journal(length: number): JournalEntry[] {
  return Array.from({ length }, (_, index) => ({
    happened_at: 1_790_000_000 - index * 777,
    when: '2026-09-21 14:05',
    change: CHANGES[index % 7] ?? 'added',
    path: `/home/anna/Papers/${2000 + (index % 26)}/Field study number ${length - index}.pdf`,
  }));
}
