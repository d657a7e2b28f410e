// How quick and how heavy the window is: cold start, memory at rest, time per streamed token.
// Prints one JSON document. Figures are of this machine; see BENCHMARKS.md.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { openBrowser, openPage, serve } from './support/browser.mjs';
import { database, newHome, pause, samples, terminal } from './support/machine.mjs';
import { openWindow } from './support/window.mjs';

const ROUNDS = 5;
const median = (values) => values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];

/** Seconds from starting the program until a question can be typed. */
async function coldStart(home) {
  const started = performance.now();
  const window = await openWindow(home);
  await window.see('[data-testid=composer]');
  const seconds = (performance.now() - started) / 1000;
  const process = window.process;
  await pause(3000);
  const memory = proportionalMemory(process);
  await window.close();
  return { seconds, memory };
}

/** Memory of a process and all below it in MiB, shared pages counted in part (PSS). */
function proportionalMemory(root) {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=']).toString().trim().split('\n');
  const all = lines.map((line) => line.trim().split(/\s+/).map(Number));
  const family = new Set([root]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const [id, parent] of all) {
      if (family.has(parent) && !family.has(id)) {
        family.add(id);
        grown = true;
      }
    }
  }
  let kibibytes = 0;
  for (const id of family) {
    const rollup = readFileSync(`/proc/${id}/smaps_rollup`, 'utf8');
    kibibytes += Number(rollup.match(/^Pss:\s+(\d+)/m)?.[1] ?? 0);
  }
  return kibibytes / 1024;
}

/** Time the page's main thread is busy per written token, in milliseconds, and its own part of scripts. */
async function streaming() {
  const home = newHome();
  terminal(home, 'import', '--collection', 'samples', ...samples());
  const server = await serve(home);
  const browser = await openBrowser();
  const page = await openPage(browser, server);
  await page.getByTestId('composer').waitFor();
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const metrics = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return Object.fromEntries(metrics.map(({ name, value }) => [name, value]));
  };
  // The base alone writes at length when it is asked to.
  await page.getByTestId('methods').locator('[data-value=none]').click();
  await page.getByTestId('composer').fill('Write ten long sentences about the history of seed libraries.');
  const before = await metrics();
  await page.getByTestId('composer').press('Enter');
  await page.locator('[data-testid=answer][data-phase=finished]').waitFor({ timeout: 300_000 });
  const after = await metrics();
  const tokens = database(home, `SELECT json_extract(answer, '$.usage.tokens_written') FROM answers`);
  await browser.close();
  server.process.kill();
  return {
    tokens,
    busy_ms_per_token: ((after.TaskDuration - before.TaskDuration) * 1000) / tokens,
    script_ms_per_token: ((after.ScriptDuration - before.ScriptDuration) * 1000) / tokens,
  };
}

const starts = [];
for (let round = 0; round < ROUNDS; round += 1) starts.push(await coldStart(newHome()));
const report = {
  cold_start_seconds: median(starts.map(({ seconds }) => seconds)),
  idle_memory_mib: median(starts.map(({ memory }) => memory)),
  streaming: await streaming(),
};
console.log(JSON.stringify(report, null, 2));
process.exit(0);
