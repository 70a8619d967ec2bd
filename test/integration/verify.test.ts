import { appendFile, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Cluster } from '../../src/kafka/cluster.ts';
import { OffsetCounts } from '../../src/verify/offsetCounts.ts';
import { compareWithTopic } from '../../src/verify/topicRows.ts';
import type { VerifyReport } from '../../src/verify/types.ts';
import { verify } from '../../src/verify/verify.ts';
import { runCommand } from '../helpers/command.ts';
import { OFFSETS_MODES, type OffloadJob, type OffsetsMode, Workspace } from '../helpers/workspace.ts';
import { kafkaSettings, type LoadOptions, load, offsetsSettings, TOPIC } from '../unit/commit/harness.ts';
import { copyOf, kindsOf, look, manifestsIn, optionsIn, targetOf } from '../unit/verify/folders.ts';

/** `kafkaload verify` on what real runs have left; each kind of damage to a folder is in test/unit/verify. */

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
});

afterAll(async () => {
  await work.close();
});

/** What the command says; its exit status must agree. */
async function verifyAll(job: OffloadJob, path = job.out, ...more: string[]): Promise<VerifyReport> {
  const args = ['verify', '--path', path, '--conf', job.confPath, '--config', job.config, '--report', 'json'];
  const result = await runCommand([...args, ...more], { cwd: job.folder });
  expect([0, 3], result.stderr).toContain(result.code);
  const report = JSON.parse(result.stdout) as VerifyReport & { readonly ok: boolean };
  expect([report.ok, result.code]).toEqual(report.findings.length === 0 ? [true, 0] : [false, 3]);
  return report;
}

/** Runs with two messages of each partition more; returns the job and its topic. */
async function threeRuns(mode: OffsetsMode, ...args: string[]): Promise<{ job: OffloadJob; topic: string }> {
  const topic = await work.topics.create('verify', { partitions: 2 });
  const job = await work.job({ topic, mode });
  for (let run = 0; run < 3; run++) {
    await work.send(topic, 200, [0, 1]);
    await job.report(...args.map((arg) => arg.replace('OUT', job.out)));
  }
  return { job, topic };
}

const range = (topic: string, partition: number, startOffset: number, endOffset: number) => {
  return { topic, partition, startOffset, endOffset };
};

test('three Append runs and one that did not commit: rows and messages are compared, each damage is found', async () => {
  const { job, topic } = await threeRuns('STREAM');
  await job.report('--no-commit', '--starting-offsets', 'earliest', '--ending-offsets', '{"0": 50, "1": 60}');
  const clean = await verifyAll(job, job.out, '--deep');
  expect(clean).toMatchObject({ findings: [], remarks: [] });
  expect(clean.configs).toMatchObject([
    { runs: 4, uncommittedRuns: 1, rows: 710, comparedRows: 710, comparedMessages: 600 },
  ]);
  expect(clean.configs[0]?.ranges).toEqual([range(topic, 0, 0, 300), range(topic, 1, 0, 300)]);

  const [file = ''] = await job.dataFiles();
  const copy = await copyOf(job.out, join(job.folder, 'copy'));
  await appendFile(join(copy, file), 'x');
  expect(kindsOf(await look(copy))).toEqual(['damaged-file']);
  await unlink(join(copy, file));
  const { stdout, code } = await runCommand(['verify', '--path', copy], { cwd: job.folder });
  expect(code).toBe(3);
  expect(stdout).toMatch(/^missing file: .*\.parquet is gone, of run .*, with its rows \(\d+, offsets 0 to /m);
  expect(stdout).toContain(`${copy} is not complete: 1 finding`);
});

test('three Append runs to one file of JSON, then one that somebody changed', async () => {
  const topic = await work.topics.create('verify-file');
  const job = await work.job({ topic, mode: 'FILE' });
  const file = join(job.folder, 'orders.json');
  for (let run = 0; run < 3; run++) {
    await work.send(topic, 100);
    await job.report('--write-path', file, '--write-coalesce', '1', '--write-format', 'json');
  }
  const clean = await verifyAll(job, file, '--deep');
  expect(clean).toMatchObject({ findings: [], remarks: [] });
  expect(clean.configs).toMatchObject([{ runs: 3, files: 1, rows: 300, comparedRows: 300, comparedMessages: 300 }]);
  await appendFile(file, '{}\n');
  expect(kindsOf(await verifyAll(job, file))).toEqual(['damaged-file']);
});

test('three Overwrite runs to folders by partition, in CSV: the last one counts', async () => {
  const { job, topic } = await threeRuns(
    'FILE',
    ...['--write-mode', 'Overwrite', '--write-partition-by', 'partition', '--write-format', 'csv'],
  );
  const clean = await verifyAll(job, job.out, '--deep');
  expect(clean).toMatchObject({ findings: [], remarks: [] });
  expect(clean.configs).toMatchObject([{ runs: 1, files: 2, rows: 200, comparedRows: 200 }]);
  expect(clean.configs[0]?.ranges).toEqual([range(topic, 0, 200, 300), range(topic, 1, 200, 300)]);
});

test('messages that the topic holds and no file has are named; those that are deleted are not missed', async () => {
  const topic = await work.topics.create('verify-topic');
  await work.send(topic, 100);
  await work.topics.deleteBefore(topic, 0, 10);
  const counts = new OffsetCounts();
  for (let offset = 12; offset < 100; offset++) if (offset !== 40) counts.add(offset);
  const { connection, fetch } = kafkaSettings(bootstrapServers);
  const cluster = new Cluster(connection);
  try {
    const bad = new Map<string, number>();
    const compare = (ids: Readonly<Record<string, string>>) =>
      compareWithTopic(
        ...(['orders', cluster, fetch, { ranges: [range(topic, 0, 0, 100)], bad }] as const),
        ...([new Map([[`${topic}/0`, counts]]), ids] as const),
      );
    const { findings, messages } = await compare({});
    expect(messages).toBe(90);
    expect(findings.map((finding) => finding.range)).toEqual([range(topic, 0, 10, 12), range(topic, 0, 40, 41)]);
    // Two offsets that start from 10, and 40: as many as were left out as bad.
    bad.set(`${topic}/0`, 3);
    expect((await compare({})).findings).toEqual([]);
    bad.set(`${topic}/0`, 2);
    expect((await compare({})).findings).toHaveLength(2);
    const remade = await compare({ [topic]: 'another' });
    expect(remade).toMatchObject({ findings: [], messages: 0, remarks: [expect.stringContaining('was made again')] });
  } finally {
    cluster.close();
  }
});

describe.each(OFFSETS_MODES)('a crash, offsets in mode %s', (mode) => {
  class Crash extends Error {}

  function options(base: string): LoadOptions {
    if (mode === 'FILE') return optionsIn(base);
    return optionsIn(base, { stream: { bootstrapServers, topic: work.topics.reserve('offsets'), partitions: 1 } });
  }

  function lookWithSaved(own: LoadOptions): Promise<VerifyReport> {
    const saved = {
      config: 'orders',
      selection: { kind: 'topics', topics: [TOPIC] } as const,
      kafka: kafkaSettings(bootstrapServers),
      offsets: offsetsSettings(own),
    };
    const about = { deep: false, report: 'json', verbose: false, notes: [] } as const;
    return verify({ ...about, path: targetOf(own), saved }, new AbortController().signal);
  }

  test.each(['prepare.after', 'publish.allLinked', 'publish.manifestWritten'])(
    'at %s is told as a run to be finished, and is clean once it is',
    async (at) => {
      const own = options(join(work.path, `${mode}-${at}`));
      await load({ ...own, highWatermark: 2 });
      const onStep = (name: string): void => {
        if (name === at) throw new Crash(name);
      };
      await expect(load({ ...own, highWatermark: 4 }, { onStep })).rejects.toThrow(Crash);
      const before = await lookWithSaved(own);
      expect(before.findings).toEqual([]);
      expect(before.remarks.join()).toContain('is prepared and not committed');
      await load({ ...own, highWatermark: 6 });
      expect(await lookWithSaved(own)).toMatchObject({ findings: [], remarks: [] });
    },
  );

  test('and a last manifest that is missing shows by the saved offsets', async () => {
    const own = options(join(work.path, `${mode}-last`));
    await load({ ...own, highWatermark: 2 });
    const [first = ''] = await manifestsIn(targetOf(own));
    await load({ ...own, highWatermark: 4 });
    const [last = ''] = (await manifestsIn(targetOf(own))).filter((path) => path !== first);
    await unlink(last);
    const report = await lookWithSaved(own);
    expect(kindsOf(report)).toEqual(['hole', 'missing-manifest', 'unnamed-file']);
    expect(report.findings.map(({ range: lost }) => lost)).toContainEqual(range(TOPIC, 0, 2, 4));
    expect(await readdir(targetOf(own))).toHaveLength(5);
  });
});
