import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { OpenFile } from '../../src/io.ts';
import { QUICK_CLOCK } from '../helpers/commitCases.ts';
import { countFaults } from '../helpers/faultCounts.ts';
import { type LoggedOperation, runWatched } from '../helpers/filesOfCommand.ts';
import { chooseRemains, MemoryDisk } from '../helpers/memoryDisk.ts';
import { seededRandom } from '../helpers/workload.ts';
import { sorted, Workspace } from '../helpers/workspace.ts';
import {
  closeSession,
  type LoadOptions,
  openSession,
  savedText,
  stagedRuns,
  stateKinds,
} from '../unit/commit/harness.ts';

/**
 * The file operations of the real command, those of its workers too, are done again on a disk in memory
 * (memoryDisk.ts), and the power goes after each. Then a run opens there, as the next one would: it must find the files
 * of what is saved, whole, and nothing else.
 */
const STATES = process.env.KAFKALOAD_FAULTS === 'all' ? 12 : 4;
const SEED = Number(process.env.KAFKALOAD_SEED ?? 1);
const MESSAGES = 2_000;
/** Of one run. */
const MOST = '300';

let work: Workspace;
let topic: string;

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
  topic = await work.topics.create('lost-sync', { partitions: 2 });
  await work.send(topic, MESSAGES, [0, 1]);
});

afterAll(() => work.close());

/** Does operations again, one at a time. */
class Replay {
  readonly disk = new MemoryDisk();
  readonly #handles = new Map<string, OpenFile>();

  async apply({ call, path, to = '', handle = '', flags = 'r', position = null, data = '' }: LoggedOperation) {
    const { disk } = this;
    switch (call) {
      case 'open':
        this.#handles.set(handle, await disk.open(path, flags));
        return;
      case 'write': {
        const bytes = Buffer.from(data, 'base64');
        await this.#handles.get(handle)?.write(bytes, 0, bytes.length, position);
        return;
      }
      case 'fsync':
        return this.#handles.get(handle)?.sync();
      case 'mkdir':
        return disk.mkdir(path);
      case 'link':
        return disk.link(path, to);
      case 'rename':
        return disk.rename(path, to);
      case 'unlink':
        return disk.unlink(path);
      case 'rmdir':
        return disk.rmdir(path);
      case 'rm':
        return disk.removeAll(path);
    }
  }
}

/** Opens a run on what is left, which finishes what was prepared, and judges. Gives the rows found. */
async function judge(options: LoadOptions, disk: MemoryDisk, what: string): Promise<number> {
  for (let run = 1; run <= 2; run++) {
    await closeSession(await openSession(options, { fs: disk, clock: QUICK_CLOCK, topics: [topic] }));
  }
  const saved = (await savedText(options, disk)).matchAll(/^- "(\d+),(\d+)"$/gm);
  const expected = [...saved].flatMap(([, partition, next]) => {
    return Array.from({ length: Number(next) }, (_, offset) => `${partition},${offset}`);
  });
  const target = join(options.base, 'target');
  const names = (await disk.readdir(target)).filter((name) => name.endsWith('.json'));
  const found: string[] = [];
  for (const name of names) {
    for (const line of String(await disk.readFile(join(target, name)))
      .trimEnd()
      .split('\n')) {
      const { partition, offset } = JSON.parse(line);
      found.push(`${partition},${offset}`);
    }
  }
  expect(sorted(found), what).toEqual(sorted(expected));
  expect(await stagedRuns(options, disk), what).toEqual([]);
  expect(['', 'done'], what).toContain((await stateKinds(options, disk)).join());
  return found.length;
}

const LAYOUTS = [
  { layout: 'folder', more: [] },
  { layout: 'exact file', more: ['--write-coalesce', '1'] },
];

/** Two runs of the command, and what the harness opens after them. */
async function record({ layout, more }: (typeof LAYOUTS)[number]): Promise<{
  readonly operations: readonly LoggedOperation[];
  readonly options: LoadOptions;
}> {
  const job = await work.job({ topic, mode: 'FILE' });
  const target = join(job.folder, 'target');
  const path = layout === 'folder' ? target : join(target, 'day.json');
  const rest = ['--write-path', path, '--write-format', 'json', '--max-records', MOST, '--workers', '2', ...more];
  const operations: LoggedOperation[] = [];
  for (let run = 1; run <= 2; run++) {
    const result = await runWatched(job.args(rest), { folder: job.folder, withData: true });
    expect(result.code, result.stderr).toBe(0);
    operations.push(...result.operations);
  }
  const options: LoadOptions = {
    ...{ base: job.folder, target: layout === 'folder' ? 'folder' : 'file', writeMode: 'Append', highWatermark: 0 },
    ...{ heartbeatMs: 600_000, takeOverAfterMs: 1_200_000 },
  };
  return { operations, options };
}

/** Does the operations again, and takes the power away after each. */
async function loseEach(operations: readonly LoggedOperation[], options: LoadOptions) {
  const random = seededRandom(SEED);
  const replay = new Replay();
  replay.disk.makeFolders(options.base);
  const total = { faults: 0, rows: 0 };
  let version = -1;
  for (const operation of operations) {
    await replay.apply(operation);
    if (replay.disk.version === version) continue;
    version = replay.disk.version;
    for (const [index, remains] of chooseRemains(replay.disk, STATES, random).entries()) {
      const what = `power lost after ${operation.call} ${operation.path}, state ${index}, seed ${SEED}`;
      total.rows += await judge(options, replay.disk.afterPowerLoss(remains), what);
      total.faults += 1;
    }
  }
  // All of it was done again.
  expect(await judge(options, replay.disk.copy(), 'at the end')).toBe(2 * Number(MOST));
  return total;
}

describe.each(LAYOUTS)('the command, $layout', ({ layout, more }) => {
  test('the power goes after each file operation of two runs', async () => {
    const { operations, options } = await record({ layout, more });
    const total = await loseEach(operations, options);
    expect(total.faults).toBeGreaterThan(100);
    countFaults({ kind: 'power lost in the command', layout, mode: 'Append FILE' }, total);
    // Of files that workers wrote, or of the folder they are in: without a sync of it the test turns red.
    for (const place of [/\.staged$/, /\/staging\/[^/]+\/[^/]+$/]) {
      const fewer = operations.filter(({ call, path }) => call !== 'fsync' || !place.test(path));
      expect(fewer.length).toBeLessThan(operations.length);
      await expect(loseEach(fewer, options), String(place)).rejects.toThrow();
    }
  });
});
