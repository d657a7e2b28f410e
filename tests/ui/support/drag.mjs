// Files dragged from a window of another process onto whatever is under the mouse.

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pause, start } from './machine.mjs';

const SOURCE = join(dirname(fileURLToPath(import.meta.url)), 'drag_source.py');

export async function dragOnto(...files) {
  const source = start('/usr/bin/python3', [SOURCE, ...files]);
  await source.firstLine;
  await pause(500);
  const mouse = (...words) => execFileSync('xdotool', words.map(String));
  mouse('mousemove', 60, 30);
  await pause(200);
  mouse('mousedown', 1);
  for (let step = 1; step <= 15; step += 1) {
    mouse('mousemove', 60 + step * 45, 30 + step * 25);
    await pause(40);
  }
  await pause(300);
  mouse('mouseup', 1);
  await pause(300);
  source.kill();
}
