import { request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Job } from '../../../../src/config/job.ts';
import { createLog } from '../../../../src/coordinator/log.ts';
import { createObserver, type StreamObserver } from '../../../../src/stream/observe/observer.ts';
import { joined, streamJob, written } from '../../../helpers/streamFeed.ts';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

interface Heard extends StreamObserver {
  readonly said: string[];
}

async function observer(stream: object, rest: object = {}): Promise<Heard> {
  const said: string[] = [];
  const stderr = { write: (text: string) => said.push(text) };
  const job: Job = streamJob(stream, rest);
  const made = await createObserver({ job, log: createLog({ verbose: false, stderr }), stderr });
  open.push(made);
  return { ...made, said };
}

interface Got {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

function get(url: string, options: { method?: string; host?: string } = {}): Promise<Got> {
  const { method = 'GET', host } = options;
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, ...(host === undefined ? {} : { headers: { host } }) }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
    });
    asked.once('error', reject);
    asked.end();
  });
}

/** Samples of the text format, by name with labels. */
function samplesOf(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  );
}

const P0 = { topic: 'orders', partition: 0 };
const P1 = { topic: 'orders', partition: 1 };

describe('metrics', () => {
  test('are those of Prometheus, and tell of partitions only while they are ours', async () => {
    const { observe, addresses, said } = await observer({ metricsPort: 0 });
    const url = `${addresses.metrics}/metrics`;
    expect(JSON.parse(said[0] ?? '').msg).toBe(`metrics are at ${url}, health at /healthz and /readyz`);
    const before = samplesOf((await get(url)).body);
    expect(before.kafkaload_records_read_total).toBe(0);
    expect(before).not.toHaveProperty('kafkaload_last_commit_timestamp_seconds');
    observe(joined('orders-to-lake', 2));
    observe({ kind: 'assigned', partitions: [P0, P1] });
    observe({ kind: 'lag', partitions: [P0, P1].map((each) => ({ ...each, position: 5, end: 9 })) });
    observe({ kind: 'progress', rows: 4, bytes: 400, offsets: 4 });
    const files = [{ path: 'a', rows: 3, bytes: 99 }];
    const outcome = { rows: 3, bytes: 99, files, bytesRead: 400, badRecords: 1 };
    observe(written(1, [{ ...P0, startOffset: 5, endOffset: 8 }], outcome, 0.3));
    observe({ kind: 'abandoned', batch: { number: 2, ranges: [] }, why: 'overtaken' });
    observe({ kind: 'waiting', code: 'X', message: 'x', attempt: 1, retryInMs: 1 });
    const { headers, body } = await get(url);
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(body).toContain('# TYPE kafkaload_lag_offsets gauge');
    const samples = samplesOf(body);
    expect(samples).toMatchObject({
      kafkaload_records_read_total: 4,
      kafkaload_records_written_total: 3,
      kafkaload_read_bytes_total: 400,
      kafkaload_written_bytes_total: 99,
      kafkaload_files_written_total: 1,
      kafkaload_bad_records_total: 1,
      'kafkaload_batches_total{outcome="written"}': 1,
      'kafkaload_batches_total{outcome="abandoned"}': 1,
      kafkaload_commits_total: 1,
      kafkaload_rebalances_total: 2,
      'kafkaload_lag_offsets{topic="orders",partition="0"}': 1,
      'kafkaload_lag_offsets{topic="orders",partition="1"}': 4,
      kafkaload_assigned_partitions: 2,
      kafkaload_waiting: 1,
      'kafkaload_stream_info{config="orders",group="orders-to-lake"}': 1,
      'kafkaload_batch_duration_seconds_bucket{le="0.25"}': 0,
      'kafkaload_batch_duration_seconds_bucket{le="0.5"}': 1,
      kafkaload_batch_duration_seconds_sum: 0.3,
      process_resident_memory_bytes: expect.any(Number),
      process_cpu_seconds_total: expect.any(Number),
      nodejs_eventloop_lag_p99_seconds: expect.any(Number),
    });
    expect(samples.kafkaload_last_commit_timestamp_seconds).toBeGreaterThan(Date.now() / 1000 - 60);
    observe({ kind: 'revoked', partitions: [P1] });
    observe({ kind: 'resumed', afterMs: 1 });
    const after = samplesOf((await get(url)).body);
    expect(after).not.toHaveProperty('kafkaload_lag_offsets{topic="orders",partition="1"}');
    expect(after).toMatchObject({ kafkaload_assigned_partitions: 1, kafkaload_waiting: 0, kafkaload_commits_total: 1 });
  });

  test('come with health: ready is who has joined and waits for nothing', async () => {
    const { observe, addresses } = await observer({ metricsPort: 0 });
    const answers = async () => {
      const both = await Promise.all(['healthz', 'readyz'].map((path) => get(`${addresses.metrics}/${path}`)));
      return both.map(({ status, body }) => `${status} ${body}`);
    };
    expect(await answers()).toEqual(['200 ok: joining\n', '503 not ok: joining\n']);
    observe(joined());
    expect(await answers()).toEqual(['200 ok: running\n', '200 ok: running\n']);
    observe({ kind: 'waiting', code: 'X', message: 'no broker', attempt: 1, retryInMs: 1 });
    expect(await answers()).toEqual(['200 ok: waiting\n', '503 not ok: waiting: no broker\n']);
  });
});

describe('the page', () => {
  test('has files of its own, runs nothing else, and hides secrets', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'me', password: 'pass-9-word' };
    const sink = { kind: 'topic', topic: 'copies', kafka: { connection: { sasl } } };
    const { observe, addresses } = await observer({ uiPort: 0 }, { sink });
    const { status, headers, body } = await get(`${addresses.page}/`);
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
    expect(headers['x-content-type-options']).toBe('nosniff');
    const names = [...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, name = '']) => name);
    expect(names).toEqual(['icon.svg', 'page.css', 'page.js']);
    const seen = new Set<string>();
    while (names.length > 0) {
      const name = names.pop() ?? '';
      if (seen.has(name)) continue;
      seen.add(name);
      const file = await get(`${addresses.page}/${name}`);
      expect([name, file.status]).toEqual([name, 200]);
      expect(file.body).not.toMatch(
        /innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|https?:\/\/(?!www\.w3\.org)/,
      );
      names.push(...[...file.body.matchAll(/from '\.\/([\w.]+)'/g)].map(([, imported = '']) => imported));
    }
    expect(seen.size).toBe(10);
    const job = await get(`${addresses.page}/job.json`);
    expect(job.body).toContain('"username":"me","password":"***"');
    expect(JSON.parse(job.body).route).toBe('orders \u2192 topic copies');
    observe(joined());
    const answer = JSON.parse((await get(`${addresses.page}/status.json`)).body);
    expect(answer).toMatchObject({ state: 'running', group: 'orders-to-lake', commits: [], samples: [] });
  });

  test('gives only what is new, and all of it when partitions came or went', async () => {
    const { observe, addresses } = await observer({ uiPort: 0 });
    const ask = async (query: string) => JSON.parse((await get(`${addresses.page}/status.json?${query}`)).body);
    for (const number of [1, 2, 3]) observe(written(number, []));
    const first = await ask('');
    expect(first.commits.map(({ number }: { number: number }) => number)).toEqual([1, 2, 3]);
    expect((await ask(`assignment=${first.assignment}&batch=2`)).commits).toHaveLength(1);
    expect((await ask('batch=no&sample=-')).commits).toHaveLength(3);
    observe({ kind: 'assigned', partitions: [P0] });
    expect((await ask('')).assignment).not.toBe(first.assignment);
  });
});

describe('the servers', () => {
  test('are one where both have the same port', async () => {
    const { addresses } = await observer({ uiPort: 0, metricsPort: 0 });
    expect(addresses.page).toBe(addresses.metrics);
    expect((await get(`${addresses.page}/healthz`)).status).toBe(200);
    expect((await get(`${addresses.page}/page.js`)).status).toBe(200);
  });

  test('answer nobody who came by another name than that of this machine', async () => {
    const { addresses } = await observer({ uiPort: 0 });
    const port = new URL(addresses.page ?? '').port;
    const status = async (host: string) => (await get(`${addresses.page}/status.json`, { host })).status;
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, '127.8.8.8', 'LocalHost'])
      expect([host, await status(host)]).toEqual([host, 200]);
    for (const host of ['evil.example', `127.0.0.1.evil.example:${port}`, `evil.example:${port}`, 'xlocalhost'])
      expect([host, await status(host)]).toEqual([host, 403]);
    const forAll = await observer({ uiPort: 0, listenHost: '0.0.0.0' });
    const other = `http://127.0.0.1:${new URL(forAll.addresses.page ?? '').port}/status.json`;
    expect((await get(other, { host: 'this.machine.example' })).status).toBe(200);
  });

  test('know GET and HEAD, and say what there is', async () => {
    const { addresses } = await observer({ metricsPort: 0 });
    const url = `${addresses.metrics}/healthz`;
    expect(await get(url, { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
    expect(await get(url, { method: 'POST' })).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
    expect(await get(`${addresses.metrics}/constructor`)).toMatchObject({
      status: 404,
      body: 'nothing here; there are /metrics, /healthz, /readyz\n',
    });
  });

  test('say before anything else when a port is taken, and when an address is not of this machine', async () => {
    const taken = await new Promise<Server>((resolve) => {
      const server = createServer().listen({ host: '127.0.0.1', port: 0 }, () => resolve(server));
    });
    open.push(taken);
    const { port } = taken.address() as { port: number };
    await expect(observer({ metricsPort: 0, uiPort: port })).rejects.toMatchObject({
      ...{ code: 'IO_FAILED', exitStatus: 1 },
      message: `cannot listen on 127.0.0.1, port ${port} (--ui-port): another process has the port; end it, or choose another one (0: any that is free)`,
    });
    await expect(observer({ metricsPort: 0, listenHost: '192.0.2.1' })).rejects.toMatchObject({
      ...{ code: 'USAGE', exitStatus: 2 },
      message: expect.stringContaining('--listen names no address of this machine'),
    });
  });

  test('end at once, and twice, although somebody looks', async () => {
    const made = await observer({ uiPort: 0 });
    const url = `${made.addresses.page}/`;
    await get(url);
    await made.close();
    await made.close();
    await expect(get(url)).rejects.toThrow(/ECONNREFUSED|hang up/);
  });
});
