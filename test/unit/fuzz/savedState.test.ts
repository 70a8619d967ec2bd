import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { OffsetsFolder } from '../../../src/commit/fileState.ts';
import { formatIntentRecord, type IntentRecord, loadIntent, parseIntentRecord } from '../../../src/commit/intent.ts';
import { parseStateName } from '../../../src/commit/names.ts';
import { parseOwner } from '../../../src/commit/owner.ts';
import { mergeOffsets, parseOffsetsFile } from '../../../src/commit/savedOffsets.ts';
import { keysToForget, type TopicRecord } from '../../../src/commit/streamRecords.ts';
import { readStreamState } from '../../../src/commit/streamState.ts';
import { parseFileProgress } from '../../../src/coordinator/load/fileProgress.ts';
import { formatPartitionProgress, partitionKey, resumedOffsets } from '../../../src/coordinator/load/topicProgress.ts';
import { nodeFileSystem } from '../../../src/io.ts';
import { listPublishedFiles } from '../../../src/sinks/manifest.ts';
import { HANG_MS, hostile, hostileJson, outcomeOf, runs } from './hostile.ts';

const RUN = '20261122T173012Z-1a2b3c4d';
const folder = await mkdtemp(join(tmpdir(), 'kafkaload-fuzz-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const STAGING = join(folder, 'out', '_kafkaload', 'staging', 'x.y.orders', RUN);
const OWNER = { run: RUN, host: 'h', hostInstance: 'b/p', pid: 12, processStart: '99', stagingPath: STAGING };
const INTENT_RECORD = {
  version: 1,
  config: 'orders',
  run: RUN,
  host: 'h',
  stagingPath: STAGING,
  intentBytes: 10,
  intentCrc32c: 11,
  manifestCrc32c: 12,
  topics: ['orders', 'clicks'],
  plainTopic: null,
  topicIds: { orders: 'u-u-i-d' },
  exactFile: {
    path: '/out/a.parquet',
    stagedPath: `${STAGING}/a.parquet`,
    old: { bytes: 1, crc32c: 2 },
    next: { bytes: 3, crc32c: 4 },
  },
  change: null,
  offsets: { orders: [[0, null, 5]], clicks: [[1, 7, 9]] },
};
const CHANGE_RECORD = {
  ...INTENT_RECORD,
  stagingPath: '',
  exactFile: null,
  change: { previousRun: { run: RUN, manifestCrc32c: 5 } },
  offsets: { orders: [[0, 5, null]] },
};

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isState = (value: unknown): boolean => {
  const { bytes, crc32c: checksum } = (value ?? {}) as { bytes?: unknown; crc32c?: unknown };
  return isCount(bytes) && isCount(checksum);
};

/** Every field is of the type that its interface says, all the way down. */
function expectWhole(record: IntentRecord): void {
  const { previous, next, topics, plainTopic, topicIds, exactFile, change } = record;
  for (const name of ['config', 'run', 'host', 'stagingPath'] as const) expect(typeof record[name]).toBe('string');
  for (const name of ['intentBytes', 'intentCrc32c', 'manifestCrc32c'] as const) {
    expect(isCount(record[name])).toBe(true);
  }
  expect(topics.every((topic) => typeof topic === 'string')).toBe(true);
  expect(plainTopic === null || typeof plainTopic === 'string').toBe(true);
  expect(Object.values(topicIds).every((id) => typeof id === 'string')).toBe(true);
  expect(previous.length).toBe(next.length);
  for (const { topic, partition, offset } of [...previous, ...next]) {
    expect([typeof topic, isCount(partition), offset === null || isCount(offset)]).toEqual(['string', true, true]);
  }
  if (exactFile !== null) {
    const { path, stagedPath, old } = exactFile;
    expect([typeof path, typeof stagedPath]).toEqual(['string', 'string']);
    expect([old === null || isState(old), isState(exactFile.next)]).toEqual([true, true]);
  }
  const previousRun = change?.previousRun ?? null;
  if (previousRun !== null) {
    expect([typeof previousRun.run, isCount(previousRun.manifestCrc32c)]).toEqual(['string', true]);
  }
}

test(
  'an intent record is whole or none, and one that is comes back the same',
  () => {
    fc.assert(
      fc.property(hostileJson(INTENT_RECORD, CHANGE_RECORD), (text) => {
        const record = parseIntentRecord(text);
        if (record === null) return;
        expectWhole(record);
        expect(parseIntentRecord(formatIntentRecord(record))).toEqual(record);
        mergeOffsets(new Map(), record);
      }),
      runs(1_500),
    );
    expect(parseIntentRecord(JSON.stringify(INTENT_RECORD))).not.toBeNull();
    expect(parseIntentRecord(JSON.stringify(CHANGE_RECORD))).not.toBeNull();
  },
  HANG_MS,
);

test(
  'the intent in a staging folder is the one that was prepared, or a clear error',
  async () => {
    await mkdir(STAGING, { recursive: true });
    const whole = { version: 1, config: 'orders', run: RUN, stagingPath: STAGING, commit: true, files: [], next: [] };
    const valid = Buffer.from(JSON.stringify(whole));
    const parsed = parseIntentRecord(JSON.stringify(INTENT_RECORD)) as IntentRecord;
    await fc.assert(
      fc.asyncProperty(hostile(valid), fc.boolean(), async (bytes, isCounted) => {
        await writeFile(join(STAGING, 'intent.json'), bytes);
        // With the right checksum too: somebody may have written both.
        const of = isCounted ? bytes : valid;
        const record = { ...parsed, intentBytes: of.length, intentCrc32c: crc32c(of) };
        const outcome = await outcomeOf(() => loadIntent(nodeFileSystem, record));
        if (!isCounted && !bytes.equals(valid)) expect(outcome).toHaveProperty('error');
        if ('value' in outcome) expect(outcome.value).toMatchObject({ version: 1, run: RUN, config: 'orders' });
      }),
      runs(250),
    );
  },
  HANG_MS,
);

test(
  'the file of saved offsets gives offsets or one line that says where it is wrong',
  async () => {
    const use = { topics: ['orders', 'clicks'], plainTopic: null, before: null };
    const texts = ['- "orders,0,123"\n- "clicks,10,7"\n', '- "0,1"\n- \'1,2\'\n- 2,3\n', '["0,1", "1,2"]', '# c\n[]\n'];
    await fc.assert(
      fc.asyncProperty(hostile(...texts.map((text) => Buffer.from(text))), fc.boolean(), async (bytes, isPlain) => {
        const topics = isPlain ? { ...use, topics: ['orders'], plainTopic: 'orders' } : use;
        const outcome = await outcomeOf(() => parseOffsetsFile('/o/orders', bytes.toString('utf8'), topics));
        if ('error' in outcome) {
          expect(outcome.error).not.toContain('\n');
          return;
        }
        for (const { topic, partition, offset } of (outcome.value as Map<string, Record<string, unknown>>).values()) {
          expect([typeof topic, isCount(partition), isCount(offset)]).toEqual(['string', true, true]);
          expect(partition).toBeLessThan(2 ** 31);
        }
      }),
      runs(1_000),
    );
  },
  HANG_MS,
);

test.each([
  ['brackets', '['.repeat(20_000)],
  ['braces', '{a: '.repeat(20_000)],
  ['dashes', '- '.repeat(20_000)],
  ['aliases', `a: &a [x]\n${'b: [*a, *a, *a]\n'.repeat(2_000)}`],
  ['an entry of a megabyte', `- "${'9'.repeat(1_000_000)},1"`],
])('a file of saved offsets of nothing but %s ends in a clear error', async (_name, text) => {
  const use = { topics: ['orders'], plainTopic: 'orders', before: null };
  const outcome = await outcomeOf(() => parseOffsetsFile('/o/orders', text, use));
  expect(outcome).toHaveProperty('error', expect.stringMatching(/^.{1,400}$/));
});

test(
  'a topic of saved offsets that anybody may have written to gives a whole state or a clear error',
  async () => {
    const state = {
      version: 1,
      topics: ['orders'],
      plainTopic: 'orders',
      topicIds: { orders: 'id' },
      previousRun: { run: RUN, manifestCrc32c: 5 },
    };
    const value = fc.oneof(
      hostileJson({ version: 1, ...OWNER, takenOver: [{ run: RUN, stagingPath: STAGING }] }, INTENT_RECORD, state),
      fc.constantFrom('0', '12', '-1', '1e9', '', '99999999999999999', ' 7'),
    );
    const key = fc.oneof(
      fc.constantFrom(
        'orders/0',
        'orders/1',
        'orders/clicks/0',
        'orders/',
        'orders//',
        'orders/-1',
        'orders/2147483648',
      ),
      fc.constantFrom('_kafkaload.run/orders', '_kafkaload.intent/orders', '_kafkaload.state/orders'),
      hostile(Buffer.from('orders/0')).map(String),
    );
    const record = fc.record({
      partition: fc.nat(2),
      offset: fc.nat(9),
      timestampMs: fc.nat(9),
      key: fc.option(key.map((text) => Buffer.from(text))),
      value: fc.option(value.map((text) => Buffer.from(text))),
    });
    const use = { topic: 'offsets', config: 'orders', topics: ['orders'], plainTopic: 'orders', waitForStableMs: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 8 }), async (records: TopicRecord[]) => {
        const outcome = await outcomeOf(() => readStreamState(async () => records, use));
        if ('error' in outcome) return;
        const found = outcome.value as Awaited<ReturnType<typeof readStreamState>>;
        for (const { topic, partition, offset } of found.offsets.values()) {
          expect([typeof topic, isCount(partition), isCount(offset)]).toEqual(['string', true, true]);
          expect(partition).toBeLessThan(2 ** 31);
        }
        if (found.intent !== null) expectWhole(found.intent);
        const { previousRun, topicIds } = found.state;
        expect(Object.values(topicIds).every((id) => typeof id === 'string')).toBe(true);
        if (previousRun !== null) {
          expect([typeof previousRun.run, isCount(previousRun.manifestCrc32c)]).toEqual(['string', true]);
        }
        for (const left of found.run?.takenOver ?? []) expect(typeof left.stagingPath).toBe('string');
        keysToForget(found, 'orders', found.offsets, use);
      }),
      runs(1_000),
    );
  },
  HANG_MS,
);

test(
  'files of state beside the saved offsets, under any name and with any content, are owners and records or nothing',
  async () => {
    const path = join(folder, 'offsets');
    const lines = `${JSON.stringify(OWNER)}\n${JSON.stringify(INTENT_RECORD)}\n`;
    const name = { kind: 'intent', number: 3, run: RUN } as const;
    const offsets = new OffsetsFolder(nodeFileSystem, path, 'orders');
    await mkdir(path);
    await fc.assert(
      fc.asyncProperty(
        hostile(Buffer.from(lines)),
        hostile(Buffer.from(`.orders.intent.3.${RUN}`)).map(String),
        async (bytes, fileName) => {
          await writeFile(offsets.pathOf(name), bytes);
          const owner = await offsets.readOwner(name);
          if (owner !== null) expect(parseOwner(JSON.parse(JSON.stringify(owner)))).toEqual(owner);
          const record = await offsets.readIntent(name);
          if (record !== null && record !== 'absent') expectWhole(record);
          const parsed = parseStateName('orders', fileName);
          if (parsed !== null) expect(isCount(parsed.number)).toBe(true);
        },
      ),
      runs(250),
    );
  },
  HANG_MS,
);

test(
  'records of progress give positions or one line that names the key',
  async () => {
    const file = ['/in/a', 10, 1, null];
    const files = {
      version: 1,
      state: 'running',
      run: RUN,
      owner: OWNER,
      files: [file, file],
      position: { file: 1, row: 7 },
      rows: 17,
      startedAtMs: 5,
      endedAtMs: null,
    };
    const owner = { config: 'orders', target: 'copy' };
    const place = { topic: 't', partition: 3 };
    const saved = { offsets: [{ ...place, offset: 100 }], others: [], topicIds: {}, previousRun: null };
    const progress = formatPartitionProgress({ next: 120, base: 100, since: null, topicId: null, run: RUN });
    await fc.assert(
      fc.asyncProperty(hostileJson(files), hostileJson(JSON.parse(progress)), async (one, other) => {
        const loaded = await outcomeOf(() => parseFileProgress('key', one));
        if ('value' in loaded) {
          const {
            files: listed,
            position,
            rows,
            startedAtMs,
            endedAtMs,
          } = loaded.value as ReturnType<typeof parseFileProgress>;
          for (const { path, bytes, crc32c: checksum, loadedBy } of listed) {
            expect([typeof path, isCount(bytes), isCount(checksum)]).toEqual(['string', true, true]);
            expect(loadedBy === null || typeof loadedBy === 'string').toBe(true);
          }
          expect([position.file, position.row, rows, startedAtMs, endedAtMs ?? 0].every(isCount)).toBe(true);
          expect(position.file).toBeLessThanOrEqual(listed.length);
        }
        const records = new Map([[partitionKey(owner, place), { value: other, mark: '0/1' }]]);
        const resumed = await outcomeOf(() => resumedOffsets(owner, saved, {}, records));
        if ('value' in resumed) {
          for (const { offset } of (resumed.value as ReturnType<typeof resumedOffsets>).values()) {
            expect(isCount(offset)).toBe(true);
          }
        }
      }),
      runs(1_000),
    );
  },
  HANG_MS,
);

test(
  'manifests name files below their folder, or are refused by path',
  async () => {
    const root = join(folder, 'target');
    const path = join(root, '_kafkaload', 'manifests', 'orders');
    await mkdir(path, { recursive: true });
    const manifest = {
      version: 1,
      config: 'orders',
      run: RUN,
      previousRun: null,
      files: [{ path: 'part-1.parquet', rows: 1, bytes: 2, crc32c: 3, ranges: [] }],
      replaced: ['part-0.parquet'],
      ranges: [],
      gaps: [],
    };
    await fc.assert(
      fc.asyncProperty(hostileJson(manifest), async (text) => {
        await writeFile(join(path, `${RUN}.json`), text);
        const outcome = await outcomeOf(() => listPublishedFiles(nodeFileSystem, root));
        if ('error' in outcome) {
          expect(outcome.error).toContain(path);
          return;
        }
        for (const file of (outcome.value as Map<string, string>).keys())
          expect(file.startsWith(`${root}/`)).toBe(true);
      }),
      runs(250),
    );
  },
  HANG_MS,
);
