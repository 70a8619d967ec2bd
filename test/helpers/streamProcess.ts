/**
 * Processes of a stream over the real chain: a consumer group that is a map, messages that are their offsets, and files of
 * text, one line a message. What makes a row visible once is all the chain's.
 */
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { type FileSystem, syncFolder, unlessAbsent, writeSynced } from '../../src/io.ts';
import { listVisibleFiles } from '../../src/sinks/localFiles.ts';
import { type AppendOutcome, openChain, type StreamChain } from '../../src/stream/chain/chain.ts';
import type { StagedBatch } from '../../src/stream/chain/entry.ts';
import type { ChainBatch } from '../../src/stream/chain/ownBatches.ts';
import { NO_GAPS, type OffsetRange } from '../../src/tasks.ts';

const TOPIC = 'orders';
const GROUP = 'nightly';
const TOPIC_ID = 'id-of-orders';

/** What the group holds, by partition. */
export type Group = Map<number, number>;

export interface ProcessOptions {
  readonly fs: FileSystem;
  /** What files are staged on, which is not the chain's business; default `fs`. */
  readonly stagingFs?: FileSystem;
  readonly root: string;
  readonly group: Group;
  /** Null: new files in the folder. */
  readonly file?: string | null;
  readonly foldEntries?: number;
  readonly topicId?: string;
  readonly onStep?: (name: string) => void | Promise<void>;
  readonly groupName?: string;
}

export class FencedError extends Error {}

export class StreamProcess {
  readonly chain: StreamChain;
  readonly log: string[];
  readonly #options: ProcessOptions;
  /** Where each partition of ours goes on. */
  readonly positions = new Map<number, number>();
  /** The group has gone on without it: the broker refuses its commits. */
  isFenced: boolean = false;

  private constructor(chain: StreamChain, options: ProcessOptions, log: string[]) {
    this.chain = chain;
    this.log = log;
    this.#options = options;
  }

  static async start(options: ProcessOptions, partitions: readonly number[]): Promise<StreamProcess> {
    const { fs, root, foldEntries, onStep, groupName = GROUP } = options;
    const log: string[] = [];
    const chain = await openChain({
      ...{ fs, root, group: groupName, config: 'orders', log: (line) => log.push(line) },
      ...(foldEntries !== undefined && { foldEntries }),
      ...(onStep && { onStep }),
    });
    const process = new StreamProcess(chain, options, log);
    await process.take(partitions);
    return process;
  }

  /** Partitions become ours. */
  async take(partitions: readonly number[]): Promise<void> {
    const { group, topicId = TOPIC_ID } = this.#options;
    await this.chain.claim(partitions.map((partition) => ({ topic: TOPIC, partition })));
    const committed = partitions.map((partition) => {
      return { topic: TOPIC, partition, offset: group.get(partition) ?? null };
    });
    const { positions } = await this.chain.resume(committed, { [TOPIC]: topicId });
    for (const partition of partitions) {
      const known = positions.find((position) => position.partition === partition);
      this.positions.set(partition, known?.offset ?? 0);
    }
    await this.commit([...this.positions].filter(([partition]) => partitions.includes(partition)));
  }

  async commit(positions: readonly (readonly [partition: number, offset: number])[]): Promise<void> {
    if (this.isFenced) throw new FencedError('the group has gone on without this member');
    for (const [partition, offset] of positions) this.#options.group.set(partition, offset);
    await this.chain.groupCommitted(positions.map(([partition, offset]) => ({ topic: TOPIC, partition, offset })));
  }

  /** Stages up to these offsets. */
  async stage(ends: Readonly<Record<number, number>>): Promise<{ batch: ChainBatch; staged: StagedBatch }> {
    const { root, file = null, topicId = TOPIC_ID, stagingFs: fs = this.#options.fs } = this.#options;
    const ranges = Object.entries(ends).map(([partition, endOffset]): OffsetRange => {
      const startOffset = this.positions.get(Number(partition)) ?? 0;
      return { topic: TOPIC, partition: Number(partition), startOffset, endOffset };
    });
    const batch = await this.chain.begin(ranges);
    const rows = ranges.flatMap(rowsOf);
    const target = file === null ? root : join(root, file);
    const old = file === null ? null : await unlessAbsent(fs.readFile(target));
    const bytes = Buffer.concat([old ?? Buffer.alloc(0), Buffer.from(rows.map((row) => `${row}\n`).join(''))]);
    const stagedPath = join(batch.stagingPath, 'part-00000.staged');
    await writeSynced(fs, stagedPath, bytes, 'wx');
    await syncFolder(fs, batch.stagingPath);
    const targetPath = file === null ? join(root, `part-00000-${batch.run}.txt`) : target;
    const staged: StagedBatch = {
      target:
        file === null
          ? { kind: 'folder', path: root }
          : { kind: 'file', path: target, old: old && { bytes: old.length, crc32c: crc32c(old) } },
      writeMode: 'Append',
      files: [{ stagedPath, targetPath, rows: rows.length, bytes: bytes.length, crc32c: crc32c(bytes), ranges }],
      ranges,
      gaps: ranges.map(({ topic, partition }) => ({ topic, partition, ...NO_GAPS })),
      topicIds: { [TOPIC]: topicId },
      createdAtMs: 0,
    };
    return { batch, staged };
  }

  /** Appends what was staged; does not commit to the group. */
  async append({ batch, staged }: { batch: ChainBatch; staged: StagedBatch }): Promise<AppendOutcome> {
    const outcome = await this.chain.append(batch, staged);
    if (outcome.kind === 'overtaken') {
      await this.chain.abandon(batch);
      for (const { partition, offset } of outcome.positions) this.positions.set(partition, offset);
    } else {
      for (const { partition, endOffset } of staged.ranges) this.positions.set(partition, endOffset);
    }
    return outcome;
  }

  /** A whole micro-batch up to these offsets. */
  async write(ends: Readonly<Record<number, number>>): Promise<AppendOutcome> {
    const staged = await this.stage(ends);
    const outcome = await this.append(staged);
    const moved =
      outcome.kind === 'overtaken'
        ? outcome.positions.map(({ partition, offset }) => [partition, offset] as const)
        : staged.staged.ranges.map(({ partition, endOffset }) => [partition, endOffset] as const);
    await this.commit(moved);
    return outcome;
  }

  close(): Promise<void> {
    return this.chain.close();
  }
}

/** `PARTITION:OFFSET` of each message. */
export function rowsOf({ partition, startOffset, endOffset }: Omit<OffsetRange, 'topic'>): string[] {
  return Array.from({ length: endOffset - startOffset }, (_, index) => `${partition}:${startOffset + index}`);
}

/** All that is visible, sorted. */
export async function visibleRows(fs: FileSystem, root: string): Promise<string[]> {
  const rows: string[] = [];
  for (const path of await listVisibleFiles(fs, root)) {
    rows.push(
      ...(await fs.readFile(path))
        .toString('utf8')
        .split('\n')
        .filter((row) => row !== ''),
    );
  }
  return rows.sort(byRow);
}

export function expectedRows(ends: Readonly<Record<number, number>>): string[] {
  return Object.entries(ends)
    .flatMap(([partition, endOffset]) => rowsOf({ partition: Number(partition), startOffset: 0, endOffset }))
    .sort(byRow);
}

export function byRow(a: string, b: string): number {
  const [p = 0, o = 0] = a.split(':').map(Number);
  const [q = 0, r = 0] = b.split(':').map(Number);
  return p - q || o - r;
}
