/** The command under test, from a topic to Parquet, as a contender. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomName } from '../../test/helpers/topics.ts';
import { checksumOf } from './checksum.ts';
import { measure } from './measure.ts';
import { COMMAND } from './paths.ts';
import type { Contender, ContenderRun } from './rounds.ts';
import type { BenchTopic } from './topic.ts';
import type { Workspace } from './workspace.ts';

const FIELDS = [
  'key as STRING',
  'value as STRING',
  'partition as INT',
  'offset as LONG',
  'timestamp as TIMESTAMP',
] as const;

export interface OffloadOptions {
  /** More of the command line. */
  readonly more?: readonly string[];
  /** One file instead of a folder. */
  readonly isOneFile?: boolean;
  /** Keep what is written at this path, instead of removing it after it was checked. */
  readonly keepAt?: string;
  /** False: the rows are others than those of the topic, so they are only counted. */
  readonly isPlain?: boolean;
  /** Read only so many rows of the topic, the first ones: they are what the result is about. */
  readonly rows?: number;
  /** More of the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export function offloadContender(
  workspace: Workspace,
  name: string,
  topic: BenchTopic,
  options: OffloadOptions = {},
): Contender {
  const { rows = topic.input.rows } = options;
  const part = rows === topic.input.rows ? topic : firstOf(topic, rows);
  const more = [...(options.more ?? []), ...(part === topic ? [] : ['--ending-offsets', endsOf(part.input)])];
  const run = () => runOffload(workspace, part, { ...options, more });
  return { name, isOurs: true, ...(options.rows !== undefined && { input: part.input }), run };
}

function firstOf({ topic, input }: BenchTopic, rows: number): BenchTopic {
  return { topic, input: { ...input, rows, messageBytes: Math.round((input.messageBytes * rows) / input.rows) } };
}

/** Messages lie round robin over the partitions. */
function endsOf({ rows, partitions }: BenchTopic['input']): string {
  const ends = Array.from({ length: partitions }, (_, partition) => Math.ceil((rows - partition) / partitions));
  return JSON.stringify(Object.fromEntries(ends.entries()));
}

/** Every run has a config of its own, so that each reads the whole topic; offsets are saved in a topic. */
async function runOffload(
  { bootstrapServers, offsetsTopic, folder }: Workspace,
  { topic, input }: BenchTopic,
  { more = [], isOneFile = false, keepAt, isPlain = true, env }: OffloadOptions,
): Promise<ContenderRun> {
  const config = randomName('bench');
  const conf = join(folder, `${config}.json`);
  const kafka = {
    serverOptions: { 'bootstrap.servers': bootstrapServers },
    topics: {
      [config]: { topicName: topic, fields: FIELDS },
      comet_offsets: { topicName: offsetsTopic },
    },
  };
  writeFileSync(conf, JSON.stringify({ kafka }));
  const path = keepAt ?? join(folder, isOneFile ? `${config}.parquet` : config);
  rmSync(path, { recursive: true, force: true });
  const args = [COMMAND, '--conf', conf, '--config', config, '--write-path', path, '--report', 'json'];
  if (isOneFile) args.push('--write-coalesce', '1');
  const measured = await measure(process.execPath, [...args, ...more], {
    cwd: folder,
    ...(env && { env: { ...process.env, ...env } }),
  });
  const { rows, dataSeconds } = JSON.parse(measured.stdout) as { rows: number; dataSeconds?: number };
  if (rows !== input.rows) throw new Error(`${rows} rows were reported, and ${input.rows} are in topic ${topic}`);
  const output = isPlain ? await checksumOf(isOneFile ? path : join(path, '*.parquet')) : undefined;
  if (keepAt === undefined) rmSync(path, { recursive: true, force: true });
  return { measured, ...(dataSeconds !== undefined && { dataSeconds }), ...(output && { output }) };
}
