// The whole way in the real window: a file dropped from another process, an answer, its page.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { database, desktop, newHome, obstacle, pause, quartet, ready, samples, terminal, until, workers } from './support/machine.mjs';
import { Key, openWindow } from './support/window.mjs';

const skip = obstacle(desktop, quartet, 'WebKitWebDriver', 'xdotool', '/usr/bin/python3');
const QUESTION = 'What does a night in the guest room cost?';
// Long enough to be seen in the making, whatever else the machine does.
const LONG = 'Write a long story about the sea, with at least twenty paragraphs.';
const finished = '[data-testid=answer][data-phase=finished]';

describe('the window', { skip, timeout: 600_000 }, () => {
  const home = newHome();
  let window;

  before(async () => {
    window = await openWindow(home);
  });
  after(() => window?.close());

  async function ask(question) {
    await window.type('[data-testid=composer]', question + Key.ENTER);
  }

  const count = (selector) =>
    window.page.executeScript('return document.querySelectorAll(arguments[0]).length', selector);

  test('an empty library teaches how to begin', async () => {
    await window.seeText('Drop PDFs');
    await window.picture('window-empty');
  });

  test('files dropped from another program are read', async () => {
    await window.drop(...samples());
    await until('all are ready', () => ready(home) === 8);
    await window.seeText('8 documents');
    await window.picture('window-imported');
  });

  test('an answer comes, and its citation opens the page with the passage marked', async () => {
    await ask(QUESTION);
    const answer = await window.see(finished);
    assert.match(await answer.getText(), /\d/);
    await window.picture('window-answer');
    await window.click('[data-testid=citation]');
    await window.see('.sheet canvas');
    await until('the passage is marked', async () => (await count('.sheet .mark')) > 0);
    await window.picture('window-evidence');
  });

  test('a comparison streams side by side and takes a vote', async () => {
    await window.click('[data-testid=methods] [data-value=compare]');
    await ask('Who signed the contract?');
    // The base alone, RAG and ImpRAG: what can answer without training.
    await until('every column writes', async () => (await count('[data-testid=column]')) === 3);
    await until('all have finished', async () => (await count('[data-testid=column][data-phase=finished]')) === 3);
    await window.picture('window-compare');
    await window.click('[data-testid=vote-bar] button:not([disabled])');
    await until('the vote is kept', () => database(home, 'SELECT count(*) FROM votes') === 1);
  });

  test('a conversation is exported where the person says', async () => {
    await window.click('.conversation header [aria-haspopup=menu]');
    await window.click('[role=menu] [role=menuitem]:nth-of-type(2)');
    await until('the dialog is there', () => execFileSync('xdotool', ['search', '--name', 'Save']).toString().trim());
    await pause(1000);
    execFileSync('xdotool', ['key', 'Return']);
    const name = await until('the file is there', () => readdirSync(home).find((file) => file.endsWith('.md')));
    assert.ok(readFileSync(join(home, name), 'utf8').includes(QUESTION));
  });

  test('an engine that dies costs one answer, not the conversation', async () => {
    const before = await count('[data-testid=turn]');
    await window.click('[data-testid=methods] [data-value=compare]');
    await ask(LONG);
    await window.see('[data-phase=writing]');
    for (const id of workers(window.process, 'engine')) process.kill(id, 'SIGKILL');
    await window.see('[data-phase=failed]');
    await window.picture('window-engine-died');
    await window.click('[data-testid=methods] [data-value=rag]');
    await ask(QUESTION);
    await until('the next question is answered', () =>
      database(home, `SELECT count(*) FROM answers WHERE question = '${QUESTION}'`) === 2);
    assert.ok((await count('[data-testid=turn]')) >= Math.min(before + 1, 2));
  });

  test('the page can do only what the window is permitted', async () => {
    const invoke = (command, request) =>
      window.page.executeAsyncScript(
        `const [command, request, done] = arguments;
         window.__TAURI_INTERNALS__.invoke(command, request).then(() => done('allowed'), (error) => done(String(error)));`,
        command,
        request,
      );
    assert.match(await invoke('plugin:dialog|open', {}), /not allowed/);
    assert.match(await invoke('plugin:event|emit', { event: 'desk', payload: {} }), /not allowed/);
    const fetched = await window.page.executeAsyncScript(
      `const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('reached'), (error) => done(String(error)));`,
    );
    assert.doesNotMatch(fetched, /reached/);
    await window.page.executeScript("location.href = 'http://127.0.0.1:9/'");
    await pause(500);
    assert.match(await window.page.executeScript('return location.href'), /^tauri:/);
    const inline = await window.page.executeScript(
      `const script = document.createElement('script'); script.textContent = 'window.leaked = true';
       document.head.append(script); return window.leaked === true;`,
    );
    assert.equal(inline, false);
  });
});

describe('a window that is killed', { skip, timeout: 600_000 }, () => {
  test('in the middle of an import loses nothing', async () => {
    const home = newHome();
    let window = await openWindow(home);
    await window.seeText('Drop PDFs');
    await window.drop(...samples());
    await until('the import has begun', () => existsSync(join(home, 'library.sqlite')) && database(home, 'SELECT count(*) FROM documents') > 0);
    process.kill(window.process, 'SIGKILL');
    await window.close();
    window = await openWindow(home);
    await until('all are ready', () => ready(home) === 8);
    const whole = newHome();
    terminal(whole, 'import', '--collection', terminal(home, 'collections').collections[0].name, ...samples());
    await until('nothing is being written', () => terminal(home, 'jobs').jobs.every(({ state }) => state === 'finished'));
    assert.deepEqual(terminal(home, 'doctor').fingerprints, terminal(whole, 'doctor').fingerprints);
    await window.close();
  });
});
