import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readSavedState } from '../../../src/commit/session.ts';
import type { RunSession } from '../../../src/commit/types.ts';
import {
  CONFIG,
  crashPreparedOfTwoTopics,
  expectedRows,
  folders,
  type LoadOptions,
  load,
  makeBase,
  offsetsSettings,
  openSession,
  savedText,
  stage,
  stagedRuns,
  stateKinds,
  TOPIC,
  visibleRows,
} from './harness.ts';

let options: LoadOptions;
let remove: () => Promise<void>;
const sessions: RunSession[] = [];

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

async function open(hooks: Parameters<typeof openSession>[1] = {}): Promise<RunSession> {
  const session = await openSession(options, hooks);
  sessions.push(session);
  return session;
}

/** Leaves a run as a crash of another host would: its files, and nobody who renews them. */
async function abandonOnOtherHost(kind: 'run' | 'intent'): Promise<void> {
  const folder = folders(options.base).offsets;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`.${CONFIG}.${kind}.`)) continue;
    const text = await readFile(join(folder, name), 'utf8');
    await writeFile(join(folder, name), text.replace(`"host":"${hostname()}"`, '"host":"elsewhere"'));
  }
}

class Crash extends Error {}

function crashAt(step: string): (name: string) => void {
  return (name) => {
    if (name === step) throw new Crash(step);
  };
}

describe('one run after another', () => {
  test('the first run publishes, saves offsets to the byte and leaves no staging', async () => {
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 10, recovered: [] });
    expect(await savedText(options)).toBe('- "0,5"\n- "1,5"\n');
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    expect(await stagedRuns(options)).toEqual([]);
    expect(await stateKinds(options)).toEqual(['done']);
  });

  test('a second run with nothing new changes nothing, and one with news takes only that', async () => {
    await load(options);
    expect(await load(options)).toMatchObject({ outcome: 'ok', rows: 0 });
    expect(await load({ ...options, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 4 });
    expect(await savedText(options)).toBe('- "0,7"\n- "1,7"\n');
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
    expect(await stagedRuns(options)).toEqual([]);
    // The record of the last commit replaces the one before it when the next run opens.
    expect(await stateKinds(options)).toEqual(['done', 'done']);
    await load({ ...options, highWatermark: 7 });
    expect(await stateKinds(options)).toEqual(['done']);
  });

  test('each manifest names the run before it and the checksum of its manifest', async () => {
    await load(options);
    await load({ ...options, highWatermark: 7 });
    const manifests = join(folders(options.base).root, '_kafkaload', 'manifests', CONFIG);
    const names = (await readdir(manifests)).sort();
    const texts = await Promise.all(names.map((name) => readFile(join(manifests, name), 'utf8')));
    const [first, second] = texts.map((text) => JSON.parse(text)).sort((a) => (a.previousRun ? 1 : -1));
    const state = await readSavedState({ config: CONFIG, topics: [TOPIC], offsets: offsetsSettings(options) });
    expect(first.previousRun).toBeNull();
    expect(second.previousRun.run).toBe(first.run);
    expect(state.previousRun?.run).toBe(second.run);
    expect(state.topicIds).toEqual({ [TOPIC]: 'topic-id-1' });
  });

  test('a run of two topics is finished whole by one that reads one of them', async () => {
    await load({ ...options, highWatermark: 2 });
    await crashPreparedOfTwoTopics(options, 'clicks');
    expect(await savedText(options)).toBe('- "0,2"\n- "1,2"\n');
    expect(await load({ ...options, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 4, warnings: [] });
    expect(await savedText(options)).toBe('- "clicks,0,3"\n- "0,7"\n- "1,7"\n');
    expect(await visibleRows(options)).toEqual(expectedRows(0, 7));
  });

  test('Overwrite leaves the new rows alone, in a folder and in an exact file', async () => {
    for (const target of ['folder', 'file'] as const) {
      const overwrite = { ...options, base: join(options.base, target), target, writeMode: 'Overwrite' as const };
      await load(overwrite);
      await load({ ...overwrite, target, writeMode: target === 'file' ? 'Append' : 'Overwrite', highWatermark: 7 });
      expect(await visibleRows(overwrite)).toEqual(target === 'file' ? expectedRows(0, 7) : expectedRows(5, 7));
    }
  });

  test('a run that is closed without finishing leaves no trace', async () => {
    const session = await open();
    expect(await readdir(session.stagingPath)).toEqual([]);
    await session.close();
    expect(await stateKinds(options)).toEqual([]);
    expect(await stagedRuns(options)).toEqual([]);
  });
});

describe('commands that only look', () => {
  test('find an empty state where nothing is, and create nothing', async () => {
    const state = await readSavedState({ config: CONFIG, topics: [TOPIC], offsets: offsetsSettings(options) });
    expect(state).toEqual({ offsets: [], others: [], topicIds: {}, previousRun: null });
    expect(await readdir(options.base)).toEqual([]);
  });

  test('see a run that is alive and an intent that is not finished', async () => {
    await load(options);
    const session = await open();
    const look = () => readSavedState({ config: CONFIG, topics: [TOPIC], offsets: offsetsSettings(options) });
    expect((await look()).aliveRun).toEqual({ run: session.run, host: hostname(), pid: process.pid });
    await session.close();
    await expect(load({ ...options, highWatermark: 6 }, { onStep: crashAt('prepare.after') })).rejects.toBeInstanceOf(
      Crash,
    );
    const state = await look();
    expect(state.aliveRun).toBeUndefined();
    expect(state.offsets.map(({ offset }) => offset)).toEqual([5, 5]);
    expect(state.pendingIntent?.next.map(({ offset }) => offset)).toEqual([6, 6]);
  });
});

describe('two runs at a time', () => {
  test('a second run started during a live one ends, naming host and process, and the first finishes', async () => {
    const first = await open();
    const intent = await stage(first, options);
    const second = await load(options);
    expect(second.outcome).toBe('RUN_ALIVE');
    expect(second.message).toContain(`host ${hostname()} (pid ${process.pid})`);
    expect(second.message).toContain(first.run);
    expect(await stagedRuns(options)).toEqual([first.run]);
    if (intent) await first.finish(intent);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
  });

  test('of runs started together exactly one goes on, or none, and no row comes twice', async () => {
    for (let round = 0; round < 5; round++) {
      const highWatermark = 5 + round;
      const results = await Promise.all([1, 2, 3].map(() => load({ ...options, highWatermark })));
      for (const { outcome } of results) expect(['ok', 'RUN_ALIVE']).toContain(outcome);
      await load({ ...options, highWatermark });
      expect(await visibleRows(options)).toEqual(expectedRows(0, highWatermark));
    }
    await load({ ...options, highWatermark: 9 });
    expect(await stagedRuns(options)).toEqual([]);
    expect(await stateKinds(options)).toEqual(['done']);
  });

  test('an earlier number yields when a later one is there already', async () => {
    let late: RunSession | null = null;
    // It does not beat meanwhile: the later one would see that it is alive.
    const early = await load(
      { ...options, heartbeatMs: 60_000 },
      {
        onStep: async (name) => {
          if (name === 'open.runCreated' && !late) late = await openSession({ ...options, takeOverAfterMs: 1 });
        },
      },
    );
    if (late) sessions.push(late);
    // The later run has settled: it fenced the earlier, which learns it from its first look.
    expect(early.outcome).toBe('RUN_ALIVE');
    expect(early.message).toContain('has just been started');
    expect(await stagedRuns(options)).toEqual([(late as RunSession | null)?.run]);
  });

  test('a failure before prepare leaves nothing, also when the target was staged', async () => {
    for (const step of ['stage.done', 'prepare.nextWritten', 'prepare.before']) {
      await expect(load(options, { onStep: crashAt(step) })).rejects.toBeInstanceOf(Crash);
      expect(await stateKinds(options)).toEqual([]);
      expect(await stagedRuns(options)).toEqual([]);
    }
  });

  test('an intent of another host is watched before it is finished', async () => {
    await expect(load(options, { onStep: crashAt('prepare.after') })).rejects.toBeInstanceOf(Crash);
    await abandonOnOtherHost('intent');
    const lines: string[] = [];
    const began = performance.now();
    const result = await load({ ...options, highWatermark: 6 }, { log: (line) => lines.push(line) });
    expect(performance.now() - began).toBeGreaterThan(options.takeOverAfterMs);
    expect(result).toMatchObject({ outcome: 'ok', rows: 2, recovered: [expect.any(String)] });
    expect(lines[0]).toMatch(/on host elsewhere \(pid \d+\) has not ended; watching it for 0.16 s/);
    expect(await visibleRows(options)).toEqual(expectedRows(0, 6));
  });
});

describe('a run that slept', () => {
  test('learns that it was fenced by its signal, and cannot prepare', async () => {
    const sleeper = await open();
    const intent = await stage(sleeper, options);
    const winner = await openSession(options, { takeOver: true });
    sessions.push(winner);
    await expect.poll(() => sleeper.signal.aborted).toBe(true);
    expect(sleeper.signal.reason).toMatchObject({ code: 'FENCED' });
    if (intent) await expect(sleeper.finish(intent)).rejects.toMatchObject({ code: 'FENCED' });
    expect(await savedText(options)).toBe('');
  });
});

describe('recovery', () => {
  test('needs the staging folder: names host and path, commits nothing, and goes on when it is back', async () => {
    await expect(load(options, { onStep: crashAt('prepare.after') })).rejects.toBeInstanceOf(Crash);
    const [run] = await stagedRuns(options);
    const staging = join(folders(options.base).root, '_kafkaload', 'staging');
    await rename(staging, `${staging}-away`);
    for (let attempt = 0; attempt < 2; attempt++) {
      const result = await load(options);
      expect(result.outcome).toBe('RECOVERY_BLOCKED');
      expect(result.message).toContain(`prepared on host ${hostname()}`);
      expect(result.message).toContain(run);
    }
    expect(await savedText(options)).toBe('');
    await rm(staging, { recursive: true });
    await rename(`${staging}-away`, staging);
    expect(await load(options)).toMatchObject({ outcome: 'ok', recovered: [run] });
    expect(await visibleRows(options)).toEqual(expectedRows(0, 5));
    expect(await stateKinds(options)).toEqual(['done']);
  });

  test('keeps an offset that was set by hand, with a warning, and does not lose the other', async () => {
    await load(options);
    await expect(load({ ...options, highWatermark: 7 }, { onStep: crashAt('prepare.after') })).rejects.toBeInstanceOf(
      Crash,
    );
    await writeFile(join(folders(options.base).offsets, CONFIG), '- "0,2"\n- "1,5"\n');
    const session = await open();
    expect(session.saved.offsets.map(({ offset }) => offset)).toEqual([2, 7]);
    expect(session.recovered[0]?.warnings).toEqual([expect.stringContaining('orders/0 is 2, neither 5 nor 7')]);
    expect(await savedText(options)).toBe('- "0,2"\n- "1,7"\n');
  });

  test('does not replace an exact file that somebody else changed', async () => {
    const exact = { ...options, target: 'file' as const };
    await load(exact);
    await expect(load({ ...exact, highWatermark: 7 }, { onStep: crashAt('prepare.after') })).rejects.toBeInstanceOf(
      Crash,
    );
    const { file } = folders(options.base);
    const old = await readFile(file);
    await writeFile(file, 'mine now\n');
    const result = await load({ ...exact, highWatermark: 7 });
    expect(result.outcome).toBe('TARGET_CHANGED');
    expect(result.message).toContain('it is 9 bytes');
    expect(await readFile(file, 'utf8')).toBe('mine now\n');
    await writeFile(file, old);
    expect(await load({ ...exact, highWatermark: 7 })).toMatchObject({ outcome: 'ok', rows: 0 });
    expect(await visibleRows(exact)).toEqual(expectedRows(0, 7));
  });

  test('refuses a damaged intent.json', async () => {
    await expect(load(options, { onStep: crashAt('prepare.after') })).rejects.toBeInstanceOf(Crash);
    const state = await readSavedState({ config: CONFIG, topics: [TOPIC], offsets: offsetsSettings(options) });
    await writeFile(join(state.pendingIntent?.stagingPath ?? '', 'intent.json'), '{}\n');
    expect(await load(options)).toMatchObject({ outcome: 'RECOVERY_BLOCKED', message: expect.stringContaining('CRC') });
  });

  test('removes no folder but a staging folder, whatever a record says', async () => {
    const session = await open();
    const folder = folders(options.base).offsets;
    const [record] = (await readdir(folder)).filter((name) => name.includes('.run.'));
    const path = join(folder, record ?? '');
    const victim = dirname(session.stagingPath);
    await writeFile(path, (await readFile(path, 'utf8')).replace(session.stagingPath, victim));
    const lines: string[] = [];
    sessions.push(await openSession(options, { takeOver: true, log: (line) => lines.push(line) }));
    expect(lines).toContainEqual(expect.stringContaining('is no staging folder'));
    expect(await stagedRuns(options)).toContain(session.run);
  });
});

test('an entry that is no number is refused with file, line and text', async () => {
  await load(options);
  const path = join(folders(options.base).offsets, CONFIG);
  await writeFile(path, '- "0,5"\n- "1,five"\n');
  const result = await load(options);
  expect(result.outcome).toBe('SAVED_OFFSETS_INVALID');
  expect(result.message).toContain(`${path}, line 2: "1,five"`);
  expect(await stagedRuns(options)).toEqual([]);
  expect(await stateKinds(options)).toEqual(['done']);
});
