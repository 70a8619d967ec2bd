import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ProgramResult } from '../helpers/cache.ts';
import type { JsonReport } from '../helpers/command.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { LoadJob, type LoadReport } from '../helpers/loads.ts';
import { type ProxiedKafka, startProxiedKafka } from '../helpers/proxy.ts';
import { type AnswerFate, API } from '../helpers/proxyFrames.ts';
import { OFFSETS_MODES, type OffloadJob, type OffsetsMode, sorted, Workspace } from '../helpers/workspace.ts';

/**
 * The whole command on a line that fails: a proxy between it and a real broker cuts, slows, silences and truncates. The
 * oracle: each row once, whether the run came through or the next one had to finish it; a run that gives up says why in
 * one line. `retries` in the report shows that the run itself met the fault.
 */
const MESSAGES = 6_000;
const PARTITIONS = 3;
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
/** A run has to be over many requests, and to give one up soon. */
const IMPATIENT = { 'fetch.max.bytes': 20_000, 'socket.timeout.ms': 1_500, 'retry.backoff.ms': 20 };
const MOST_RUNS = 4;

let kafka: ProxiedKafka;
let workspace: Workspace;
let topic: string;
let values: string[];

beforeAll(async () => {
  kafka = await startProxiedKafka();
  workspace = await Workspace.open(kafka.cluster.bootstrapServers);
  topic = await workspace.topics.create('proxied', { partitions: PARTITIONS });
  values = sorted(await workspace.send(topic, MESSAGES, [0, 1, 2], 90));
});

afterAll(async () => {
  await workspace.close();
  await kafka.stop();
});

let cutsBefore = 0;
beforeEach(() => {
  cutsBefore = proxy().cuts;
});

afterEach(() => proxy().calm());

const proxy = () => kafka.proxies[0] ?? expect.unreachable('there is no proxy');

/** What the line does, from before a run until it has ended. */
const LINES: readonly (readonly [string, () => void])[] = [
  [
    'cut at random moments',
    () => {
      proxy().delay('answers', 10);
      proxy().cutAtRandom(40, 250);
    },
  ],
  ['slow', () => proxy().throttle('both', 250_000)],
  ['late', () => proxy().delay('both', 40)],
  [
    'cut in the middle of answers',
    () => proxy().setRules({ onAnswer: sometimes(API.fetch, 5, { truncateTo: 2_000 }) }),
  ],
  ['silent for two seconds', () => silentOnce(API.fetch)],
];

/** Every `n`-th answer of this kind meets its fate, the first one of a run included. */
function sometimes(api: number, n: number, fate: AnswerFate): (request: { api: number }) => AnswerFate {
  let seen = 0;
  return (request) => (request.api === api && seen++ % n === 0 ? fate : 'pass');
}

/** The `n`-th answer of this kind, from 1, meets its fate: the broker has carried out what was asked. */
function onceAt(api: number, n: number, fate: AnswerFate): (request: { api: number }) => AnswerFate {
  let seen = 0;
  return (request) => (request.api === api && ++seen === n ? fate : 'pass');
}

/** With the third request of this kind the line falls silent: it takes connections and bytes, and nobody answers. */
function silentOnce(api: number): void {
  let seen = 0;
  const onRequest = (request: { api: number }): 'pass' => {
    if (request.api === api && ++seen === 3) {
      proxy().halfOpen(true);
      setTimeout(() => proxy().halfOpen(false), 2_000);
    }
    return 'pass';
  };
  proxy().setRules({ onRequest });
}

/** Runs until one comes through; each that does not must say why in one line, and leave the rest to the next. */
async function untilDone(run: () => Promise<ProgramResult>, calm: boolean): Promise<ProgramResult> {
  for (let runs = 1; ; runs++) {
    const result = await run();
    if (result.code === 0) return result;
    expect(result.code, result.stderr).toBe(1);
    expect(
      result.stderr
        .trimEnd()
        .split('\n')
        .filter((line) => !line.includes('warning: ')),
    ).toHaveLength(1);
    expect(runs, result.stderr).toBeLessThan(MOST_RUNS);
    if (calm) proxy().calm();
  }
}

function offloadJob(mode: OffsetsMode): Promise<OffloadJob> {
  const { bootstrapServers } = kafka;
  return workspace.job({ topic, mode, bootstrapServers, entry: { accessOptions: IMPATIENT } });
}

async function expectOffloaded(job: OffloadJob): Promise<void> {
  proxy().calm();
  expect(await job.values()).toEqual(values);
  expect(Object.values(await job.saved()).reduce((sum, offset) => sum + offset, 0)).toBe(MESSAGES);
  expect(await job.staged()).toEqual([]);
}

/** In `npm test` a line of each kind; all of them in both modes where there is time for it. */
const LINES_OF: Readonly<Record<OffsetsMode, readonly string[]>> = {
  FILE: ['cut in the middle of answers', 'silent for two seconds'],
  STREAM: ['cut at random moments'],
};

describe.each(OFFSETS_MODES)('offload, offsets in mode %s', (mode) => {
  const lines = LINES.filter(([line]) => ALL || LINES_OF[mode].includes(line));

  test.each(lines)('a line that is %s: each row once', async (line, fail) => {
    const job = await offloadJob(mode);
    fail();
    const { stdout } = await untilDone(() => job.run('--report', 'json'), true);
    const report = JSON.parse(stdout) as JsonReport;
    // What is slow or late asks for no request to be repeated; the other lines do.
    if (mode === 'FILE' && line !== 'slow' && line !== 'late') expect(report.retries).toBeGreaterThan(0);
    await expectOffloaded(job);
    countFaults(
      { kind: `line ${line}`, layout: 'folder', mode },
      { faults: Math.max(1, proxy().cuts - cutsBefore), rows: MESSAGES },
    );
  });
});

describe('offload, offsets in mode STREAM: the answer is lost after the broker has done what was asked', () => {
  // Transactions of a run: its record, prepare, commit, the end of the record.
  const cases = [
    ['EndTxn', API.endTxn, 1],
    ['EndTxn', API.endTxn, 2],
    ['EndTxn', API.endTxn, 3],
    ['EndTxn', API.endTxn, 4],
    ['InitProducerId', API.initProducerId, 1],
    ['AddPartitionsToTxn', API.addPartitionsToTxn, 2],
    ['AddPartitionsToTxn', API.addPartitionsToTxn, 3],
    ['Produce', API.produce, 2],
    ['Produce', API.produce, 3],
  ] as const;
  const some = cases.filter(([name, , n]) => ALL || (name === 'EndTxn' && (n === 2 || n === 3)));

  test.each(some)('%s (%i), answer %i', async (name, api, n) => {
    const job = await offloadJob('STREAM');
    proxy().setRules({ onAnswer: onceAt(api, n, 'cut') });
    await untilDone(() => job.run(), true);
    expect(proxy().cuts).toBeGreaterThan(cutsBefore);
    await expectOffloaded(job);
    countFaults(
      { kind: `lost answer of ${name}`, layout: 'folder', mode: 'STREAM' },
      { faults: Math.max(1, proxy().cuts - cutsBefore), rows: MESSAGES },
    );
  });
});

describe('load', () => {
  const SINK = { partitions: PARTITIONS, chunkRecords: 500 };
  const answers = [
    ['EndTxn', API.endTxn, 3],
    ['InitProducerId', API.initProducerId, 1],
    ['AddPartitionsToTxn', API.addPartitionsToTxn, 2],
    ['Produce', API.produce, 4],
  ] as const;

  async function expectLoaded(job: LoadJob, first: ProgramResult | null): Promise<void> {
    proxy().calm();
    expect(await job.values()).toEqual(values);
    if (first?.code === 0) expect((JSON.parse(first.stdout) as LoadReport).retries).toBeGreaterThan(0);
  }

  function fileJob(): Promise<LoadJob> {
    return LoadJob.make(workspace, { target: kafka.bootstrapServers, sink: SINK });
  }

  async function writeFiles(job: LoadJob): Promise<string[]> {
    const path = join(job.folder, 'rows.json');
    await writeFile(path, values.map((value) => `${JSON.stringify({ key: value, value })}\n`).join(''));
    return ['--path', path, '--format', 'json', '--report', 'json'];
  }

  test.each(ALL ? answers : answers.slice(0, 1))(
    'files: the answer to %s (%i) is lost, number %i',
    async (name, api, n) => {
      const job = await fileJob();
      const args = await writeFiles(job);
      proxy().setRules({ onAnswer: onceAt(api, n, 'cut') });
      const done = await untilDone(() => job.run(...args), true);
      await expectLoaded(job, done);
      countFaults(
        { kind: `lost answer of ${name}`, layout: 'topic' },
        { faults: Math.max(1, proxy().cuts - cutsBefore), rows: MESSAGES },
      );
    },
  );

  test('files: a line that is cut at random moments', async () => {
    const job = await fileJob();
    const args = await writeFiles(job);
    proxy().delay('answers', 10);
    proxy().cutAtRandom(60, 300);
    await untilDone(() => job.run(...args), true);
    await expectLoaded(job, null);
    countFaults(
      { kind: 'line cut at random moments', layout: 'topic' },
      { faults: Math.max(1, proxy().cuts - cutsBefore), rows: MESSAGES },
    );
  });

  test.each(ALL ? OFFSETS_MODES : ['STREAM' as const])(
    'a topic, offsets in mode %s: a line that is cut at random moments',
    async (mode) => {
      const job = await LoadJob.make(workspace, { mode, from: topic, target: kafka.bootstrapServers, sink: SINK });
      proxy().delay('answers', 10);
      proxy().cutAtRandom(60, 300);
      await untilDone(() => job.run('--report', 'json'), true);
      await expectLoaded(job, null);
      countFaults(
        { kind: 'line cut at random moments', layout: 'topic', mode },
        { faults: Math.max(1, proxy().cuts - cutsBefore), rows: MESSAGES },
      );
    },
  );
});
