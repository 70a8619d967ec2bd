import { mkdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import rdkafka from 'node-rdkafka';
import { afterAll, afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { readSavedState } from '../../src/commit/session.ts';
import type { RunSession } from '../../src/commit/types.ts';
import { TestTopics } from '../helpers/topics.ts';
import { sorted } from '../helpers/workspace.ts';
import {
  CONFIG,
  closeSession,
  crashPreparedOfTwoTopics,
  expectedRows,
  type LoadOptions,
  load,
  makeBase,
  offsetsSettings,
  openSession,
  stage,
  stagedRuns,
  TOPIC,
  topicReader,
  visibleRows,
} from '../unit/commit/harness.ts';

const bootstrapServers = inject('bootstrapServers');
const topics = new TestTopics(bootstrapServers);
const { reader, close } = topicReader(bootstrapServers);
const sessions: RunSession[] = [];
const producers: rdkafka.Producer[] = [];
let options: LoadOptions;
let offsetsTopic: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  const made = await makeBase();
  remove = made.remove;
  offsetsTopic = topics.reserve('commit-offsets');
  options = {
    base: made.base,
    target: 'folder',
    writeMode: 'Append',
    highWatermark: 5,
    heartbeatMs: 200,
    takeOverAfterMs: 1_000,
    stream: { bootstrapServers, topic: offsetsTopic, partitions: 1 },
  };
});

afterEach(async () => {
  for (const session of sessions.splice(0)) await closeSession(session);
  for (const producer of producers.splice(0)) await call((done) => producer.disconnect(1_000, done));
  await remove();
});

afterAll(async () => {
  close();
  await topics.cleanUp();
});

async function open(hooks: Parameters<typeof openSession>[1] = {}): Promise<RunSession> {
  const session = await openSession(options, hooks);
  sessions.push(session);
  return session;
}

/** Last committed value by key. */
async function valuesByKey(): Promise<Record<string, string | null>> {
  const records = (await reader(offsetsTopic, { waitForStableMs: 30_000 })) ?? [];
  return Object.fromEntries(records.map(({ key, value }) => [String(key), value?.toString() ?? null]));
}

function look() {
  return readSavedState({ config: CONFIG, topics: [TOPIC], offsets: offsetsSettings(options), reader });
}

function call<T>(start: (done: (error: unknown, result?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => start((error, result) => (error ? reject(error) : resolve(result as T))));
}

/** A producer as another config, or another tool, has it. */
async function transactionalProducer(transactionalId: string): Promise<rdkafka.Producer> {
  const producer = new rdkafka.Producer({
    'bootstrap.servers': bootstrapServers,
    'transactional.id': transactionalId,
    'transaction.timeout.ms': 10_000,
  });
  await call((done) => producer.connect({}, done));
  producers.push(producer);
  await call((done) => producer.initTransactions(20_000, done));
  return producer;
}

/** Writes one record and leaves its transaction open; returns when the broker has it. */
async function writeInOpenTransaction(producer: rdkafka.Producer, key: string, value: string): Promise<void> {
  await call((done) => producer.beginTransaction(done));
  producer.produce(offsetsTopic, 0, Buffer.from(value), key);
  await call((done) => producer.flush(10_000, done));
}

describe('one run after another', () => {
  test('a run of two topics is finished whole by one that reads one of them', async () => {
    await load({ ...options, highWatermark: 2 });
    await crashPreparedOfTwoTopics(options, 'clicks');
    expect(await load({ ...options, highWatermark: 5 })).toMatchObject({ outcome: 'ok', rows: 0, warnings: [] });
    expect(await valuesByKey()).toMatchObject({
      ...{ [`${CONFIG}/clicks/0`]: '3', [`${CONFIG}/${TOPIC}/0`]: '5', [`${CONFIG}/${TOPIC}/1`]: '5' },
      ...{ [`${CONFIG}/0`]: null, [`${CONFIG}/1`]: null },
    });
    expect(await load({ ...options, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 4 });
    expect(await valuesByKey()).toMatchObject({
      ...{ [`${CONFIG}/clicks/0`]: '3', [`${CONFIG}/${TOPIC}/0`]: null, [`${CONFIG}/${TOPIC}/1`]: null },
      ...{ [`${CONFIG}/0`]: '7', [`${CONFIG}/1`]: '7' },
    });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });

  test('a run that was told not to commit is finished like any other, and saves nothing', async () => {
    await load({ ...options, highWatermark: 2 });
    const onStep = (name: string): void => {
      if (name === 'prepare.after') throw new Error('crash');
    };
    await expect(load({ ...options, commit: false }, { onStep })).rejects.toThrow('crash');
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 6, warnings: [] });
    expect(await visibleRows(options)).toEqual(sorted([...expectedRows(0, 5), ...expectedRows(2, 5)]));
    expect(await valuesByKey()).toMatchObject({ [`${CONFIG}/0`]: '5', [`${CONFIG}/1`]: '5' });
  });

  test('the first run creates the topic and saves decimal text; later runs take only what is new', async () => {
    expect(await look()).toEqual({ offsets: [], others: [], topicIds: {}, previousRun: null });
    expect(await reader(offsetsTopic, { waitForStableMs: 0 })).toBeNull();
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 10 });
    expect(await valuesByKey()).toMatchObject({
      [`${CONFIG}/0`]: '5',
      [`${CONFIG}/1`]: '5',
      [`_kafkaload.run/${CONFIG}`]: null,
      [`_kafkaload.intent/${CONFIG}`]: null,
    });
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 0 });
    expect(await load({ ...options, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 4 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
    expect(await stagedRuns(options)).toEqual([]);
    expect((await look()).topicIds).toEqual({ [TOPIC]: 'topic-id-1' });
  });

  test('works over an offsets topic of several partitions', async () => {
    const several = { ...options, stream: { bootstrapServers, topic: offsetsTopic, partitions: 3 } };
    await load(several);
    await load({ ...several, highWatermark: 7 });
    expect(await visibleRows(several)).toEqual(expectedRows(0, 7));
    const records = (await reader(offsetsTopic, { waitForStableMs: 30_000 })) ?? [];
    expect(new Set(records.map(({ partition }) => partition)).size).toBeGreaterThan(1);
  });

  test('the next run forgets nothing when the topic is given more partitions', async () => {
    await load(options);
    await expect(load({ ...options, highWatermark: 7 }, { onStep: crashAt('prepare.after') })).rejects.toThrow('crash');
    await topics.addPartitions(offsetsTopic, 4);
    expect(await load({ ...options, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 0 });
    expect(await load({ ...options, highWatermark: 8 })).toMatchObject({ outcome: 'ok', rows: 2, recovered: [] });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 8));
    // Each partition alone must forget the intent: compaction may drop a tombstone before it drops the old value.
    const records = (await reader(offsetsTopic, { waitForStableMs: 30_000 })) ?? [];
    const intents = records.filter(({ key }) => String(key) === `_kafkaload.intent/${CONFIG}`);
    const last = new Map(intents.map(({ partition, value }) => [partition, value]));
    expect([...last.values()]).toEqual([...last.keys()].map(() => null));
  });

  test('an offset that is no number is refused with topic, key and text', async () => {
    await load(options);
    const producer = await transactionalProducer('by-hand');
    await writeInOpenTransaction(producer, `${CONFIG}/1`, 'five');
    await call((done) => producer.commitTransaction(10_000, done));
    const result = await load(options);
    expect(result.outcome).toBe('SAVED_OFFSETS_INVALID');
    expect(result.message).toContain(`topic ${offsetsTopic}, key ${CONFIG}/1: "five" is not a number`);
    expect(await stagedRuns(options)).toEqual([]);
  });
});

test('an empty staging folder that nothing names goes after an hour; one with a file stays', async () => {
  const first = await open();
  const place = dirname(first.stagingPath);
  await closeSession(first);
  const names = ['20260101T000000Z-00000000', '20260101T000000Z-11111111', '20260101T000000Z-22222222'];
  for (const name of names) await mkdir(join(place, name));
  await writeFile(join(place, names[1] ?? '', 'part'), '');
  const hoursAgo = Date.now() / 1000 - 7_200;
  for (const name of names.slice(0, 2)) await utimes(join(place, name), hoursAgo, hoursAgo);
  await load(options);
  expect(await stagedRuns(options)).toEqual(names.slice(1));
});

describe('two runs at a time', () => {
  test('a second run started during a live one ends, naming host and process, and the first finishes', async () => {
    const first = await open();
    const intent = await stage(first, options);
    expect((await look()).aliveRun).toMatchObject({ run: first.run, pid: process.pid });
    const second = await load(options);
    expect(second.outcome).toBe('RUN_ALIVE');
    expect(second.message).toContain(`host ${hostname()} (pid ${process.pid})`);
    if (intent) await first.finish(intent);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    expect(await stagedRuns(options)).toEqual([]);
  });

  test('of two started together the later wins, the other is fenced, and no row comes twice', async () => {
    await load({ ...options, highWatermark: 1 });
    const results = await Promise.all([load(options), load(options)]);
    for (const { outcome } of results) expect(['ok', 'FENCED', 'RUN_ALIVE']).toContain(outcome);
    await load(options);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    await load(options);
    expect(await stagedRuns(options)).toEqual([]);
  });

  test('a run that slept learns it at its next heartbeat, and cannot prepare', async () => {
    const sleeper = await open();
    const intent = await stage(sleeper, options);
    const winner = await open({ takeOver: true });
    await expect.poll(() => sleeper.signal.aborted, { timeout: 10_000 }).toBe(true);
    expect(sleeper.signal.reason).toMatchObject({ code: 'FENCED' });
    if (intent) await expect(sleeper.finish(intent)).rejects.toMatchObject({ code: 'FENCED' });
    const other = await stage(winner, options);
    if (other) await winner.finish(other);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    await closeSession(sleeper);
    await load(options);
    expect(await stagedRuns(options)).toEqual([]);
  });

  test('fenced between prepare and commit: the other run finishes the work, and it is said', async () => {
    let winner: RunSession | null = null;
    const slow = await load(
      { ...options, heartbeatMs: 60_000 },
      {
        onStep: async (name) => {
          if (name === 'commit.begun' && !winner) winner = await open({ takeOver: true });
        },
      },
    );
    expect(slow).toMatchObject({ outcome: 'FENCED', message: expect.stringContaining('its offsets are saved by now') });
    expect((winner as RunSession | null)?.recovered).toHaveLength(1);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
  });
});

describe('recovery', () => {
  test('needs the staging folder of the run that prepared', async () => {
    await expect(load(options, { onStep: crashAt('prepare.after') })).rejects.toThrow('crash');
    const { pendingIntent } = await look();
    expect(pendingIntent?.next.map(({ offset }) => offset)).toEqual([5, 5]);
    const elsewhere = { ...options, highWatermark: 9 };
    const intentFile = join(pendingIntent?.stagingPath ?? '', 'intent.json');
    expect(JSON.parse(await readFile(intentFile, 'utf8'))).toMatchObject({ run: pendingIntent?.run });
    await rename(pendingIntent?.stagingPath ?? '', `${pendingIntent?.stagingPath}-away`);
    const blocked = await load(elsewhere);
    expect(blocked.outcome).toBe('RECOVERY_BLOCKED');
    expect(blocked.message).toContain(pendingIntent?.stagingPath);
    expect(Object.keys(await valuesByKey())).not.toContain(`${CONFIG}/0`);
    await rename(`${pendingIntent?.stagingPath}-away`, pendingIntent?.stagingPath ?? '');
    expect(await load(elsewhere)).toMatchObject({ outcome: 'ok', recovered: [pendingIntent?.run], rows: 8 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 9));
    expect(await stagedRuns(options)).toEqual([]);
  });

  test('keeps an offset that was set by hand', async () => {
    await load(options);
    await expect(load({ ...options, highWatermark: 7 }, { onStep: crashAt('prepare.after') })).rejects.toThrow('crash');
    const producer = await transactionalProducer('by-hand');
    await writeInOpenTransaction(producer, `${CONFIG}/0`, '2');
    await call((done) => producer.commitTransaction(10_000, done));
    const session = await open();
    expect(session.saved.offsets.map(({ offset }) => offset)).toEqual([2, 7]);
    expect(session.recovered[0]?.warnings).toEqual([expect.stringContaining('orders/0 is 2, neither 5 nor 7')]);
  });
});

describe("another config's open transaction in the offsets topic", () => {
  test('is waited for: what was committed above it is read, not missed', async () => {
    await load({ ...options, highWatermark: 1 });
    const other = await transactionalProducer('kafkaload/other');
    const session = await open();
    const intent = await stage(session, options);
    await writeInOpenTransaction(other, 'other/0', '100');
    if (intent) await session.finish(intent);
    const next = load({ ...options, highWatermark: 7 });
    const waited = await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 1_500, 'waiting'))]);
    expect(waited).toBe('waiting');
    await call((done) => other.abortTransaction(10_000, done));
    expect(await next).toMatchObject({ outcome: 'ok', rows: 4 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });

  test('of a producer that died ends by its time-out, and the run goes on', async () => {
    await load({ ...options, highWatermark: 1 });
    const other = await transactionalProducer('kafkaload/other');
    await writeInOpenTransaction(other, 'other/0', '100');
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 8 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
  });
});

describe('saved offsets changed by a person, and ranges given back', () => {
  const saved = [{ topic: TOPIC, partition: 0, offset: 2 }];

  /** Lets an act crash at its n-th step, then looks what is left; ends with an act that met no crash. */
  async function crashAtEachStep(
    act: (onStep: (name: string) => void) => Promise<void>,
    judge: (steps: readonly string[]) => Promise<void>,
  ): Promise<void> {
    for (let count = 1; ; count++) {
      options = { ...options, base: join(options.base, 'next') };
      await mkdir(options.base);
      if (options.stream) options = { ...options, stream: { ...options.stream, topic: topics.reserve('by-hand') } };
      offsetsTopic = offsetsSettings(options).name;
      await load(options);
      const steps: string[] = [];
      const onStep = (name: string): void => {
        steps.push(name);
        if (steps.length === count) throw new Error('crash');
      };
      const isWhole = await act(onStep).then(
        () => true,
        (error: Error) => {
          expect(error.message).toBe('crash');
          return false;
        },
      );
      await judge(steps);
      if (isWhole) return;
    }
  }

  test('are as before or as after, whatever step a crash comes at', async () => {
    await crashAtEachStep(
      async (onStep) => {
        const session = await open({ onStep, command: { discard: false } });
        try {
          await session.replaceSaved(saved, { [TOPIC]: 'topic-id-2' });
        } finally {
          await session.close();
        }
      },
      async (steps) => {
        const isDone = steps.includes('commit.committed');
        const { offsets, topicIds, previousRun } = await look();
        expect(offsets.map(({ offset }) => offset)).toEqual(isDone ? [2] : [5, 5]);
        expect(topicIds).toEqual({ [TOPIC]: isDone ? 'topic-id-2' : 'topic-id-1' });
        expect(previousRun).not.toBeNull();
        const values = await valuesByKey();
        expect([values[`${CONFIG}/0`], values[`${CONFIG}/1`]]).toEqual(isDone ? ['2', null] : ['5', '5']);
        expect(await load(options)).toMatchObject({ outcome: 'ok', rows: isDone ? 8 : 0 });
      },
    );
  });

  test('are read again or published, exactly once in the end, whatever step a crash comes at', async () => {
    const whole: string[] = [];
    await crashAtEachStep(
      async (onStep) => {
        const more = { ...options, highWatermark: 7 };
        await expect(load(more, { onStep: crashAt('prepare.after') })).rejects.toThrow('crash');
        await (await open({ onStep, command: { discard: true } })).close();
      },
      async (steps) => {
        whole.splice(0, whole.length, ...steps);
        const what = steps.at(-1);
        expect(await load({ ...options, highWatermark: 8 }), what).toMatchObject({ outcome: 'ok', warnings: [] });
        expect(await visibleRows(options), what).toEqual(expectedRows(0, 8));
        expect(await stagedRuns(options), what).toEqual([]);
      },
    );
    expect(whole).toContain('discard.stagingRemoved');
  });
});

function crashAt(step: string): (name: string) => void {
  return (name) => {
    if (name === step) throw new Error('crash');
  };
}
