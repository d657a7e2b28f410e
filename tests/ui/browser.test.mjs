// The same pages in a browser, over `quartet serve`: the core behind them is the real one.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { chromiumPath, openBrowser, openPage, picture, serve } from './support/browser.mjs';
import { database, newHome, obstacle, quartet, ready, samples, until, workers } from './support/machine.mjs';

const skip = obstacle(quartet, chromiumPath);
const QUESTION = 'What does a night in the guest room cost?';
const LONG = 'Write a long story about the sea, with at least twenty paragraphs.';
const SLOW = 180_000;

describe('in a browser', { skip, timeout: 600_000 }, () => {
  const home = newHome();
  let server, browser, page;

  before(async () => {
    server = await serve(home);
    browser = await openBrowser();
    page = await openPage(browser, server);
    page.setDefaultTimeout(SLOW);
  });
  after(async () => {
    await browser?.close();
    server?.process.kill();
  });

  async function ask(question, ...methods) {
    const toggle = page.getByTestId('methods');
    if (methods.length > 1) await toggle.locator('[data-value=compare]').click();
    else await toggle.locator(`[data-value=${methods[0] ?? 'rag'}]`).click();
    await page.getByTestId('composer').fill(question);
    await page.getByTestId('composer').press('Enter');
  }
  const last = () => page.getByTestId('turn').last();

  test('the token is gone from the address once the page has it', async () => {
    await page.getByText('Drop PDFs').first().waitFor();
    assert.ok(!page.url().includes('token'));
    await page.reload();
    await page.getByText('Drop PDFs').first().waitFor();
  });

  test('files are uploaded and read', async () => {
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      page.getByRole('button', { name: /Choose PDFs/ }).click(),
    ]);
    await chooser.setFiles(samples());
    await page.waitForTimeout(700);
    await picture(page, 'browser-importing');
    await until('all are ready', () => ready(home) === 8);
    await page.getByText('8 documents').first().waitFor();
  });

  test('an answer comes, and its citation opens the page with the passage marked', async () => {
    await ask(QUESTION);
    await last().locator('[data-phase=finished]').waitFor();
    assert.match(await last().getByTestId('answer').innerText(), /31/);
    await last().getByTestId('citation').first().click();
    await page.locator('.sheet canvas').waitFor();
    await page.locator('.sheet .mark').first().waitFor();
    await picture(page, 'browser-evidence');
  });

  test('a blind comparison hides the names until the vote', async () => {
    await page.getByTestId('methods').locator('[data-value=compare]').click();
    await page.getByText('Blind', { exact: true }).click();
    await ask('Who signed the contract?', 'none', 'rag');
    await until('both have finished', async () => (await last().locator('[data-testid=column][data-phase=finished]').count()) === 2, SLOW);
    assert.equal(await last().locator('[data-testid=column][data-method]').count(), 0);
    assert.doesNotMatch(await last().innerText(), /RAG|Base alone/);
    await picture(page, 'browser-blind');
    await last().getByTestId('vote-bar').getByRole('button').first().click();
    await last().locator('[data-testid=column][data-method=rag]').waitFor();
    assert.equal(database(home, 'SELECT sum(blind) FROM votes'), 1);
    assert.match(await last().innerText(), /RAG/);
  });

  test('a conversation is downloaded', async () => {
    await page.locator('.conversation header').getByRole('button', { name: /More|options|actions|for/i }).last().click();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('menuitem', { name: /HTML/ }).click(),
    ]);
    const text = readFileSync(await download.path(), 'utf8');
    assert.ok(text.includes(QUESTION) && text.includes('<blockquote>'));
  });

  test('an engine that dies costs one answer', async () => {
    // Long enough to be seen in the making, whatever else the machine does.
    await ask(LONG, 'none', 'rag');
    await last().locator('[data-phase=writing]').first().waitFor();
    for (const id of workers(server.process.pid, 'engine')) process.kill(id, 'SIGKILL');
    await last().locator('[data-phase=failed]').first().waitFor();
    await picture(page, 'browser-engine-died');
    await ask('Who signed the contract?', 'rag');
    await last().locator('[data-phase=finished]').waitFor();
  });

  test('an edited question takes the place of the old one', async () => {
    await last().hover();
    await last().getByRole('button', { name: /Edit/ }).click();
    const box = last().getByRole('textbox');
    await box.fill('Which secretary signed the contract?');
    await box.press('Enter');
    await until('it is asked again', () => database(home, 'SELECT count(*) FROM turns WHERE superseded = 1') === 1);
    await last().locator('[data-phase=finished]').waitFor();
    assert.match(await last().innerText(), /Which secretary/);
  });

  test('nothing went wrong in the page', () => {
    assert.deepEqual(page.complaints, []);
  });
});
