// A whole use of the window under strace: no internet socket, ever. WebDriver would open one
// itself, so mouse and keyboard do everything here.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { database, desktop, environment, newHome, obstacle, pause, quartet, ready, samples, start, until } from './support/machine.mjs';
import { dragOnto } from './support/drag.mjs';

const skip = obstacle(desktop, quartet, 'strace', 'xdotool', '/usr/bin/python3');

test('no internet socket in a whole use of the window', { skip, timeout: 600_000 }, async () => {
  const home = newHome();
  const trace = join(home, 'trace.txt');
  const watch = ['-f', '-qq', '-e', 'trace=socket,connect,bind,listen,sendto', '-o', trace, desktop];
  const traced = start('strace', watch, { env: environment(home) });
  const mouse = (...words) => execFileSync('xdotool', words.map(String)).toString().trim();
  const shown = await until('the window is there', () => mouse('search', '--onlyvisible', '--name', '^Quartet$'));
  await pause(3000);
  await dragOnto(...samples());
  await until('all are ready', () => ready(home) === 8);
  mouse('windowfocus', shown.split('\n')[0]);
  mouse('key', 'slash');
  mouse('type', '--delay', '20', 'Who signed the contract?');
  mouse('key', 'Return');
  await until('the answer is kept', () => database(home, 'SELECT count(*) FROM answers') === 1);
  // Every view once, each asking the core for what it shows.
  for (const view of [1, 2, 3, 4, 5, 6]) {
    mouse('key', `ctrl+${view}`);
    await pause(400);
  }
  // The program first, then its watcher, which writes down the rest; a watcher that stays must go.
  execFileSync('pkill', ['-P', String(traced.pid)]);
  await Promise.race([new Promise((done) => traced.on('exit', done)), pause(5000)]);
  traced.kill('SIGKILL');
  const internet = readFileSync(trace, 'utf8').split('\n').filter((line) => line.includes('AF_INET'));
  assert.deepEqual(internet, []);
});
