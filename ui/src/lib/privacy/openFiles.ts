import type { PrivacyView, ProcessView } from '../bindings';

/** What an open file belongs to, in the order in which it is shown. */
export const FILE_KINDS = ['documents', 'models', 'data', 'other'] as const;
export type FileKind = (typeof FILE_KINDS)[number];

/** What a file belongs to. Models may lie in the data folder, so their name decides first. */
export function kindOfFile(path: string, dataFolder: string): FileKind {
  const name = path.replace(/ \(deleted\)$/, '');
  if (/\.gguf$/i.test(name)) return 'models';
  const folder = dataFolder.replace(/[/\\]+$/, '');
  if (folder !== '' && (name === folder || name.startsWith(`${folder}/`) || name.startsWith(`${folder}\\`))) {
    return 'data';
  }
  return /\.pdf$/i.test(name) ? 'documents' : 'other';
}

/** The files of a process by what they belong to; kinds without any are left out. */
export function groupFiles(
  files: string[],
  dataFolder: string,
): { kind: FileKind; files: string[] }[] {
  return FILE_KINDS.map((kind) => ({
    kind,
    files: files.filter((path) => kindOfFile(path, dataFolder) === kind).sort(),
  })).filter(({ files }) => files.length > 0);
}

/** Internet sockets of one process. */
export function internetSockets(process: ProcessView): number {
  return process.sockets
    .filter(({ family }) => family === 'internet')
    .reduce((sum, { count }) => sum + count, 0);
}

/** The processes, the window first, then as they come. */
export function inOrder(view: PrivacyView): ProcessView[] {
  const isWindow = ({ name }: ProcessView) => name === 'window';
  return [...view.processes.filter(isWindow), ...view.processes.filter((each) => !isWindow(each))];
}
