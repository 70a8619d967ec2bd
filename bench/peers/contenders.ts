/** What people use today for the same job, each as its users run it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../../test/helpers/cache.ts';
import { checksumOf } from '../core/checksum.ts';
import { type Measurement, measure } from '../core/measure.ts';
import { CONTENDERS } from '../core/names.ts';
import { ROOT } from '../core/paths.ts';
import type { Contender, ContenderRun } from '../core/rounds.ts';
import type { BenchTopic } from '../core/topic.ts';
import type { Workspace } from '../core/workspace.ts';
import type { Spark } from './setup.ts';

const SCRIPT = join(ROOT, 'bench', 'peers', 'script.py');
const SPARK_JOB = join(ROOT, 'bench', 'peers', 'spark.py');

/** @param codec Of the Parquet files. */
export function scriptContender(
  { bootstrapServers, folder }: Workspace,
  { topic }: BenchTopic,
  options: { readonly python: string; readonly codec: string; readonly processes: 1 | 2 },
): Contender {
  const { python, codec, processes } = options;
  const path = join(folder, `script-${processes}`);
  const args = [SCRIPT, bootstrapServers, topic, path, codec, String(processes)];
  return {
    name: processes === 1 ? CONTENDERS.script : CONTENDERS.scripts,
    isOurs: false,
    run: () => checked(path, () => measure(python, args, { cwd: folder })),
  };
}

/** @param path Folder of what it writes; that of the last round stays. */
export function sparkContender(
  { bootstrapServers, folder, topics }: Workspace,
  { topic }: BenchTopic,
  options: { readonly spark: Spark; readonly codec: string; readonly path: string },
): Contender {
  const { spark, codec, path } = options;
  return {
    name: CONTENDERS.spark,
    isOurs: false,
    run: async () => {
      // The Spark-based tool asks the broker for the ends beforehand, and hands them to the source.
      const ends = Object.entries(await topics.endOffsets(topic));
      const starting = JSON.stringify({ [topic]: Object.fromEntries(ends.map(([partition]) => [partition, 0])) });
      const ending = JSON.stringify({ [topic]: Object.fromEntries(ends) });
      const args = [SPARK_JOB, 'offload', bootstrapServers, topic, starting, ending, path, codec];
      return checked(path, () => measure(spark.python, args, { cwd: folder, env: sparkEnvironment(spark) }), true);
    },
  };
}

async function checked(path: string, run: () => Promise<Measurement>, isKept = false): Promise<ContenderRun> {
  rmSync(path, { recursive: true, force: true });
  const measured = await run();
  const output = await checksumOf(join(path, '*.parquet'));
  if (!isKept) rmSync(path, { recursive: true, force: true });
  return { measured, output };
}

/** Folders with the same rows, written by us and by Spark. */
export interface Pair {
  readonly series: string;
  readonly own: string;
  readonly sparks: string;
}

/**
 * Has Spark read what both have written.
 *
 * @returns One line for each pair.
 * @throws Error in one line: Spark finds other rows in our files than in its own, or finds them not by their values.
 */
export async function compareInSpark(spark: Spark, pairs: readonly Pair[]): Promise<string[]> {
  const folders = pairs.flatMap(({ own, sparks }) => [own, sparks]);
  const environment = Object.entries(sparkEnvironment(spark)).map(([name, value]) => `${name}=${value}`);
  const output = await mustRun('env', [...environment, spark.python, SPARK_JOB, 'check', ...folders]);
  const lines = output.split('\n').filter((line) => line.startsWith('{'));
  return pairs.map(({ series }, index) => {
    const [own = '', sparks = ''] = lines.slice(2 * index, 2 * index + 2);
    if (own === '' || own !== sparks) {
      throw new Error(`${series}: Spark reads ${own} in the files of kafkaload, and ${sparks} in its own`);
    }
    const { rows, found } = JSON.parse(own) as { rows: number; found: Record<string, number> };
    const names = Object.keys(found).join(', ');
    return `${series}: Spark reads the ${rows.toLocaleString('en-US')} rows of kafkaload's files as those of its own; look-ups by ${names} find the same`;
  });
}

function sparkEnvironment({ kafkaJars }: Spark): NodeJS.ProcessEnv {
  return { ...process.env, KAFKA_JARS: kafkaJars, SPARK_LOCAL_IP: '127.0.0.1' };
}
