// What the tests share: the programs under test, data folders, files, waiting.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const built = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'release');
export const quartet = join(built, 'quartet');
export const desktop = join(built, 'quartet-desktop');
/** Where screenshots go when somebody wants to look at them. */
export const screenshots = process.env.QUARTET_SCREENSHOTS;

/** The sample documents, each a few pages. */
export function samples(count = 8) {
  const folder = join(root, 'assets/samples');
  const files = readdirSync(folder).filter((name) => name.endsWith('.pdf')).sort();
  return files.slice(0, count).map((name) => join(folder, name));
}

/** A data folder that goes away with the process. */
export function newHome() {
  const home = mkdtempSync(join(tmpdir(), 'quartet-ui-'));
  process.on('exit', () => rmSync(home, { recursive: true, force: true }));
  return home;
}

export function environment(home) {
  return { ...process.env, QUARTET_HOME: home, QUARTET_BASE: 'small', HOME: home, NO_AT_BRIDGE: '1', ...models() };
}

/** With a home of its own, the program must still find the models of the real one. */
function models() {
  if (process.env.QUARTET_MODELS) return {};
  const data = process.env.XDG_DATA_HOME ?? join(process.env.HOME ?? '', '.local/share');
  return { QUARTET_MODELS: join(data, 'quartet/models') };
}

/** Runs the terminal program and returns what it says as JSON. */
export function terminal(home, ...words) {
  const options = { env: environment(home), cwd: root, maxBuffer: 1 << 28 };
  const { status, stdout, stderr } = spawnSync(quartet, ['--json', ...words], options);
  // 4: some files could not be read, which is an answer too.
  if (status !== 0 && status !== 4) throw new Error(`quartet ${words}: ${status} ${stdout}${stderr}`);
  return JSON.parse(stdout.toString());
}

/** Why these tests cannot run here, or `false`. Where they must run, that is an error. */
export function obstacle(...programs) {
  const missing = [];
  for (const program of programs) {
    const found = program.includes('/')
      ? existsSync(program)
      : spawnOk('sh', ['-c', `command -v ${program}`]);
    if (!found) missing.push(program);
  }
  if (missing.length > 0 && process.env.QUARTET_REQUIRE_DATA) throw new Error(`missing: ${missing.join(', ')}`);
  return missing.length > 0 && `missing: ${missing.join(', ')}`;
}

function spawnOk(program, words) {
  try {
    execFileSync(program, words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Asks again and again until the answer is truthy. */
export async function until(what, ask, patience = 120_000) {
  const end = Date.now() + patience;
  let last;
  while (Date.now() < end) {
    try {
      last = await ask();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await pause(100);
  }
  throw new Error(`waited ${patience / 1000} s in vain: ${what} (last: ${last})`);
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Ids of the processes below `parent` whose command line ends in `worker KIND`. */
export function workers(parent, kind) {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,args=']).toString().trim().split('\n');
  const rows = lines.map((line) => line.trim().match(/^(\d+)\s+(\d+)\s+(.*)$/)).filter(Boolean);
  return rows
    .filter(([, , above, words]) => Number(above) === parent && words.endsWith(`worker ${kind}`))
    .map(([, id]) => Number(id));
}

/** Starts a program and returns it with a promise of the first line it prints. */
export function start(program, words, options = {}) {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'], ...options });
  child.firstLine = new Promise((done, failed) => {
    let text = '';
    child.stdout?.on('data', (piece) => {
      text += piece;
      if (text.includes('\n')) done(text.split('\n')[0]);
    });
    child.on('exit', (code) => failed(new Error(`${program} ended with ${code}`)));
  });
  child.firstLine.catch(() => {});
  process.on('exit', () => child.kill('SIGKILL'));
  return child;
}

/** One number from a library's database. */
export function database(home, statement) {
  const program =
    'import sqlite3, sys; print(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True).execute(sys.argv[2]).fetchone()[0])';
  return Number(execFileSync('/usr/bin/python3', ['-c', program, join(home, 'library.sqlite'), statement]).toString());
}

/** How many documents of a data folder can be searched. */
export function ready(home) {
  return terminal(home, 'documents').documents.filter(({ status }) => status === 'ready').length;
}
