import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import {
  CONTINUOUS,
  CrashedStream,
  NEW_MESSAGES,
  PARTITIONS,
  STATIC,
  STREAM_LAYOUTS,
  type StreamLayout,
} from '../helpers/crashedStream.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts';
import { type StepTarget, streamStepNames, targetsOf } from '../helpers/steps.ts';
import { RunningStream } from '../helpers/streams.ts';
import { waitFor } from '../helpers/wait.ts';
import { Workspace } from '../helpers/workspace.ts';

/**
 * A stream of the real command is killed with SIGKILL at its named steps, on a real broker; the next process goes on, and is
 * killed at the next. In the end each value is in the target once. `KAFKALOAD_FAULTS=all` kills every layout the first
 * time it passes a step, two of them the last time as well; without it each step comes once, in one of the layouts.
 * `KAFKALOAD_STREAM_STEPS=chain.` chooses steps.
 */
const ALL = process.env.KAFKALOAD_FAULTS === 'all';
const ONLY_STEPS = process.env.KAFKALOAD_STREAM_STEPS ?? '';
const TIMEOUT_MS = 3_600_000;
const KIND = 'crash of a stream';
/** Where a step that comes again is also one to be killed at the last time. */
const LAST_TOO: readonly StreamLayout[] = ['folder', 'topic'];
/** What a process passes only while another one writes, too. */
const PAIRS = [
  { layout: 'folder', name: 'chain.lost' },
  { layout: 'exact file', name: 'chain.overtaken' },
] as const;
/** Some hundred small micro-batches. */
const MANY = 900;
/** A checkpoint comes after so many entries. */
const FOLD_ENTRIES = 1_000;

let workspace: Workspace;
let server: PostgresServer;
const opened: CrashedStream[] = [];
/** Names at which a process was killed. */
const reached = new Set<string>();

beforeAll(async () => {
  [workspace, server] = await Promise.all([Workspace.open(inject('bootstrapServers')), startPostgres()]);
});

afterAll(async () => {
  for (const { place } of opened) await place.producer.close();
  await workspace.close();
  await server.stop();
});

async function make(layout: StreamLayout, access?: Readonly<Record<string, unknown>>): Promise<CrashedStream> {
  const stream = await CrashedStream.make(workspace, { layout, server, ...(access && { access }) });
  opened.push(stream);
  return stream;
}

/** Kills at each of the steps, one process after another, and then lets one finish. */
async function killAll(
  stream: CrashedStream,
  targets: readonly StepTarget[],
  more: readonly string[] = [],
): Promise<void> {
  const { layout } = stream.place;
  for (const target of targets) {
    await stream.kill(target, more);
    reached.add(target.name);
  }
  await stream.finish();
  const rows = await stream.check('after kills');
  const mode = more.length > 0 ? 'Continuous' : 'Once';
  for (const { name } of targets) countFaults({ kind: KIND, layout, mode, step: name }, { kills: 1 });
  countFaults({ kind: KIND, layout, mode }, { rows });
}

/** All targets; or each name once, in one of the lists that have it: they take turns. */
function share(lists: readonly (readonly StepTarget[])[]): StepTarget[][] {
  if (ALL) {
    const isLastToo = (index: number): boolean => LAST_TOO.includes(STREAM_LAYOUTS[index] as StreamLayout);
    return lists.map((list, index) => list.filter(({ nth }) => nth === 1 || isLastToo(index)));
  }
  const names = [...new Set(lists.flat().map(({ name }) => name))];
  const chosen = names.map((name, turn) => {
    const able = lists.flatMap((list, index) => (list.some((target) => target.name === name) ? [index] : []));
    return { name, index: able[turn % able.length] };
  });
  return lists.map((list, index) =>
    list.filter((target) => target.nth === 1 && chosen.some((one) => one.name === target.name && one.index === index)),
  );
}

describe('killed at each named step', () => {
  test('a stream loses nothing and repeats nothing, whatever its target', { timeout: TIMEOUT_MS }, async () => {
    const streams = await Promise.all(STREAM_LAYOUTS.map((layout) => make(layout, STATIC)));
    const explored = await Promise.all(
      streams.map(async (stream) => {
        await stream.place.producer.send(NEW_MESSAGES);
        return targetsOf(await stream.finish()).filter(({ name }) => name.startsWith(ONLY_STEPS));
      }),
    );
    const shares = share(explored);
    const ended = await Promise.allSettled(streams.map((stream, index) => killAll(stream, shares[index] ?? [])));
    for (const one of ended) if (one.status === 'rejected') throw one.reason;
  });

  test('one that passes records on as they come, too', { timeout: TIMEOUT_MS }, async () => {
    const names = ['stream.resumed', 'transaction.partitionsAdded', 'transaction.offsetsSent', 'transaction.committed'];
    const targets = names.map((name) => ({ name, nth: 1 }));
    await killAll(await make('topic', STATIC), ALL ? targets : targets.slice(2), CONTINUOUS);
  });

  test.each(PAIRS)('one of two that write into a $layout, at $name', { timeout: TIMEOUT_MS }, async (pair) => {
    const { layout, name } = pair;
    // The sleep is shorter than the session: both are members all the time.
    const stream = await make(layout, { 'session.timeout.ms': 10_000 });
    const { producer, folder, group, topic } = stream.place;
    await producer.send(MANY);
    const armed = join(folder, 'armed');
    const more = ['--options', 'maxOffsetsPerTrigger=3'];
    const sleeper = stream.startStepped(
      more,
      { name: 'chain.entryStaged', when: armed, signal: 'SIGSTOP' },
      { name, nth: 1, signal: 'SIGKILL' },
    );
    const other = new RunningStream(stream.start(more));
    await other.says('ours now');
    await writeFile(armed, '');
    await waitFor('one to sleep', () => sleeper.isSignalled());
    const sum = async (): Promise<number> =>
      (await workspace.topics.groupOffsets(group, topic, PARTITIONS)).reduce((all, offset) => all + offset, 0);
    const before = await sum();
    await waitFor('the other to write', async () => (await sum()) > before);
    sleeper.child.kill('SIGCONT');
    expect((await sleeper.ended).result).toMatchObject({ signal: 'SIGKILL' });
    reached.add(name);
    await other.kill();
    await stream.finish();
    const rows = await stream.check(`killed at ${name}`);
    countFaults({ kind: KIND, layout, mode: 'Once', step: name }, { kills: 2 });
    countFaults({ kind: KIND, layout, mode: 'Once' }, { rows });
  });

  test.runIf(ALL)('one that folds its chain', { timeout: TIMEOUT_MS }, async () => {
    const stream = await make('folder', { ...STATIC, maxOffsetsPerTrigger: 1 });
    const targets = ['fold.packed', 'fold.checkpointWritten', 'fold.entriesRemoved'].map((name) => ({ name, nth: 1 }));
    // A micro-batch takes a message of each partition.
    await stream.place.producer.send(FOLD_ENTRIES * PARTITIONS);
    await killAll(stream, targets);
  });

  test('no step is left out', async () => {
    const names = await streamStepNames();
    // A thousand micro-batches are too long for a sample.
    const isSeldom = (name: string): boolean => !ALL && name.startsWith('fold.');
    expect(names.filter((name) => !reached.has(name) && !isSeldom(name))).toEqual([]);
  });
});
