/** Jobs that write to a topic, as a user has them: an entry for each side, and a configuration that names both. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { parseCommandLine } from '../../src/config/commandLine.ts';
import type { Job } from '../../src/config/job.ts';
import { resolveJob } from '../../src/config/resolveJob.ts';
import { type FileLoadJob, isFileLoad, isTopicToTopic, type TopicToTopicJob } from '../../src/coordinator/jobs.ts';
import type { ProgramResult } from './cache.ts';
import { type CommandRun, runCommand, startCommand } from './command.ts';
import { readTopic } from './producers.ts';
import { randomName, TestTopics } from './topics.ts';
import { type OffsetsMode, sorted, type Workspace } from './workspace.ts';

export interface LoadReport {
  readonly run: string | null;
  readonly rows: number;
  readonly retries: number;
  readonly offsets: Readonly<Record<string, { readonly from: number | null; readonly to: number }>>;
  readonly load: {
    readonly target: string;
    readonly transactions: number;
    readonly alreadyLoaded: { readonly run: string; readonly at: string } | null;
  };
}

export interface LoadOptions {
  readonly mode?: OffsetsMode;
  /** Cluster that is written to; default: that of the workspace. */
  readonly target?: string;
  /** Topic that is read, for a job from topic to topic. */
  readonly from?: string;
  /** More keys of the entry that is read. */
  readonly source?: Readonly<Record<string, unknown>>;
  /** More keys of the entry that is written to: `partitions`, `chunkRecords`. */
  readonly sink?: Readonly<Record<string, unknown>>;
  /** More properties of the way to the target. */
  readonly access?: Readonly<Record<string, unknown>>;
  /** Signs of life; default: quick ones. */
  readonly signs?: { readonly heartbeatMs: number; readonly takeOverAfterMs: number };
  /** Topic that is written to; default: one that is not there. */
  readonly to?: string;
}

/** Signs of life that tests need not wait for. */
const QUICK = { heartbeatMs: 300, takeOverAfterMs: 2_000 };

export class LoadJob {
  readonly folder: string;
  /** Topic that is written to. */
  readonly to: string;
  /** Of its cluster. */
  readonly topics: TestTopics;
  readonly bootstrapServers: string;
  readonly progressTopic: string;
  readonly mode: OffsetsMode;
  readonly #confPath: string;

  private constructor(place: {
    folder: string;
    to: string;
    topics: TestTopics;
    server: string;
    progress: string;
    mode: OffsetsMode;
  }) {
    this.folder = place.folder;
    this.to = place.to;
    this.topics = place.topics;
    this.bootstrapServers = place.server;
    this.progressTopic = place.progress;
    this.mode = place.mode;
    this.#confPath = join(place.folder, 'kafkaload.yaml');
  }

  static async make(workspace: Workspace, options: LoadOptions): Promise<LoadJob> {
    const { mode = 'FILE', target = workspace.bootstrapServers, from = 'not-used', source, sink } = options;
    const folder = join(workspace.path, randomName('load'));
    await mkdir(folder);
    const topics = target === workspace.bootstrapServers ? workspace.topics : new TestTopics(target);
    const to = options.to ?? topics.reserve('loaded');
    const progress = topics.reserve('progress');
    const offsets = mode === 'FILE' ? join(folder, 'offsets') : workspace.topics.reserve('offsets');
    const kafka = {
      cometOffsetsMode: mode,
      serverOptions: { 'bootstrap.servers': workspace.bootstrapServers },
      progressTopic: progress,
      ...(options.signs ?? QUICK),
      topics: {
        source: { topicName: from, ...source },
        // Timestamps are kept, and retention goes by them: records from the past would be gone at the broker's next look.
        sink: {
          topicName: to,
          createOptions: { 'retention.ms': '-1' },
          ...sink,
          accessOptions: { 'bootstrap.servers': target, ...options.access },
        },
        comet_offsets: { topicName: offsets },
      },
    };
    const job = new LoadJob({ folder, to, topics, server: target, progress, mode });
    await writeFile(job.#confPath, stringify({ kafka }));
    return job;
  }

  /** @param more Where rows come from: `--path ...`; without it they come from the topic. */
  args(more: readonly string[]): string[] {
    const isFiles = more.includes('--path');
    return ['--conf', this.#confPath, ...(isFiles ? [] : ['--config', 'source']), '--write-config', 'sink', ...more];
  }

  /** As the command resolves it. */
  async job(): Promise<TopicToTopicJob> {
    const job = await this.#resolve([]);
    if (!isTopicToTopic(job)) throw new Error(`from ${job.source.kind} to ${job.sink.kind}`);
    return job;
  }

  /** The same of a load of files. */
  async fileJob(...more: string[]): Promise<FileLoadJob> {
    const job = await this.#resolve(more);
    if (!isFileLoad(job)) throw new Error(`from ${job.source.kind} to ${job.sink.kind}`);
    return job;
  }

  #resolve(more: readonly string[]): Promise<Job> {
    const request = parseCommandLine(this.args(more), () => '');
    if (request.kind !== 'run') throw new Error(`a command line became ${request.kind}`);
    const machine = { cores: 2, memoryBytes: 8 * 1024 ** 3 };
    return resolveJob(request.options, { env: {}, cwd: this.folder, now: new Date(), machine });
  }

  run(...more: string[]): Promise<ProgramResult> {
    return runCommand(this.args(more), { cwd: this.folder });
  }

  start(...more: string[]): CommandRun {
    return startCommand(this.args(more), { cwd: this.folder });
  }

  /** A run that must exit 0. */
  async report(...more: string[]): Promise<LoadReport> {
    const result = await this.run(...more, '--report', 'json');
    if (result.code !== 0) throw new Error(`the load ended with ${result.code ?? result.signal}:\n${result.stderr}`);
    return JSON.parse(result.stdout) as LoadReport;
  }

  /** `kafkaload offsets`, which must exit 0. */
  async offsetsCommand(action: string, ...more: string[]): Promise<void> {
    const args = ['offsets', action, '--conf', this.#confPath, '--config', 'source', ...more];
    const result = await runCommand(args, { cwd: this.folder });
    if (result.code !== 0) throw new Error(`kafkaload ${args.join(' ')} ended with ${result.code}:\n${result.stderr}`);
  }

  /** Values that a reader of committed records finds in the target, sorted. */
  async values(): Promise<string[]> {
    const found = await readTopic(this.bootstrapServers, this.to);
    return sorted(found.map(({ value }) => value?.toString() ?? 'null'));
  }
}
