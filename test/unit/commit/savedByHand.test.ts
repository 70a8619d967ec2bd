import { readdir, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SavedOffset } from '../../../src/commit/savedOffsets.ts';
import { readSavedState } from '../../../src/commit/session.ts';
import type { Intent, RunSession } from '../../../src/commit/types.ts';
import {
  CONFIG,
  expectedRows,
  folders,
  type LoadOptions,
  load,
  makeBase,
  offsetsSettings,
  openSession,
  type SessionHooks,
  savedText,
  stage,
  stagedRuns,
  stateKinds,
  TOPIC,
  visibleRows,
} from './harness.ts';

/** What `kafkaload offsets` asks of the commit, in FILE mode: other saved offsets, and a prepared run given back. */
let options: LoadOptions;
let remove: () => Promise<void>;
const sessions: RunSession[] = [];
const sleepers: Promise<unknown>[] = [];

beforeEach(async () => {
  const made = await makeBase();
  remove = made.remove;
  options = {
    base: made.base,
    target: 'folder',
    writeMode: 'Append',
    highWatermark: 5,
    heartbeatMs: 40,
    takeOverAfterMs: 160,
  };
});

afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
  await remove();
});

class Crash extends Error {}

/** Ends a run at its n-th step, or at the first of a name. */
function crashAt(step: number | string): { onStep: (name: string) => void; steps: string[] } {
  const steps: string[] = [];
  const onStep = (name: string): void => {
    steps.push(name);
    if (step === steps.length || step === name) throw new Crash(name);
  };
  return { onStep, steps };
}

async function open(hooks: SessionHooks = {}, discard = false): Promise<RunSession> {
  const session = await openSession(options, { ...hooks, command: { discard } });
  sessions.push(session);
  return session;
}

async function set(offsets: readonly (readonly [number, number])[], hooks: SessionHooks = {}): Promise<void> {
  const saved = offsets.map(([partition, offset]): SavedOffset => ({ topic: TOPIC, partition, offset }));
  const session = await open(hooks);
  try {
    await session.replaceSaved(saved, saved.length > 0 ? { [TOPIC]: 'topic-id-2' } : {});
  } finally {
    await session.close();
  }
}

/** Gives back what is prepared; returns the runs. */
async function discard(hooks: SessionHooks = {}): Promise<string[]> {
  const session = await open(hooks, true);
  await session.close();
  return session.discarded.map(({ run }) => run);
}

function look() {
  return readSavedState({ config: CONFIG, topics: [TOPIC], offsets: offsetsSettings(options) });
}

/** A run up to 5 that ended, and one up to 7 that did not. */
async function crashed(step: string): Promise<void> {
  await load(options);
  options = { ...options, highWatermark: 7 };
  await expect(load(options, { onStep: crashAt(step).onStep })).rejects.toBeInstanceOf(Crash);
}

async function publishedFiles(): Promise<string[]> {
  const { root } = folders(options.base);
  return (await readdir(root)).filter((name) => name.startsWith('part-')).map((name) => join(root, name));
}

describe('saved offsets', () => {
  test('are replaced with the topic id, and the last manifest stays the last', async () => {
    await load(options);
    const before = await look();
    await set([
      [0, 3],
      [1, 5],
    ]);
    expect(await savedText(options)).toBe('- "0,3"\n- "1,5"\n');
    expect(await look()).toEqual({
      offsets: [
        { topic: TOPIC, partition: 0, offset: 3 },
        { topic: TOPIC, partition: 1, offset: 5 },
      ],
      others: [],
      topicIds: { [TOPIC]: 'topic-id-2' },
      previousRun: before.previousRun,
    });
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 2, warnings: [] });
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 0 });
    expect(await stateKinds(options)).toEqual(['done']);
  });

  test('are forgotten with the topic ids, and a later run does not find them again', async () => {
    await load(options);
    await set([]);
    expect(await savedText(options)).toBe('[]\n');
    expect(await look()).toMatchObject({ offsets: [], topicIds: {}, previousRun: { run: expect.any(String) } });
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 10 });
  });

  test('are set where nothing was saved, without a staging folder', async () => {
    await set([[1, 4]]);
    expect(await savedText(options)).toBe('- "1,4"\n');
    await expect(readdir(folders(options.base).root)).rejects.toThrow('ENOENT');
  });

  test('are not touched during a live run, which is named', async () => {
    await load(options);
    const live = await openSession(options);
    sessions.push(live);
    await expect(set([])).rejects.toMatchObject({
      code: 'RUN_ALIVE',
      message: expect.stringContaining(
        `run ${live.run} of config orders is at work on host ${hostname()} (pid ${process.pid})`,
      ),
    });
    expect(await savedText(options)).toBe('- "0,5"\n- "1,5"\n');
    expect(live.signal.aborted).toBe(false);
  });

  test('are set after a prepared run was finished', async () => {
    await crashed('prepare.after');
    await set([
      [0, 6],
      [1, 7],
    ]);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
    expect(await savedText(options)).toBe('- "0,6"\n- "1,7"\n');
    expect(await stagedRuns(options)).toEqual([]);
  });

  test('are as before or as after, whatever step a crash comes at', async () => {
    for (let step = 1; ; step++) {
      const base = join(options.base, String(step));
      options = { ...options, base };
      await load(options);
      const crash = crashAt(step);
      const ended = await set([[0, 1]], crash).then(
        () => true,
        (error) => {
          if (!(error instanceof Crash)) throw error;
          return false;
        },
      );
      const what = `step ${step}, ${crash.steps.at(-1)}`;
      const session = await open();
      const isPrepared = crash.steps.includes('prepare.renamed');
      expect(session.saved.topicIds, what).toEqual({ [TOPIC]: isPrepared ? 'topic-id-2' : 'topic-id-1' });
      await session.close();
      expect(await savedText(options), what).toBe(isPrepared ? '- "0,1"\n' : '- "0,5"\n- "1,5"\n');
      expect(await stateKinds(options), what).toEqual(['done']);
      options = { ...options, base: join(base, '..') };
      if (!ended) continue;
      expect(step).toBeGreaterThan(15);
      return;
    }
  });
});

describe.each(['folder', 'file'] as const)('a prepared run, target a %s', (target) => {
  beforeEach(() => {
    options = { ...options, target };
  });

  test('is given back: saved offsets stay, and the next run reads the same ranges, once', async () => {
    await crashed('prepare.after');
    const pending = (await look()).pendingIntent;
    expect(await discard()).toEqual([pending?.run]);
    expect(await savedText(options)).toBe('- "0,5"\n- "1,5"\n');
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    expect(await stagedRuns(options)).toEqual([]);
    expect(await stateKinds(options)).toEqual(['done']);
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: target === 'file' ? 14 : 4, recovered: [] });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });

  test('is given back or finished, exactly once in the end, whatever step a crash comes at', async () => {
    const { base } = options;
    for (let step = 1; ; step++) {
      options = { ...options, base: join(base, String(step)), highWatermark: 5 };
      await crashed('prepare.after');
      const crash = crashAt(step);
      const ended = await discard(crash).then(
        () => true,
        (error) => {
          if (!(error instanceof Crash)) throw error;
          return false;
        },
      );
      const what = `step ${step}, ${crash.steps.at(-1)}`;
      expect(await load({ ...options, highWatermark: 8 }), what).toMatchObject({ outcome: 'ok', warnings: [] });
      expect(await visibleRows(options), what).toEqual(expectedRows(0, 8));
      expect(await savedText(options), what).toBe('- "0,8"\n- "1,8"\n');
      await load({ ...options, highWatermark: 8 });
      expect(await stagedRuns(options), what).toEqual([]);
      expect(await stateKinds(options), what).toEqual(['done']);
      if (!ended) continue;
      expect(crash.steps).toContain('discard.stagingRemoved');
      return;
    }
  });

  test('is refused with the file that is published; finishing it still works', async () => {
    await crashed(target === 'file' ? 'publish.renamed' : 'publish.fileLinked');
    const run = (await look()).pendingIntent?.run;
    const file =
      target === 'file'
        ? folders(options.base).file
        : (await publishedFiles()).find((path) => path.includes(`-${run}`));
    await expect(discard()).rejects.toMatchObject({
      code: 'RECOVERY_BLOCKED',
      message:
        `cannot give back the ranges of run ${run} of config orders: ${file} is already published; nothing was changed; ` +
        'kafkaload offsets recover --config orders finishes it',
    });
    expect(await load(options)).toMatchObject({ outcome: 'ok', recovered: [run], rows: 0 });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });

  test('cannot publish any more when it was only asleep', async () => {
    await load(options);
    options = { ...options, highWatermark: 7 };
    let wake: () => void = () => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    let prepared: () => void = () => {};
    const isPrepared = new Promise<void>((resolve) => {
      prepared = resolve;
    });
    const sleeper = load(options, {
      onStep: (name) => {
        if (name !== 'publish.begun') return;
        prepared();
        return asleep;
      },
    });
    await isPrepared;
    expect(await discard({ takeOver: true })).toHaveLength(1);
    wake();
    expect(await sleeper).toMatchObject({ outcome: 'FENCED' });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    expect(await load(options)).toMatchObject({ outcome: 'ok' });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });
});

describe('a prepared run', () => {
  test('is given back when the published files were removed again', async () => {
    await crashed('publish.allLinked');
    const run = (await look()).pendingIntent?.run ?? '?';
    for (const path of await publishedFiles()) if (path.includes(run)) await unlink(path);
    expect(await discard()).toEqual([run]);
    await load(options);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });

  test('that is given back leaves no manifest: neither of files that were removed, nor of none', async () => {
    await crashed('publish.manifestWritten');
    const run = (await look()).pendingIntent?.run ?? '?';
    for (const path of await publishedFiles()) if (path.includes(run)) await unlink(path);
    const manifests = join(folders(options.base).root, '_kafkaload', 'manifests', CONFIG);
    expect(await readdir(manifests)).toContain(`${run}.json`);
    expect(await discard()).toEqual([run]);
    expect(await readdir(manifests)).not.toContain(`${run}.json`);
  });

  test('is refused when its offsets are saved, although a person has set one of them since', async () => {
    await load(options);
    options = { ...options, highWatermark: 7 };
    const session = await openSession(options, { onStep: crashAt('commit.saved').onStep });
    const intent = await stage(session, options);
    await expect(session.finish({ ...(intent as Intent), files: [] })).rejects.toBeInstanceOf(Crash);
    await session.close();
    await writeFile(join(folders(options.base).offsets, CONFIG), '- "0,1"\n- "1,7"\n');
    await expect(discard()).rejects.toMatchObject({
      code: 'RECOVERY_BLOCKED',
      message: expect.stringContaining('its offsets are saved already (orders/1: 7)'),
    });
    expect(await load(options)).toMatchObject({ outcome: 'ok', recovered: [session.run] });
    expect(await savedText(options)).toBe('- "0,7"\n- "1,7"\n');
  });

  test('that a session began to give back, and slept, is given back by whoever comes, never finished', async () => {
    await load(options);
    options = { ...options, highWatermark: 7 };
    const { onStep } = crashAt('publish.manifestWritten');
    const session = await openSession(options, { onStep });
    const intent = await stage(session, options);
    // A range without rows: nothing is visible but its manifest.
    await expect(session.finish({ ...(intent as Intent), files: [] })).rejects.toBeInstanceOf(Crash);
    await session.close();
    let wake: () => void = () => {};
    const asleep = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const looked = new Promise<void>((resolve) => {
      const giveBack = discard({
        onStep: (name) => {
          if (name !== 'discard.withdrawn') return;
          resolve();
          return asleep;
        },
      });
      sleepers.push(giveBack.catch((error) => error));
    });
    await looked;
    const other = await open({ takeOver: true });
    expect([other.recovered, other.discarded.map(({ run }) => run)]).toEqual([[], [session.run]]);
    wake();
    expect(await sleepers.pop()).toMatchObject({ code: 'FENCED' });
    const manifests = join(folders(options.base).root, '_kafkaload', 'manifests', CONFIG);
    expect(await readdir(manifests)).not.toContain(`${session.run}.json`);
  });

  test('is given back when its staging folder is lost', async () => {
    await crashed('prepare.after');
    await rm((await look()).pendingIntent?.stagingPath ?? '?', { recursive: true });
    const blocked = await load(options);
    expect(blocked.outcome).toBe('RECOVERY_BLOCKED');
    expect(blocked.message).toMatch(
      /, or give its ranges back to the next run: kafkaload offsets recover --discard --config orders$/,
    );
    expect(await discard()).toHaveLength(1);
    expect(await stateKinds(options)).toEqual(['done']);
    await load(options);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });

  test('is refused where its target folder is not: files of it may be visible elsewhere', async () => {
    await crashed('prepare.after');
    const run = (await look()).pendingIntent?.run;
    const { root } = folders(options.base);
    await rename(root, `${root}-away`);
    await expect(discard()).rejects.toMatchObject({
      code: 'RECOVERY_BLOCKED',
      message:
        `cannot give back the ranges of run ${run} of config orders: ${root} is not there, so it cannot be told whether ` +
        `files of it are published; nothing was changed; do this on host ${hostname()}; if that folder is lost for good, ` +
        'make an empty one here and do it again',
    });
    await rename(`${root}-away`, root);
    expect(await load(options)).toMatchObject({ outcome: 'ok', recovered: [run] });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });

  test('that another run was finishing when it died is given back too, and leaves nothing', async () => {
    await crashed('prepare.after');
    await expect(load(options, { onStep: crashAt('publish.begun').onStep })).rejects.toBeInstanceOf(Crash);
    expect(await discard()).toHaveLength(1);
    expect(await stagedRuns(options)).toEqual([]);
    expect(await stateKinds(options)).toEqual(['done']);
    await load(options);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });
});
