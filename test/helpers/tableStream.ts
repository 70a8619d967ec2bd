/**
 * The sink of a table as the loop of a stream drives it, with a group that is a map, so that a test says what a member of
 * a group does and when. The sink, its threads, broker and database are the real ones.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CliOptions } from '../../src/config/options.ts';
import type { BatchOutcome, Position, StreamSink } from '../../src/stream/types.ts';

const DIST = new URL(`../../${process.env.KAFKALOAD_TEST_DIST || 'dist'}/src/`, import.meta.url);
const built = <Module>(path: string): Promise<Module> => import(new URL(path, DIST).href) as Promise<Module>;

/** Next offset by partition. */
export type Group = Map<number, number>;

export interface TableStreamOptions {
  readonly folder: string;
  readonly bootstrapServers: string;
  readonly topic: string;
  readonly group: Group;
  readonly options: CliOptions;
  readonly fields?: readonly string[];
  /** `connections.pg.options`. */
  readonly server?: Readonly<Record<string, string>>;
  readonly more?: Readonly<Record<string, unknown>>;
  readonly topicId?: string;
}

export class TableStream {
  readonly #sink: StreamSink;
  readonly #options: TableStreamOptions;
  readonly #close: () => void;
  readonly positions = new Map<number, number>();
  readonly log: string[];

  private constructor(sink: StreamSink, options: TableStreamOptions, log: string[], close: () => void) {
    this.#sink = sink;
    this.#options = options;
    this.#close = close;
    this.log = log;
  }

  /** Opens the sink, and takes partitions in. */
  static async open(options: TableStreamOptions, partitions: readonly number[]): Promise<TableStream> {
    const { folder, bootstrapServers, topic, fields = ['key', 'value'], server, more } = options;
    const config = {
      kafka: {
        serverOptions: { 'bootstrap.servers': bootstrapServers },
        topics: { orders: { topicName: topic, fields, accessOptions: { 'group.id': 'g' }, ...more } },
      },
      ...(server && { connections: { pg: { type: 'JDBC', options: server } } }),
    };
    await writeFile(join(folder, 'kafkaload.json'), JSON.stringify(config));
    const { resolveJob } = await built<typeof import('../../src/config/resolveJob.ts')>('config/resolveJob.js');
    const { Cluster } = await built<typeof import('../../src/kafka/cluster.ts')>('kafka/cluster.js');
    const { openTableSink } =
      await built<typeof import('../../src/stream/table/tableSink.ts')>('stream/table/tableSink.js');
    const cli = { config: 'orders', stream: true, workers: '2', ...options.options };
    const job = await resolveJob(cli, { env: process.env, cwd: folder, now: new Date() });
    const { source, sink, stream } = job;
    if (source.kind !== 'topic' || sink.kind !== 'table' || stream === null) throw new Error('no stream to a table');
    const log: string[] = [];
    const note = (line: string): number => log.push(line);
    const cluster = new Cluster(source.kafka.connection);
    const opened = await openTableSink({
      job: { ...job, source, sink, stream },
      ui: { log: { debug: note, info: note, warn: note, error: note } },
      member: { identity: { groupId: 'g', memberId: 'm', generationId: 1, instanceId: null } },
      cluster,
      looker: { estimates: new Map() },
      observe: () => {},
    });
    const table = new TableStream(opened, options, log, () => cluster.close());
    await table.take(partitions);
    return table;
  }

  /** Partitions become ours: what differs from what the group holds is committed to it. */
  async take(partitions: readonly number[]): Promise<void> {
    const { topic, group, topicId } = this.#options;
    await this.#sink.claim?.(partitions.map((partition) => ({ topic, partition })));
    const committed = partitions.map((partition) => ({ topic, partition, offset: group.get(partition) ?? null }));
    const positions = await this.#sink.resume(committed, topicId === undefined ? {} : { [topic]: topicId });
    for (const partition of partitions) this.positions.set(partition, group.get(partition) ?? 0);
    await this.commit(positions);
  }

  /** Writes what lies between our positions and these ends. */
  async write(ends: Readonly<Record<number, number>>, signal = new AbortController().signal): Promise<BatchOutcome> {
    const { topic } = this.#options;
    const ranges = Object.entries(ends).map(([partition, endOffset]) => {
      const startOffset = this.positions.get(Number(partition)) ?? 0;
      return { topic, partition: Number(partition), startOffset, endOffset };
    });
    return this.#sink.write({ number: 1, ranges }, signal);
  }

  /** Writes and commits to the group, or goes on from where others have moved. @returns What became of it. */
  async move(ends: Readonly<Record<number, number>>): Promise<BatchOutcome['kind']> {
    const outcome = await this.write(ends);
    const own = Object.entries(ends).map(([partition, offset]) => ({ partition: Number(partition), offset }));
    const { topic } = this.#options;
    await this.commit(outcome.kind === 'overtaken' ? outcome.positions : own.map((one) => ({ topic, ...one })));
    return outcome.kind;
  }

  async commit(positions: readonly Position[]): Promise<void> {
    for (const { partition, offset } of positions) {
      this.#options.group.set(partition, offset);
      this.positions.set(partition, offset);
    }
    await this.#sink.groupCommitted?.(positions);
  }

  async close(): Promise<void> {
    await this.#sink.close();
    this.#close();
  }
}
