import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { syntheticResults, withHostileText } from './experiment-results.fixture.js';
import { renderReport } from './render-report.js';

const executablePath = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => existsSync(path));

const title =
  executablePath === undefined
    ? 'the report in a browser (left out: no Chromium is installed)'
    : 'the report in a browser';

describe.skipIf(executablePath === undefined)(title, () => {
  let browser: Browser;
  let folder = '';
  const complaints: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'infalign-report-'));
    const results = syntheticResults();
    await writeFile(join(folder, 'report.html'), await renderReport(results));
    await writeFile(join(folder, 'hostile.html'), await renderReport(withHostileText(results)));
    browser = await chromium.launch({ executablePath: executablePath!, args: ['--no-sandbox'] });
  }, 120_000);

  afterAll(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });

  async function open(name: string, options: BrowserContextOptions): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    const page = await context.newPage();
    complaints.length = 0;
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => {
      if (!request.url().startsWith('file:')) complaints.push(`asked for ${request.url()}`);
    });
    await page.goto(pathToFileURL(join(folder, name)).href);
    return page;
  }

  /** Brings every figure that is shown near the window, and waits until it answers the pointer. */
  async function drawAll(page: Page): Promise<void> {
    const shown = page.locator('.chart:visible');
    for (let index = 0; index < (await shown.count()); index++) {
      await shown.nth(index).scrollIntoViewIfNeeded();
      await page.waitForSelector(`.chart:visible >> nth=${index} >> .plot > div`, { state: 'attached' });
    }
  }

  it.each(['light', 'dark'] as const)('draws every figure in %s, with no error and no request', async (colorScheme) => {
    const page = await open('report.html', { colorScheme });
    await drawAll(page);
    await page.locator('label[for=by-judge]').click();
    await drawAll(page);
    expect(await page.locator('.chart[data-drawn]').count()).toBe(17);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it('tells a measurement’s numbers under the pointer', async () => {
    const page = await open('report.html', {});
    await drawAll(page);
    await page.locator('.by-proxy .chart').first().locator('.mark-symbol path[fill="var(--series-1)"]').first().hover();
    await page.waitForSelector('#tooltip', { state: 'visible' });
    const text = await page.locator('#tooltip').innerText();
    expect(text).toContain('exp 10');
    expect(text).toMatch(/Win rate\s+\d\d\.\d % \(\d\d\.\d % to \d\d\.\d %\)/);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it('shows the pictures and the judge’s without JavaScript', async () => {
    const page = await open('report.html', { javaScriptEnabled: false, viewport: { width: 400, height: 800 } });
    expect(await page.locator('.by-proxy svg:visible').count()).toBe(3);
    expect(await page.locator('.by-judge svg:visible').count()).toBe(0);
    await page.locator('label[for=by-judge]').click();
    expect(await page.locator('.by-judge svg:visible').count()).toBe(3);
    expect(await page.locator('.by-proxy svg:visible').count()).toBe(0);
    await page.context().close();
  });

  it('fits a telephone: only tables and settings scroll sideways, on their own', async () => {
    const page = await open('report.html', { viewport: { width: 400, height: 800 } });
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(400);
    await page.context().close();
  });

  it('runs no script that a text brings along', async () => {
    const page = await open('hostile.html', {});
    await drawAll(page);
    const mark = page.locator('.by-proxy .chart').first().locator('.mark-symbol path[fill="var(--series-1)"]').first();
    await mark.hover();
    await page.waitForSelector('#tooltip', { state: 'visible' });
    expect(await page.locator('#tooltip').innerText()).toContain('<img');
    expect(await page.title()).toContain("</script><script>document.title='broken'");
    expect(await page.locator('img').count()).toBe(0);
    expect(complaints).toEqual([]);
    await page.context().close();
  });
});
