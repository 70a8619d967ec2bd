import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { ProgramResult } from './cache.ts';

/** Mutants (scripts/mutants.mjs) are in a folder of their own. */
const DIST = process.env.KAFKALOAD_TEST_DIST || 'dist';
const COMMAND = fileURLToPath(new URL(`../../${DIST}/src/cli.js`, import.meta.url));

export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  // The real path: on some systems the temporary folder is a link, and the command reports what it resolved.
  const path = await realpath(await mkdtemp(join(tmpdir(), 'kafkaload-test-')));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

export type TopicEntry = Readonly<Record<string, unknown>> & { readonly topicName: string };

export interface ConfigFile {
  readonly bootstrapServers: string;
  readonly mode: 'STREAM' | 'FILE';
  /** Topic, or folder in FILE mode. */
  readonly offsets: string;
  readonly topics: Readonly<Record<string, TopicEntry>>;
  /** More keys beside `topics`, such as `heartbeatMs`. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly connections?: Readonly<Record<string, unknown>>;
}

/** Writes `kafkaload.yaml` into a folder; returns its path. */
export async function writeConfig(folder: string, config: ConfigFile, name = 'kafkaload.yaml'): Promise<string> {
  const path = join(folder, name);
  const offsets = { topicName: config.offsets, partitions: 1, replicationFactor: 1 };
  const tree = {
    kafka: {
      cometOffsetsMode: config.mode,
      serverOptions: { 'bootstrap.servers': config.bootstrapServers },
      ...config.more,
      topics: {
        ...config.topics,
        comet_offsets:
          config.mode === 'FILE'
            ? { topicName: config.offsets }
            : { ...offsets, createOptions: { 'cleanup.policy': 'compact' } },
      },
    },
    ...(config.connections && { connections: config.connections }),
  };
  await writeFile(path, stringify(tree));
  return path;
}

export interface CommandRun {
  readonly child: ChildProcess;
  /** What was printed so far. */
  output(): { stdout: string; stderr: string };
  readonly result: Promise<ProgramResult>;
}

/** Starts the real command; the caller waits for `result`, whatever its exit status. */
export function startCommand(
  args: readonly string[],
  options: { cwd: string; env?: Readonly<Record<string, string>> },
): CommandRun {
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1', ...options.env };
  // A colour forced for vitest's own output must not reach the messages under test.
  delete env.FORCE_COLOR;
  const child = spawn(process.execPath, [COMMAND, ...args], {
    cwd: options.cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const result = new Promise<ProgramResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, output: () => ({ stdout, stderr }), result };
}

/** Runs the real command to its end. */
export function runCommand(
  args: readonly string[],
  options: { cwd: string; env?: Readonly<Record<string, string>> },
): Promise<ProgramResult> {
  return startCommand(args, options).result;
}

/** The document of `--report json`. */
export interface JsonReport {
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly dataSeconds?: number;
  readonly files: readonly { readonly path: string; readonly rows: number; readonly bytes: number }[];
  readonly offsets: Readonly<Record<string, { readonly from: number | null; readonly to: number }>>;
  readonly workers: readonly { readonly worker: number; readonly rows: number }[];
  readonly retries: number;
}

/** Runs the command with `--report json`; it must exit 0. */
export async function offloadReport(args: readonly string[], options: { cwd: string }): Promise<JsonReport> {
  const result = await runCommand([...args, '--report', 'json'], options);
  if (result.code !== 0) {
    const ending = result.code ?? result.signal;
    throw new Error(`kafkaload ${args.join(' ')} ended with ${ending}:\n${result.stderr}\n${result.stdout}`);
  }
  return JSON.parse(result.stdout) as JsonReport;
}
