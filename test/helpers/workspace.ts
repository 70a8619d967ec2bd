import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { stringify } from 'yaml';
import type { ProgramResult } from './cache.ts';
import {
  type CommandRun,
  type ConfigFile,
  type JsonReport,
  offloadReport,
  runCommand,
  startCommand,
  type TopicEntry,
  temporaryFolder,
  writeConfig,
} from './command.ts';
import { readTopic, sendMessages } from './producers.ts';
import { type ScriptMessage, toHex } from './script.ts';
import { randomName, TestTopics } from './topics.ts';
import { waitFor } from './wait.ts';

export type OffsetsMode = ConfigFile['mode'];
export const OFFSETS_MODES: readonly OffsetsMode[] = ['STREAM', 'FILE'];

/** A quick sign of life, so that tests of two runs at once need not wait for the defaults of 5 and 15 s. */
const QUICK = { heartbeatMs: 300, takeOverAfterMs: 2_000 };
const FIELDS = ['value as STRING', 'partition as INT', 'offset as LONG', 'timestamp as TIMESTAMP'];

/** The broker looks at the mean of about ten seconds: a topic of some megabytes takes minutes. */
const HELD_BYTES_PER_SECOND = 10_000;

/** `accessOptions` of a run that `startHeld` can hold. */
export function slow(clientId: string): Readonly<Record<string, unknown>> {
  return { accessOptions: { 'client.id': clientId, 'fetch.max.bytes': 20_000 } };
}

export interface JobOptions {
  readonly topic: string;
  readonly mode?: OffsetsMode;
  /** Topic or folder of saved offsets; default: one of its own. */
  readonly offsets?: string;
  /** Topic of the progress of loads. */
  readonly progressTopic?: string;
  /** Name of the config; default `orders`. */
  readonly config?: string;
  /** More keys of the topic's entry, such as `maxRead` and `accessOptions`. */
  readonly entry?: Readonly<Record<string, unknown>>;
  readonly bootstrapServers?: string;
  /** More topics, by the names of their entries. */
  readonly others?: Readonly<Record<string, TopicEntry>>;
  readonly connections?: ConfigFile['connections'];
  readonly customDeserializers?: Readonly<Record<string, string>>;
}

/** Everything a test of the command needs: a folder, topics, configurations, and their removal. */
export class Workspace {
  readonly bootstrapServers: string;
  readonly path: string;
  readonly topics: TestTopics;
  readonly #remove: () => Promise<void>;
  #sent = 0;

  private constructor(bootstrapServers: string, folder: { path: string; remove: () => Promise<void> }) {
    this.bootstrapServers = bootstrapServers;
    this.path = folder.path;
    this.topics = new TestTopics(bootstrapServers);
    this.#remove = folder.remove;
  }

  static async open(bootstrapServers: string): Promise<Workspace> {
    return new Workspace(bootstrapServers, await temporaryFolder());
  }

  async close(): Promise<void> {
    await this.topics.cleanUp();
    await this.#remove();
  }

  /** A config for a topic, with saved offsets of its own. */
  async job(options: JobOptions): Promise<OffloadJob> {
    const { mode = 'FILE', config = 'orders', progressTopic, connections, customDeserializers } = options;
    const name = randomName('job');
    const folder = join(this.path, name);
    await mkdir(folder);
    const offsets = options.offsets ?? (mode === 'FILE' ? join(folder, 'offsets') : this.topics.reserve('offsets'));
    const confPath = await writeConfig(folder, {
      bootstrapServers: options.bootstrapServers ?? this.bootstrapServers,
      ...{ mode, offsets },
      more: {
        ...QUICK,
        ...(progressTopic !== undefined && { progressTopic }),
        ...(customDeserializers && { customDeserializers }),
      },
      topics: { [config]: { topicName: options.topic, fields: FIELDS, ...options.entry }, ...options.others },
      ...(connections && { connections }),
    });
    return new OffloadJob(this, { folder, confPath, config, mode, offsets });
  }

  /** Writes any configuration tree; returns its path. */
  async conf(tree: unknown): Promise<string> {
    const path = join(this.path, `${randomName('conf')}.yaml`);
    await writeFile(path, stringify(tree));
    return path;
  }

  /**
   * Sends `count` messages, one partition after another; returns their values, which no other message has.
   *
   * @param padding Random bytes to add to each, which do not compress; default none.
   */
  async send(topic: string, count: number, partitions: readonly number[] = [0], padding = 0): Promise<string[]> {
    const values = Array.from({ length: count }, () => {
      const more = padding === 0 ? '' : ` ${randomBytes(padding).toString('base64')}`;
      return `value ${this.#sent++}${more}`;
    });
    const messages = values.map((value, index): ScriptMessage => {
      const partition = partitions[index % partitions.length] ?? 0;
      return { partition, timestamp: 1_700_000_000_000 + index, key: null, value: toHex(value), headers: [] };
    });
    await sendMessages({ bootstrapServers: this.bootstrapServers, topic, folder: this.path }, messages);
    return values;
  }

  /**
   * Starts a run that stays alive until `release` is called: the broker lets it have a trickle. Its config must have
   * the `accessOptions` given by `slow`, and some megabytes to read.
   */
  async startHeld(job: OffloadJob, clientId: string): Promise<{ run: CommandRun; release: () => Promise<void> }> {
    await this.topics.limitFetch(clientId, HELD_BYTES_PER_SECOND);
    const release = (): Promise<void> => this.topics.limitFetch(clientId, null);
    const run = job.start('--report', 'json');
    try {
      await waitFor('the run to stage', async () => {
        if (run.child.exitCode !== null) throw new Error(`the run is over: ${run.output().stderr}`);
        return (await job.staged()).length > 0;
      });
    } catch (error) {
      await release();
      throw error;
    }
    return { run, release };
  }

  /** Sends values as they are, to partition 0. @param timestampOf In milliseconds, of the value at an index. */
  async sendBytes(
    topic: string,
    values: readonly Buffer[],
    timestampOf = (index: number) => 1_700_000_000_000 + index,
  ): Promise<void> {
    const messages = values.map((value, index): ScriptMessage => {
      return {
        partition: 0,
        timestamp: timestampOf(index),
        key: null,
        value: value.toString('hex'),
        headers: [],
      };
    });
    await sendMessages({ bootstrapServers: this.bootstrapServers, topic, folder: this.path }, messages);
  }
}

/** One config and its target, as a user has them. */
export class OffloadJob {
  readonly folder: string;
  readonly confPath: string;
  readonly config: string;
  readonly out: string;
  /** Topic or folder. */
  readonly offsets: string;
  readonly #workspace: Workspace;
  readonly #mode: OffsetsMode;

  constructor(
    workspace: Workspace,
    options: { folder: string; confPath: string; config: string; mode: OffsetsMode; offsets: string },
  ) {
    this.#workspace = workspace;
    this.#mode = options.mode;
    this.folder = options.folder;
    this.confPath = options.confPath;
    this.config = options.config;
    this.offsets = options.offsets;
    this.out = join(options.folder, 'out');
  }

  args(more: readonly string[] = []): string[] {
    const target = more.includes('--write-path') ? [] : ['--write-path', this.out];
    return ['--conf', this.confPath, '--config', this.config, ...target, ...more];
  }

  run(...more: string[]): Promise<ProgramResult> {
    return runCommand(this.args(more), { cwd: this.folder });
  }

  start(...more: string[]): CommandRun {
    return startCommand(this.args(more), { cwd: this.folder });
  }

  /** A run that must exit 0. */
  report(...more: string[]): Promise<JsonReport> {
    return offloadReport(this.args(more), { cwd: this.folder });
  }

  /** `kafkaload offsets`, which must exit 0; returns what it printed. */
  async offsetsCommand(action: string, ...more: string[]): Promise<string> {
    const args = ['offsets', action, '--conf', this.confPath, '--config', this.config, ...more];
    const result = await runCommand(args, { cwd: this.folder });
    if (result.code !== 0) throw new Error(`kafkaload ${args.join(' ')} ended with ${result.code}:\n${result.stderr}`);
    return result.stdout;
  }

  /** Values in the visible files of the target, sorted; `file` for an exact file. */
  async values(file?: string): Promise<string[]> {
    const files = file ?? join(this.out, '*.parquet');
    const rows = await query(`SELECT value FROM read_parquet('${files}')`);
    return sorted(rows.map((row) => String(row.value)));
  }

  /** Files below the target, `_kafkaload` included, as sorted relative paths; none when there is no target. */
  async files(folder = this.out): Promise<string[]> {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    const files = entries.filter((entry) => entry.isFile());
    return sorted(files.map((entry) => relative(folder, join(entry.parentPath, entry.name))));
  }

  /** Visible Parquet files of the target. */
  async dataFiles(): Promise<string[]> {
    return (await this.files()).filter((file) => file.endsWith('.parquet') && !file.startsWith('_kafkaload'));
  }

  /** What is staged and was not removed. */
  async staged(folder = this.out): Promise<string[]> {
    return (await this.files(folder)).filter((file) => file.startsWith(join('_kafkaload', 'staging')));
  }

  /** Saved next offsets as other tools see them: by `PARTITION`, or by `TOPIC/PARTITION` where entries name a topic. */
  async saved(): Promise<Record<string, number>> {
    const found = new Map<string, number>();
    if (this.#mode === 'FILE') {
      const text = await readFile(join(this.offsets, this.config), 'utf8').catch(() => '');
      for (const [, topic, partition = '', offset] of text.matchAll(/^- "(?:([^",]+),)?(\d+),(\d+)"$/gm))
        found.set(topic === undefined ? partition : `${topic}/${partition}`, Number(offset));
    } else if (await this.#workspace.topics.exists(this.offsets)) {
      for (const { key, value } of await readTopic(this.#workspace.bootstrapServers, this.offsets)) {
        const [config, ...place] = (key?.toString() ?? '').split('/');
        if (config !== this.config) continue;
        if (value === null) found.delete(place.join('/'));
        else found.set(place.join('/'), Number(value.toString()));
      }
    }
    return Object.fromEntries(found);
  }

  /** All that a run could change: files with their sizes and times, and saved offsets. */
  async snapshot(): Promise<unknown> {
    const files = await Promise.all(
      (await this.files(this.folder)).map(async (file) => {
        const { size, mtimeMs, ino } = await stat(join(this.folder, file));
        return { file, size, mtimeMs, ino };
      }),
    );
    const ends = this.#mode === 'STREAM' ? await this.#offsetsTopicEnds() : [];
    return { files, saved: await this.saved(), ends };
  }

  async #offsetsTopicEnds(): Promise<number[] | string> {
    if (!(await this.#workspace.topics.exists(this.offsets))) return 'no topic';
    return this.#workspace.topics.endOffsets(this.offsets);
  }
}

/** A sorted copy, as `OffloadJob.values` sorts. */
export function sorted(values: readonly string[]): string[] {
  return values.toSorted((left, right) => (left < right ? -1 : Number(left > right)));
}

let shared: Promise<DuckDBInstance> | null = null;

/** Rows of a DuckDB query, as plain JSON values: 64-bit numbers are text. */
export async function query(sql: string): Promise<Record<string, unknown>[]> {
  // What is attached or set stays with its instance.
  const isAlone = /\b(ATTACH|SET|USE|LOAD|CREATE)\b/i.test(sql);
  const create = () => DuckDBInstance.create(':memory:', { threads: '2' });
  if (!isAlone) shared ??= create();
  const instance = await (isAlone || !shared ? create() : shared);
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson() as Record<string, unknown>[];
  } finally {
    connection.closeSync();
    if (isAlone) instance.closeSync();
  }
}
