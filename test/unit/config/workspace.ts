import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Job } from '../../../src/config/job.ts';
import type { CliOptions, Environment } from '../../../src/config/options.ts';
import { resolveJob } from '../../../src/config/resolveJob.ts';
import { isOffload, type OffloadJob } from '../../../src/coordinator/jobs.ts';
import { OffloadError } from '../../../src/errors.ts';

export type Options = { readonly [Name in keyof CliOptions]: CliOptions[Name] | undefined };

/** A folder with a configuration file, and jobs resolved from there. Removed after the tests of the file. */
export async function makeWorkspace() {
  const folder = await mkdtemp(join(tmpdir(), 'kafkaload-config-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const environment = (env: Environment['env'] = {}): Environment => ({
    env,
    cwd: folder,
    now: new Date('2026-11-22T23:59:59Z'),
    machine: { cores: 4, memoryBytes: 16 * 1024 ** 3 },
  });
  /** A job of the entry `orders`, wherever it goes. */
  const resolveAny = async (file: string, options: Options, env: Environment['env'] = {}): Promise<Job> => {
    await writeFile(join(folder, 'kafkaload.yml'), file);
    return resolveJob({ config: 'orders', ...options } as CliOptions, environment(env));
  };
  return {
    folder,
    environment,
    write: (name: string, text: string) => writeFile(join(folder, name), text),
    /** A job from topic to files. `file` is written to kafkaload.yml first; an option given as undefined takes back the one set here. */
    resolve: async (file: string, options: Options = {}, env: Environment['env'] = {}): Promise<OffloadJob> => {
      const job = await resolveAny(file, { path: 'out', ...options }, env);
      if (!isOffload(job)) throw new Error(`from ${job.source.kind} to ${job.sink.kind}`);
      return job;
    },
    resolveAny,
  };
}

/** A configuration whose `serverOptions`, `accessOptions` and topic are the ones given, as JSON, which is YAML. */
export function configOf(parts: {
  readonly server?: Readonly<Record<string, unknown>>;
  readonly access?: Readonly<Record<string, unknown>>;
  readonly topic?: Readonly<Record<string, unknown>>;
  readonly kafka?: Readonly<Record<string, unknown>>;
  readonly topics?: Readonly<Record<string, unknown>>;
}): string {
  const { server = {}, access = {}, topic = {}, kafka = {}, topics = {} } = parts;
  return JSON.stringify({
    kafka: {
      serverOptions: { 'bootstrap.servers': 'broker:9092', ...server },
      topics: { orders: { topicName: 'orders', accessOptions: access, ...topic }, ...topics },
      ...kafka,
    },
  });
}

/** The error a promise or function ends in, as `CODE: message`; a value in its place is a failure. */
export async function errorOf(attempt: () => unknown): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof OffloadError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('no error was thrown');
}
