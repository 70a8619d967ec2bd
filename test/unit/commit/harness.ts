/**
 * A small loader over the commit: two partitions, rows that name their partition and offset, and an oracle. The same
 * code runs inside the tests and, compiled, in child processes that are killed or stopped at a step.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { openRun } from '../../../src/commit/session.ts';
import type { TopicReader } from '../../../src/commit/streamState.ts';
import type { FileState, Intent, RunSession } from '../../../src/commit/types.ts';
import type { OffsetsSettings } from '../../../src/config/job.ts';
import type { KafkaSettings } from '../../../src/config/kafkaSettings.ts';
import { ioError, OffloadError } from '../../../src/errors.ts';
import {
  type Clock,
  checksumFile,
  type FileSystem,
  nodeFileSystem,
  syncFolder,
  unlessAbsent,
  writeSynced,
} from '../../../src/io.ts';
import { Cluster } from '../../../src/kafka/cluster.ts';
import { readTopicCommitted } from '../../../src/kafka/topicReader.ts';
import { listOwnFiles } from '../../../src/sinks/localFiles.ts';
import type { OffsetRange, PartitionOffset, StagedFile } from '../../../src/tasks.ts';

export const CONFIG = 'orders';
export const TOPIC = 'orders';

export interface LoadOptions {
  /** Folder of the test: `offsets/` and `target/` are below it. */
  readonly base: string;
  /** `partitioned`: a folder with folders by values. */
  readonly target: 'folder' | 'file' | 'partitioned';
  readonly writeMode: 'Append' | 'Overwrite';
  /** Both partitions are read up to here. */
  readonly highWatermark: number;
  /** False: the run was told not to commit. */
  readonly commit?: boolean;
  readonly heartbeatMs: number;
  readonly takeOverAfterMs: number;
  /** STREAM mode; without it FILE mode. */
  readonly stream?: { readonly bootstrapServers: string; readonly topic: string; readonly partitions: number };
}

export interface LoadResult {
  readonly outcome: 'ok' | string;
  readonly message: string;
  /** Rows staged. */
  readonly rows: number;
  readonly recovered: readonly string[];
  readonly warnings: readonly string[];
}

export function folders(base: string): { offsets: string; root: string; file: string } {
  return { offsets: join(base, 'offsets'), root: join(base, 'target'), file: join(base, 'target', 'day.txt') };
}

export function offsetsSettings(options: LoadOptions): OffsetsSettings {
  const { heartbeatMs, takeOverAfterMs, stream } = options;
  const mode = stream ? 'STREAM' : 'FILE';
  const name = stream?.topic ?? folders(options.base).offsets;
  const partitions = stream?.partitions ?? 1;
  return {
    mode,
    name,
    partitions,
    replicationFactor: 1,
    createOptions: {},
    progressTopic: 'progress',
    heartbeatMs,
    takeOverAfterMs,
  };
}

export function kafkaSettings(bootstrapServers: string): KafkaSettings {
  const bootstrap = bootstrapServers.split(',').map((address) => {
    const [host, port] = address.split(':');
    return { host: host ?? '', port: Number(port) };
  });
  return {
    connection: {
      bootstrap,
      clientId: 'kafkaload-test',
      tls: null,
      sasl: null,
      connectTimeoutMs: 10_000,
      requestTimeoutMs: 30_000,
      deadlineMs: 30_000,
      retryBackoffMs: 50,
      retryBackoffMaxMs: 500,
    },
    fetch: {
      isolationLevel: 'read_committed',
      maxBytes: 1024 ** 2,
      maxWaitMs: 100,
      checkCrcs: true,
      maxBatchBytes: 1024 ** 2,
      clientRack: '',
    },
    rdkafka: { 'bootstrap.servers': bootstrapServers },
  };
}

/** Reads a topic of the broker; each reader has a connection of its own, which ends with the process or `close`. */
export function topicReader(bootstrapServers: string): { reader: TopicReader; close: () => void } {
  const cluster = new Cluster(kafkaSettings(bootstrapServers).connection);
  return {
    reader: (topic, options) => readTopicCommitted(cluster, topic, options),
    close: () => void cluster.close(),
  };
}

export interface SessionHooks {
  readonly onStep?: (name: string) => void | Promise<void>;
  readonly log?: (line: string) => void;
  readonly takeOver?: boolean;
  /** Default: the one topic. */
  readonly topics?: readonly string[];
  /** As `kafkaload offsets` opens a run: it has no staging. `discard` gives the ranges of a prepared run back. */
  readonly command?: { readonly discard: boolean };
  /** Default: the file system and the clock of this machine. */
  readonly fs?: FileSystem;
  readonly clock?: Clock;
  /** Reads the offsets topic in place of a broker. */
  readonly reader?: TopicReader;
}

export async function openSession(options: LoadOptions, hooks: SessionHooks = {}): Promise<RunSession> {
  const { stream } = options;
  const { reader, fs, clock } = hooks;
  const connected = stream && !reader ? topicReader(stream.bootstrapServers) : null;
  try {
    const session = await openRun({
      config: CONFIG,
      topics: hooks.topics ?? [TOPIC],
      offsets: offsetsSettings(options),
      root: hooks.command ? null : folders(options.base).root,
      clusterId: 'cluster-1',
      kafka: kafkaSettings(stream?.bootstrapServers ?? 'localhost:9092'),
      log: hooks.log ?? (() => undefined),
      ...(connected ? { reader: connected.reader } : {}),
      ...(reader ? { reader } : {}),
      ...(fs ? { fs } : {}),
      ...(clock ? { clock } : {}),
      ...(hooks.onStep ? { onStep: hooks.onStep } : {}),
      ...(hooks.command ? { discard: hooks.command.discard } : {}),
      ...(hooks.takeOver ? { takeOver: true } : {}),
    });
    if (connected) closers.set(session, connected.close);
    return session;
  } catch (error) {
    connected?.close();
    throw error;
  }
}

const closers = new WeakMap<RunSession, () => void>();

/** Closes a session and what it read with. */
export async function closeSession(session: RunSession | null): Promise<void> {
  await session?.close();
  if (session) closers.get(session)?.();
}

/** One whole run. Failures with a code are a result; anything else is thrown. */
export async function load(options: LoadOptions, hooks: SessionHooks = {}): Promise<LoadResult> {
  let session: RunSession | null = null;
  try {
    session = await openSession(options, hooks);
    const recovered = session.recovered.map(({ run }) => run);
    const warnings = session.recovered.flatMap((entry) => entry.warnings);
    const intent = await stage(session, options, hooks.onStep, hooks.fs);
    if (intent) await session.finish(intent);
    const rows = intent?.files.reduce((sum, file) => sum + file.rows, 0) ?? 0;
    return { outcome: 'ok', message: '', rows, recovered, warnings };
  } catch (error) {
    if (!(error instanceof OffloadError)) throw error;
    return { outcome: error.code, message: error.message, rows: 0, recovered: [], warnings: [] };
  } finally {
    await closeSession(session);
  }
}

/** Plans both partitions from what is saved, and stages a file for each, or one new version of the exact file. */
export async function stage(
  session: RunSession,
  options: LoadOptions,
  onStep: (name: string) => void | Promise<void> = () => undefined,
  fs: FileSystem = nodeFileSystem,
): Promise<Intent | null> {
  const { root, file: exactPath } = folders(options.base);
  const previous = [0, 1].map((partition): PartitionOffset => {
    const saved = session.saved.offsets.find((entry) => entry.partition === partition);
    return { topic: TOPIC, partition, offset: saved?.offset ?? null };
  });
  const ranges = previous.flatMap(({ partition, offset }): OffsetRange[] => {
    const startOffset = offset ?? 0;
    const endOffset = options.highWatermark;
    return startOffset < endOffset ? [{ topic: TOPIC, partition, startOffset, endOffset }] : [];
  });
  if (ranges.length === 0) return null;
  const isExact = options.target === 'file';
  let replaced: readonly string[] = [];
  let old: FileState | null = null;
  const files: StagedFile[] = [];
  try {
    if (!isExact && options.writeMode === 'Overwrite') replaced = await listOwnFiles(fs, root, CONFIG);
    if (isExact) {
      old = await checksumFile(fs, exactPath);
      const before = old ? (await fs.readFile(exactPath)).toString('utf8') : '';
      const staged = join(session.stagingPath, 'day.txt');
      files.push(await stageFile(fs, staged, exactPath, before + ranges.map(rowsOf).join(''), ranges));
    } else {
      for (const range of ranges) {
        const name = `part-0000${range.partition}-${session.run}.txt`;
        const folder = options.target === 'folder' ? root : join(root, `p=${range.partition}`);
        files.push(await stageFile(fs, join(session.stagingPath, name), join(folder, name), rowsOf(range), [range]));
      }
    }
    await syncFolder(fs, session.stagingPath);
  } catch (error) {
    // As the coordinator does: a staging folder that is gone was removed by the run that took over.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new OffloadError('FENCED', 'staging is gone');
    throw ioError('stage in', session.stagingPath, error);
  }
  await onStep('stage.done');
  const commit = options.commit ?? true;
  const saved = previous.filter(({ offset }) => offset !== null);
  const next = previous.map((entry) => ({ ...entry, offset: Math.max(entry.offset ?? 0, options.highWatermark) }));
  return {
    version: 1,
    config: CONFIG,
    run: session.run,
    stagingPath: session.stagingPath,
    target: isExact ? { kind: 'file', path: exactPath, old } : { kind: 'folder', path: root },
    commit,
    writeMode: options.writeMode,
    previous: commit ? previous : saved,
    next: commit ? next : saved,
    files,
    replaced,
    ranges,
    gaps: [],
    topicIds: { [TOPIC]: 'topic-id-1' },
    root,
    previousRun: session.saved.previousRun,
    createdAtMs: 1_800_000_000_000,
  };
}

/** Prepares a run that reads another topic as well, up to offset 3 of its partition 0, and crashes. */
export async function crashPreparedOfTwoTopics(options: LoadOptions, other: string): Promise<void> {
  const onStep = (name: string): void => {
    if (name === 'prepare.after') throw new Error('crash');
  };
  const session = await openSession(options, { topics: [TOPIC, other], onStep });
  try {
    const intent = await stage(session, options);
    if (!intent) throw new Error('nothing to stage');
    const place = { topic: other, partition: 0 };
    await session.finish({
      ...intent,
      previous: [{ ...place, offset: null }, ...intent.previous],
      next: [{ ...place, offset: 3 }, ...intent.next],
    });
  } catch (error) {
    if ((error as Error).message !== 'crash') throw error;
  } finally {
    await closeSession(session);
  }
}

function rowsOf({ partition, startOffset, endOffset }: OffsetRange): string {
  let rows = '';
  for (let offset = startOffset; offset < endOffset; offset++) rows += `${partition},${offset}\n`;
  return rows;
}

async function stageFile(
  fs: FileSystem,
  stagedPath: string,
  targetPath: string,
  text: string,
  ranges: readonly OffsetRange[],
): Promise<StagedFile> {
  await writeSynced(fs, stagedPath, Buffer.from(text), 'wx');
  const state = await checksumFile(fs, stagedPath);
  if (!state) throw new Error(`${stagedPath} is gone`);
  return { stagedPath, targetPath, rows: text.split('\n').length - 1, ...state, ranges };
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Every visible row, in order. */
export async function visibleRows(options: LoadOptions, fs: FileSystem = nodeFileSystem): Promise<string[]> {
  return (await rowsBelow(folders(options.base).root, fs)).sort(compareText);
}

async function rowsBelow(folder: string, fs: FileSystem): Promise<string[]> {
  const rows: string[] = [];
  for (const name of (await unlessAbsent(fs.readdir(folder))) ?? []) {
    const path = join(folder, name);
    if (name.endsWith('.txt'))
      rows.push(
        ...String(await fs.readFile(path))
          .split('\n')
          .slice(0, -1),
      );
    else if (name.startsWith('p=')) rows.push(...(await rowsBelow(path, fs)));
  }
  return rows;
}

export function expectedRows(from: number, to: number): string[] {
  const rows: string[] = [];
  for (const partition of [0, 1]) for (let offset = from; offset < to; offset++) rows.push(`${partition},${offset}`);
  return rows.sort(compareText);
}

export async function savedText(options: LoadOptions, fs: FileSystem = nodeFileSystem): Promise<string> {
  return String((await unlessAbsent(fs.readFile(join(folders(options.base).offsets, CONFIG)))) ?? '');
}

/** Names in `staging/*`: runs whose staging was not removed. */
export async function stagedRuns(options: LoadOptions, fs: FileSystem = nodeFileSystem): Promise<string[]> {
  const staging = join(folders(options.base).root, '_kafkaload', 'staging');
  const found: string[] = [];
  for (const place of (await unlessAbsent(fs.readdir(staging))) ?? [])
    found.push(...(await fs.readdir(join(staging, place))));
  return found.sort(compareText);
}

/** Kinds of files beside the saved offsets, sorted: `['done']` after a run that ended. */
export async function stateKinds(options: LoadOptions, fs: FileSystem = nodeFileSystem): Promise<string[]> {
  const names = (await unlessAbsent(fs.readdir(folders(options.base).offsets))) ?? [];
  return names
    .filter((name) => name.startsWith('.'))
    .map((name) => name.split('.')[2] ?? '')
    .sort(compareText);
}

export async function makeBase(): Promise<{ base: string; remove: () => Promise<void> }> {
  const base = await mkdtemp(join(tmpdir(), 'kafkaload-commit-'));
  return { base, remove: () => rm(base, { recursive: true, force: true }) };
}

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Makes one file of each loader and what both share, since Node 20 runs no TypeScript; it must be where node_modules is found. */
export async function compileLoader(): Promise<{
  readonly script: string;
  readonly sleeper: string;
  readonly remove: () => Promise<void>;
}> {
  const cache = join(ROOT, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'commit-test-'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
  const input = Object.fromEntries(
    ['loader', 'sleeper'].map((name) => [name, join(ROOT, `test/unit/commit/${name}.ts`)]),
  );
  const bundle = await rolldown({
    platform: 'node',
    input,
    external: (id) => !id.startsWith('.') && !isAbsolute(id),
    plugins: [{ name: 'modules of WebAssembly are where the build puts them', transform: asBuilt }],
  });
  await bundle.write({ dir: folder, format: 'esm' });
  await bundle.close();
  return {
    script: join(folder, 'loader.js'),
    sleeper: join(folder, 'sleeper.js'),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function asBuilt(code: string, id: string): string | null {
  const module = relative(join(ROOT, 'src'), id);
  if (module.startsWith('..') || !code.includes('import.meta.url')) return null;
  const path = join(ROOT, 'dist', 'src', module.replace(/\.ts$/, '.js'));
  return code.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href));
}
