// The same pages in Chromium, over `quartet serve`.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { environment, quartet, root, screenshots, start } from './machine.mjs';

const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-quic',
];

export const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Starts `quartet serve` on a data folder; `{ url, token, port }` and the process. */
export async function serve(home) {
  const server = start(quartet, ['--json', 'serve'], { env: environment(home), cwd: root });
  return { ...JSON.parse(await server.firstLine), process: server };
}

export async function openBrowser() {
  const browser = await chromium.launch({ executablePath: chromiumPath, args: ARGUMENTS });
  process.on('exit', () => browser.close().catch(() => {}));
  return browser;
}

/** A page on a server. What goes wrong in it is collected in `page.complaints`. */
export async function openPage(browser, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 840 }, reducedMotion: 'reduce', locale: 'en', ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') page.complaints.push(`${message.text()} (${message.location().url})`);
  });
  await page.goto(server.url);
  return page;
}

/** Keeps a picture, if somebody wants to look. */
export async function picture(page, name) {
  if (!screenshots) return;
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: join(screenshots, `${name}.png`) });
}
