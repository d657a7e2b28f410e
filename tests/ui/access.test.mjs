// For everyone: axe-core over every view in both themes, the keyboard, German, long lists.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { chromiumPath, openBrowser, openPage, picture, serve } from './support/browser.mjs';
import { newHome, obstacle, quartet, root, samples, terminal } from './support/machine.mjs';

const skip = obstacle(quartet, chromiumPath);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIEWS = ['Chat', 'Documents', 'Models', 'Experts', 'Settings', 'Privacy'];

describe('for everyone', { skip, timeout: 600_000 }, () => {
  const empty = newHome();
  const full = newHome();
  let servers, browser;

  before(async () => {
    terminal(full, 'import', '--collection', 'samples', ...samples(), join(root, 'README.md'));
    execFileSync('/usr/bin/python3', [join(root, 'tests/ui/support/fill_library.py'), join(full, 'library.sqlite')]);
    servers = { empty: await serve(empty), full: await serve(full) };
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    for (const server of Object.values(servers ?? {})) server.process.kill();
  });

  for (const colorScheme of ['light', 'dark']) {
    for (const state of ['empty', 'full']) {
      test(`no serious finding in any view, ${state}, ${colorScheme}`, async () => {
        const page = await openPage(browser, servers[state], { colorScheme });
        await page.addInitScript(axe);
        await page.reload();
        if (state === 'full') await page.getByText('samples', { exact: true }).first().click();
        for (const view of VIEWS) {
          await page.getByRole('navigation').first().getByRole('button', { name: view, exact: true })
            .or(page.getByRole('link', { name: view, exact: true })).first().click();
          await page.waitForTimeout(1200);
          await picture(page, `view-${view.toLowerCase()}-${state}-${colorScheme}`);
          const { violations } = await page.evaluate(() => globalThis.axe.run(document));
          const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
          const told = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
          assert.deepEqual(told, [], `${view}, ${state}, ${colorScheme}`);
          const styled = await page.locator('[style]').evaluateAll((all) => all.filter((one) => one.getAttribute('style')?.includes('url(')).length);
          assert.equal(styled, 0);
        }
        assert.deepEqual(page.complaints, []);
        await page.context().close();
      });
    }
  }

  test('the keyboard alone is enough, and ? tells how', async () => {
    const page = await openPage(browser, servers.full);
    await page.getByTestId('composer').waitFor();
    await page.locator('body').press('Escape');
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await picture(page, 'help');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    const seen = new Set();
    for (let step = 0; step < 60; step += 1) {
      await page.keyboard.press('Tab');
      seen.add(await page.evaluate(() => document.activeElement?.textContent?.trim() || document.activeElement?.getAttribute('aria-label') || document.activeElement?.tagName));
    }
    for (const view of VIEWS) assert.ok([...seen].some((text) => text?.includes(view)), `${view} is reached by Tab`);
    await page.context().close();
  });

  test('it speaks German', async () => {
    const page = await openPage(browser, servers.full, { locale: 'de-DE' });
    await page.getByText('Dokumente').first().waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'de');
    await picture(page, 'german');
    await page.context().close();
  });

  test('ten thousand documents and five thousand turns stay light', async () => {
    const page = await openPage(browser, servers.full);
    await page.getByText('many', { exact: true }).first().click();
    await page.getByRole('button', { name: 'Documents', exact: true }).or(page.getByRole('link', { name: 'Documents', exact: true })).first().click();
    await page.getByText(/10[,.\u202f ]?000/).first().waitFor();
    await page.waitForTimeout(500);
    const elements = () => page.evaluate(() => document.querySelectorAll('*').length);
    assert.ok((await elements()) < 3000, `${await elements()} elements for 10,000 documents`);
    await picture(page, 'many-documents');
    await page.getByRole('button', { name: 'Chat', exact: true }).or(page.getByRole('link', { name: 'Chat', exact: true })).first().click();
    await page.getByTestId('history').getByText('A long conversation').click();
    await page.getByTestId('turn').first().waitFor();
    await page.waitForTimeout(500);
    assert.ok((await elements()) < 4000, `${await elements()} elements for 5,000 turns`);
    const end = await page.getByTestId('turn').last().boundingBox();
    const composer = await page.getByTestId('composer').boundingBox();
    assert.ok(end.y + end.height <= composer.y + 4, 'the last turn is whole above the composer');
    await picture(page, 'long-chat');
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
});
