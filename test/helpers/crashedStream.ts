/** A stream of the real command that is killed again and again, and what must be in its target then. */
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { type CommandRun, runCommand, startCommand } from './command.ts';
import { LoadJob } from './loads.ts';
import type { PostgresServer } from './postgres.ts';
import { SteadyProducer } from './steadyProducer.ts';
import { type SteppedCommand, type StepSignal, type StepTarget, startStepped } from './steps.ts';
import { RunningStream, StreamJob } from './streams.ts';
import { randomName } from './topics.ts';
import { waitFor } from './wait.ts';
import { query, sorted, type Workspace } from './workspace.ts';

export const STREAM_LAYOUTS = ['folder', 'partitioned', 'exact file', 'topic', 'DuckDB', 'PostgreSQL'] as const;
export type StreamLayout = (typeof STREAM_LAYOUTS)[number];

/** Messages a kill finds new, in each of the partitions: several micro-batches. */
export const NEW_MESSAGES = 90;
const MOST_IN_A_BATCH = 60;
export const PARTITIONS = 3;
/** A member that was killed is missed soon. */
const SESSION = { 'session.timeout.ms': 3_000, 'heartbeat.interval.ms': 500 };
/** The next process takes its place at once. */
export const STATIC = { 'group.instance.id': 'one', 'session.timeout.ms': 10_000 };

export interface CrashedStreamOptions {
  readonly layout: StreamLayout;
  /** More properties of the topic, over those of a short session. */
  readonly access?: Readonly<Record<string, unknown>>;
  readonly replicas?: number;
  /** For the layout `PostgreSQL`. */
  readonly server?: PostgresServer | undefined;
}

export const EVERY = [
  '--streaming-trigger',
  'ProcessingTime',
  '--streaming-trigger-option',
  '500 milliseconds',
] as const;
export const CONTINUOUS = [
  '--streaming-trigger',
  'Continuous',
  '--streaming-trigger-option',
  '200 milliseconds',
] as const;

/** Starts cost less with one. Where rows flow, threads share the partitions: there are as many as by default. */
function workersFor(more: readonly string[]): readonly string[] {
  return more.includes('Continuous') ? [] : ['--workers', '1'];
}

interface Place {
  readonly layout: StreamLayout;
  readonly group: string;
  /** That is read. */
  readonly topic: string;
  readonly folder: string;
  readonly producer: SteadyProducer;
  /** Where files go; null: a topic or a table. */
  readonly target: string | null;
  readonly args: readonly string[];
  readonly load: LoadJob | null;
  /** In a server of PostgreSQL. */
  readonly table: { readonly server: PostgresServer; readonly name: string } | null;
}

export class CrashedStream {
  readonly place: Place;
  readonly #workspace: Workspace;

  private constructor(workspace: Workspace, place: Place) {
    this.#workspace = workspace;
    this.place = place;
  }

  static async make(workspace: Workspace, options: CrashedStreamOptions): Promise<CrashedStream> {
    const { layout, access, replicas = 1, server } = options;
    const { bootstrapServers } = workspace;
    const topic = await workspace.topics.create('stream-crash', { partitions: PARTITIONS, replicas });
    const producer = await SteadyProducer.open({ bootstrapServers, topic, partitions: PARTITIONS });
    const properties = { ...SESSION, maxOffsetsPerTrigger: MOST_IN_A_BATCH, ...access };
    const connections = server && { pg: { type: 'JDBC', options: server.options } };
    const { job, group } = await StreamJob.make(workspace, {
      topic,
      access: properties,
      ...(connections && { connections }),
    });
    const common = ['--stream', '--report', 'json'];
    const read = ['--conf', job.confPath, '--config', job.config, ...common];
    const given = { layout, group, topic, producer, folder: job.folder, target: null, load: null, table: null };
    if (layout === 'DuckDB') {
      const args = [...read, '--streaming-to-table', 'rows', '--write-options', 'database=rows.duckdb'];
      return new CrashedStream(workspace, { ...given, args });
    }
    if (layout === 'PostgreSQL') {
      if (server === undefined) throw new Error('no server for the table');
      const table = { server, name: randomName('rows').replace('-', '_') };
      const args = [...read, '--streaming-to-table', table.name, '--connectionRef', 'pg'];
      return new CrashedStream(workspace, { ...given, table, args });
    }
    if (layout === 'topic') {
      const source = { accessOptions: { 'group.id': group, ...properties } };
      const load = await LoadJob.make(workspace, { from: topic, source, sink: { partitions: 2 } });
      return new CrashedStream(workspace, { ...given, folder: load.folder, args: [...load.args([]), ...common], load });
    }
    const target = layout === 'exact file' ? join(job.out, 'all.parquet') : job.out;
    const more = {
      folder: [],
      partitioned: ['--streaming-partition-by', 'partition'],
      'exact file': ['--write-coalesce', '1'],
    }[layout];
    return new CrashedStream(workspace, { ...given, target, args: [...read, '--write-path', target, ...more] });
  }

  /** Starts the command, which takes all there is and ends, unless `more` says something else. */
  start(more: readonly string[] = [], env: Readonly<Record<string, string>> = {}): CommandRun {
    return startCommand([...this.place.args, ...workersFor(more), ...more], { cwd: this.place.folder, env });
  }

  /** Starts one that has a micro-batch every half second, or another trigger, until it is told to stop. */
  every(env: Readonly<Record<string, string>> = {}, trigger: readonly string[] = EVERY): RunningStream {
    return new RunningStream(this.start(trigger, env));
  }

  /** As `start`, with its steps noted, and with signals at some of them. */
  startStepped(more: readonly string[] = [], ...stops: readonly StepSignal[]): SteppedCommand {
    return startStepped([...this.place.args, ...workersFor(more), ...more], this.place.folder, ...stops);
  }

  /** Takes all there is; must exit 0. @returns Names of its steps. */
  async finish(): Promise<readonly string[]> {
    const { result, steps } = await this.startStepped().ended;
    if (result.code !== 0)
      throw new Error(`${this.place.layout}: ended with ${result.code ?? result.signal}:\n${result.stderr}`);
    return steps;
  }

  /** Has messages come, and kills the process that goes on with them at the step. */
  async kill(target: StepTarget, more: readonly string[] = []): Promise<void> {
    await this.place.producer.send(NEW_MESSAGES);
    const { result, isStopped } = await this.startStepped(more, { ...target, signal: 'SIGKILL' }).ended;
    const what = `${this.place.layout}: killed at ${target.name} ${target.nth}`;
    if (!isStopped) throw new Error(`${what}: it ended with ${result.code ?? result.signal}:\n${result.stderr}`);
    if (this.place.target !== null || this.place.table !== null) await this.checkNoDoubles(what);
  }

  /** Values in the target, sorted. */
  async values(): Promise<string[]> {
    const { load, layout, folder, table } = this.place;
    if (load !== null) return load.values();
    if (table !== null) {
      // The first micro-batch makes it.
      if ((await table.server.query(`SELECT to_regclass('${table.name}')`)) === '') return [];
      const rows = await table.server.rows<{ value: string }>(`SELECT value FROM ${table.name}`);
      return sorted(rows.map(({ value }) => value));
    }
    if (layout === 'DuckDB') {
      const database = join(folder, 'rows.duckdb');
      return this.#valuesOf(`ATTACH '${database}' AS target (READ_ONLY); SELECT value FROM target.rows`);
    }
    const files = await this.dataFiles();
    if (files.length === 0) return [];
    const list = files.map((file) => `'${file}'`).join();
    return this.#valuesOf(`SELECT value FROM read_parquet([${list}])`);
  }

  async #valuesOf(sql: string): Promise<string[]> {
    return sorted((await query(sql)).map(({ value }) => String(value)));
  }

  /** What is visible is of what was sent, once. */
  async checkNoDoubles(what: string): Promise<void> {
    const values = await this.values();
    const sent = new Set(this.place.producer.values);
    expect(new Set(values).size, `${what}: doubled`).toBe(values.length);
    expect(
      values.filter((value) => !sent.has(value)),
      `${what}: never sent`,
    ).toEqual([]);
  }

  /** Each value once, nothing left, and the group at the ends. @returns Rows compared. */
  async check(what: string): Promise<number> {
    const { topics } = this.#workspace;
    const [values, sent] = [await this.values(), this.place.producer.values];
    const found = new Set(values);
    expect(
      sent.filter((value) => !found.has(value)),
      `${this.place.layout}, ${what}: lost`,
    ).toEqual([]);
    expect(values, `${this.place.layout}, ${what}`).toEqual(sent);
    const ends = await topics.endOffsets(this.place.topic);
    expect(
      await topics.groupOffsets(this.place.group, this.place.topic, PARTITIONS),
      `${this.place.layout}, ${what}`,
    ).toEqual(ends);
    if (this.place.target === null) return values.length;
    expect(await this.staged(), `${this.place.layout}, ${what}`).toEqual([]);
    const verified = await runCommand(['verify', '--path', this.place.target], { cwd: this.place.folder });
    expect(verified.code, `${this.place.layout}, ${what}: ${verified.stdout}${verified.stderr}`).toBe(0);
    return values.length;
  }

  /** Waits until all that was sent is in the target. */
  async untilAll(what: string, timeoutMs = 120_000): Promise<void> {
    const count = this.place.producer.values.length;
    const isThere = async (): Promise<boolean> => {
      const offsets = await this.#workspace.topics.groupOffsets(this.place.group, this.place.topic, PARTITIONS);
      return offsets.reduce((sum, offset) => sum + Math.max(0, offset), 0) >= count;
    };
    await waitFor(`${count} rows, ${what}`, isThere, { timeoutMs, everyMs: 500 });
  }

  /** Files that are staged, of all processes. */
  async staged(): Promise<string[]> {
    return (await this.#files()).filter((file) => file.includes('/staging/'));
  }

  /** Visible Parquet files. */
  async dataFiles(): Promise<string[]> {
    return (await this.#files()).filter((file) => file.endsWith('.parquet') && !file.includes('/_kafkaload/'));
  }

  /** Below the target, as absolute paths. */
  async #files(): Promise<string[]> {
    const { target, layout } = this.place;
    if (target === null) return [];
    const folder = layout === 'exact file' ? dirname(target) : target;
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  }
}
