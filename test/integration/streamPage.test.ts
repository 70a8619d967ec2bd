/** The page of a stream in a real browser. KAFKALOAD_TEST_SCREENSHOTS=FOLDER keeps what it looked like. */
import { join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Listening, listen } from '../../src/stream/observe/httpServer.ts';
import { pageRoutes } from '../../src/stream/observe/routes.ts';
import { shownJob } from '../../src/stream/observe/shownJob.ts';
import { chromiumPath } from '../helpers/chromium.ts';
import { joined, SetClock, StreamFeed, streamJob, written } from '../helpers/streamFeed.ts';

const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 375, height: 740 };
const HOSTILE = '<img src=x onerror="window.taken=1"><script>window.taken=2</script>';

interface Figures {
  /** Of each line that is drawn. */
  readonly points: number[];
  readonly isBroken: boolean;
  /** Pixels that the page is wider than the window. */
  readonly overflow: number;
}

/** Code of the page, as text: the tests know no DOM. */
const FIGURES = `(() => {
  const lines = [...document.querySelectorAll('svg .stroke')].map((path) => path.getAttribute('d'));
  return {
    points: lines.map((line) => line.split(/[ML]/).length - 1),
    isBroken: lines.some((line) => /NaN|Infinity|undefined/.test(line)),
    overflow: document.documentElement.scrollWidth - window.innerWidth,
  };
})()`;

let browser: Browser;

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: await chromiumPath() });
});

afterAll(async () => {
  await browser?.close();
});

interface Opened {
  readonly page: Page;
  readonly feed: StreamFeed;
  readonly server: Listening;
  /** What the console or a failed request complained of. */
  readonly complaints: string[];
}

async function open(feed: StreamFeed, options: BrowserContextOptions, job = streamJob()): Promise<Opened> {
  const routes = pageRoutes(feed.keeper, feed.history, shownJob(job));
  const server = await listen('--ui-port', { host: '127.0.0.1', port: 0 }, routes);
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url)) complaints.push(`asked elsewhere: ${request.url()}`);
  });
  await page.goto(`${server.url}/`);
  return { page, feed, server, complaints };
}

async function close({ page, server }: Opened): Promise<void> {
  await page.context().close();
  await server.close();
}

async function keepScreenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.KAFKALOAD_TEST_SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

function fed(partitions: number, seconds = 300): StreamFeed {
  const feed = new StreamFeed(streamJob(), partitions);
  feed.run(seconds);
  return feed;
}

describe('the page of a stream', () => {
  test.each([
    { partitions: 1, colorScheme: 'light', viewport: WIDE },
    { partitions: 8, colorScheme: 'light', viewport: WIDE },
    { partitions: 64, colorScheme: 'light', viewport: WIDE },
    { partitions: 1, colorScheme: 'dark', viewport: NARROW },
    { partitions: 8, colorScheme: 'dark', viewport: WIDE },
    { partitions: 64, colorScheme: 'dark', viewport: NARROW },
  ] as const)('draws $partitions partitions, $colorScheme, $viewport.width pixels wide', async (look) => {
    const { partitions, colorScheme, viewport } = look;
    const opened = await open(fed(partitions), { colorScheme, viewport });
    const { page, complaints } = opened;
    await page
      .getByRole('listitem')
      .nth(partitions - 1)
      .waitFor();
    await expect.poll(() => page.locator('#partitions > li').count()).toBe(partitions);
    const figures = await page.evaluate<Figures>(FIGURES);
    expect(figures.points).toEqual(Array(2 + partitions).fill(150));
    expect(figures.isBroken).toBe(false);
    expect(figures.overflow).toBeLessThanOrEqual(0);
    expect(await page.locator('#commits > tr').count()).toBe(30);
    await keepScreenshot(page, `${partitions}-${colorScheme}`);
    expect(complaints).toEqual([]);
    await close(opened);
  });

  test('goes on drawing what happens, and says what it waits for and when the process is gone', async () => {
    const opened = await open(fed(8, 60), { viewport: WIDE });
    const { page, feed, complaints } = opened;
    await page.getByRole('status').getByText('running').waitFor();
    expect(await page.title()).toBe('running: orders-to-lake - kafkaload');
    await page.getByRole('img', { name: /^Throughput of the last 5 minutes: [\d,]+ messages\/s at/ }).waitFor();
    await page.getByRole('img', { name: /^Lag of the last 5 minutes: [\d,]+ offsets at/ }).waitFor();
    const summary = page.locator('#commits > tr').first().getByText('2 files');
    await summary.click();
    await page.getByText('/data/orders/part-00000-20261130T12006.parquet').waitFor();
    feed.run(10);
    await expect.poll(() => page.locator('#commits > tr').count(), { timeout: 15_000 }).toBe(7);
    expect(await page.getByText('/data/orders/part-00000-20261130T12006.parquet').isVisible()).toBe(true);
    await page.getByRole('combobox', { name: 'Order' }).selectOption('lag');
    expect(await page.locator('#partitions .name').first().textContent()).toBe('orders/2');

    const partitions = [4, 5, 6, 7].map((partition) => ({ topic: 'orders', partition }));
    feed.observe({ kind: 'revoked', partitions });
    await expect.poll(() => page.locator('#partitions > li').count(), { timeout: 15_000 }).toBe(4);
    const away = { code: 'BROKER_UNREACHABLE', message: 'no broker answers', attempt: 1, retryInMs: 100 };
    feed.observe({ kind: 'waiting', ...away });
    await page.getByRole('alert').getByText('no broker answers').waitFor();
    await page.getByRole('status').getByText('waiting').waitFor();
    await keepScreenshot(page, 'waiting');
    feed.observe({ kind: 'resumed', afterMs: 100 });
    await page.getByRole('status').getByText('running').waitFor();
    expect(complaints).toEqual([]);

    await opened.server.close();
    await page.getByRole('alert').getByText('does not answer').waitFor();
    await close(opened);
  });

  test('shows names and words of others as text, and no secret', async () => {
    const group = { groupId: HOSTILE, instanceId: null };
    const kafka = { connection: { sasl: { mechanism: 'PLAIN', username: 'me', password: 'pass-9-word' } } };
    const selection = { kind: 'topics', topics: [HOSTILE] };
    const job = streamJob({ group }, { config: HOSTILE, source: { kind: 'topic', selection, kafka } });
    const feed = new StreamFeed(job, 2, new SetClock());
    feed.observe(joined(HOSTILE));
    feed.observe({ kind: 'assigned', partitions: [{ topic: HOSTILE, partition: 0 }] });
    const range = { topic: HOSTILE, partition: 0, startOffset: 0, endOffset: 1 };
    const files = [{ path: HOSTILE, rows: 1, bytes: 1 }];
    feed.observe(written(1, [range], { rows: 1, bytes: 1, name: HOSTILE, files }));
    feed.observe({ kind: 'waiting', code: HOSTILE, message: HOSTILE, attempt: 1, retryInMs: 1 });
    const opened = await open(feed, { viewport: WIDE }, job);
    const { page, complaints } = opened;
    await page.getByRole('heading', { name: HOSTILE }).waitFor();
    await page.getByRole('alert').getByText(HOSTILE).waitFor();
    await page.getByText('Configuration').click();
    await page.getByText('"username": "me"').waitFor();
    expect(await page.locator('#commits').textContent()).toContain(HOSTILE);
    expect(await page.locator('#partitions').textContent()).toContain(`${HOSTILE}/0`);
    expect(await page.content()).not.toContain('pass-9-word');
    expect(
      await page.evaluate(`['taken' in window, document.querySelectorAll('main img, body script').length]`),
    ).toEqual([false, 0]);
    expect(complaints).toEqual([]);
    await close(opened);
  });
});
