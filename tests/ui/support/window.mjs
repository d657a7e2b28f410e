// The real window, driven through WebKit's own driver; files dropped from another process.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { By, Key, Session, WebDriver } from 'selenium-webdriver';
import http from 'selenium-webdriver/http/index.js';
import { dragOnto } from './drag.mjs';
import { desktop, environment, pause, screenshots, start, until } from './machine.mjs';

export { By, Key };

/** A port of its own for every driver: the one before may not have let go of its own yet. */
let port = 4700 + (process.pid % 200) * 10;

/** Opens the window on a data folder. A driver that does not answer is left for another one. */
export async function openWindow(home) {
  try {
    return await tryToOpenWindow(home);
  } catch {
    return tryToOpenWindow(home);
  }
}

async function tryToOpenWindow(home) {
  const env = { ...environment(home), TAURI_AUTOMATION: 'true', TAURI_WEBVIEW_AUTOMATION: 'true' };
  port += 1;
  const server = `http://127.0.0.1:${port}`;
  const driver = start('WebKitWebDriver', [`--port=${port}`], { env });
  await until('the driver listens', () => fetch(`${server}/status`).then((reply) => reply.ok));
  // The driver starts the program it is given, and wants to hear of no browser's name.
  const alwaysMatch = { 'webkitgtk:browserOptions': { binary: desktop, args: [] } };
  const reply = await fetch(`${server}/session`, {
    method: 'POST',
    body: JSON.stringify({ capabilities: { alwaysMatch } }),
    signal: AbortSignal.timeout(60_000),
  });
  const { value } = await reply.json();
  if (!reply.ok) throw new Error(`no session: ${value.message}`);
  const executor = new http.Executor(new http.HttpClient(server));
  const page = new WebDriver(new Session(value.sessionId, value.capabilities), executor);
  return new Window(page, driver, home);
}

export class Window {
  constructor(page, driver, home) {
    this.page = page;
    this.driver = driver;
    this.home = home;
  }

  /** The process id of the window. */
  get process() {
    const found = execFileSync('pgrep', ['-P', String(this.driver.pid), '-f', 'quartet-desktop']).toString();
    return Number(found.trim().split('\n')[0]);
  }

  /** The first element that matches and can be seen. */
  async see(selector, patience) {
    return until(`to see ${selector}`, async () => {
      for (const element of await this.page.findElements(By.css(selector))) {
        if (await element.isDisplayed()) return element;
      }
      return null;
    }, patience);
  }

  async seeText(text, patience) {
    return until(`to see "${text}"`, () =>
      this.page.executeScript('return document.body.innerText.includes(arguments[0])', text), patience);
  }

  async click(selector) {
    await (await this.see(selector)).click();
  }

  async type(selector, text) {
    await (await this.see(selector)).sendKeys(text);
  }

  /** Drags files from a window of another process onto this one. */
  async drop(...files) {
    await dragOnto(...files);
  }

  /** Keeps a picture of what is on the screen now, if somebody wants to look. */
  async picture(name) {
    if (!screenshots) return;
    mkdirSync(screenshots, { recursive: true });
    // The frame must be painted, or the picture is of the one before.
    await this.page.executeAsyncScript(
      'const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 100)));',
    );
    writeFileSync(join(screenshots, `${name}.png`), await this.page.takeScreenshot(), 'base64');
  }

  async close() {
    // A window that was killed may leave its driver without an answer.
    await Promise.race([this.page.quit().catch(() => {}), pause(5000)]);
    this.driver.kill('SIGKILL');
  }
}
