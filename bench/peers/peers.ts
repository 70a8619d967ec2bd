/** `bench -- peers`: the contenders on the same topics, in turns, and what the goals make of it. */
import { join } from 'node:path';
import { kcatContender } from '../core/kcat.ts';
import { CONTENDERS, type Peer, SERIES, SMALL_MESSAGES, type TopicCodec } from '../core/names.ts';
import { offloadContender } from '../core/offload.ts';
import { finishBench } from '../core/output.ts';
import type { Series } from '../core/results.ts';
import { type Contender, runRounds } from '../core/rounds.ts';
import { type BenchTopic, fillTopic } from '../core/topic.ts';
import { type Workspace, withWorkspace } from '../core/workspace.ts';
import { printGoals } from '../goals/print.ts';
import { compareInSpark, type Pair, scriptContender, sparkContender } from './contenders.ts';
import { findKcat, preparePython, prepareSpark, type Spark } from './setup.ts';

export interface PeersOptions {
  /** Which to install, where missing, and to run. */
  readonly peers: readonly Peer[];
  readonly messages: number;
  readonly rounds: number;
}

/** Null: not asked for, or not to be had. */
interface Installed {
  readonly kcat: string | null;
  readonly python: { readonly python: string; readonly version: string } | null;
  readonly spark: Spark | null;
}

interface Setting {
  readonly name: string;
  readonly messages: number;
  readonly partitions: number;
  readonly topicCodec: TopicCodec;
  readonly parquetCodec: 'snappy' | 'zstd';
  /** Beside our own folder and Spark, who take part in each. */
  readonly others: readonly ('one file' | 'kcat' | 'script' | 'scripts')[];
}

export async function runPeers({ peers, messages, rounds }: PeersOptions): Promise<void> {
  const startedAt = new Date();
  const installed: Installed = {
    kcat: peers.includes('kcat') ? findKcat() : null,
    python: peers.includes('python') ? await preparePython() : null,
    spark: peers.includes('spark') ? await prepareSpark() : null,
  };
  const { kcat, python, spark } = installed;
  await withWorkspace(async (workspace) => {
    const series: Series[] = [];
    const pairs: Pair[] = [];
    for (const setting of settingsOf(messages)) {
      const made = await runSetting(workspace, installed, setting, rounds);
      series.push(made.series);
      pairs.push(made.pair);
    }
    const remarks = spark ? await compareInSpark(spark, pairs) : [];
    finishBench('peers', startedAt, series, {
      Kafka: workspace.brokerVersion,
      ...(kcat !== null && { kcat }),
      ...(python && { Python: python.version }),
      ...(spark && { Spark: spark.version }),
    });
    for (const remark of remarks) console.log(remark);
  });
  printGoals();
}

function settingsOf(messages: number): Setting[] {
  const [standard, small] = [
    { messages, partitions: 8 },
    { messages: Math.min(messages, SMALL_MESSAGES), partitions: 1 },
  ];
  const [snappy, zstd] = ['snappy', 'zstd'] as const;
  return [
    {
      ...{ name: SERIES.standard, ...standard, topicCodec: 'lz4', parquetCodec: snappy },
      others: ['one file', 'kcat', 'script', 'scripts'],
    },
    { name: SERIES.zstd, ...standard, topicCodec: zstd, parquetCodec: zstd, others: [] },
    { name: SERIES.small, ...small, topicCodec: 'none', parquetCodec: snappy, others: ['kcat', 'script'] },
  ];
}

async function runSetting(
  workspace: Workspace,
  installed: Installed,
  setting: Setting,
  rounds: number,
): Promise<{ series: Series; pair: Pair }> {
  const { name, messages, partitions, topicCodec, parquetCodec } = setting;
  console.log(`\n--- ${name}: ${topicCodec} to Parquet ${parquetCodec}`);
  const shape = { messages, partitions, codec: topicCodec, valueBytes: null };
  const topic = await fillTopic(workspace.bootstrapServers, workspace.topics, shape);
  const folderOf = (who: string): string => join(workspace.folder, `${name.replaceAll(' ', '-')}-${who}`);
  const pair = { series: name, own: folderOf('kafkaload'), sparks: folderOf('spark') };
  const contenders = contendersOf(workspace, installed, setting, topic, pair);
  const results = await runRounds(contenders, topic.input, rounds);
  return { series: { name, input: topic.input, rounds, results }, pair };
}

function contendersOf(
  workspace: Workspace,
  { kcat, python, spark }: Installed,
  { parquetCodec: codec, others }: Setting,
  topic: BenchTopic,
  pair: Pair,
): Contender[] {
  const more = codec === 'snappy' ? [] : ['--write-options', `compression=${codec}`];
  const script = (processes: 1 | 2): Contender[] =>
    python ? [scriptContender(workspace, topic, { python: python.python, codec, processes })] : [];
  return [
    offloadContender(workspace, CONTENDERS.own, topic, { more, keepAt: pair.own }),
    ...(others.includes('one file')
      ? [offloadContender(workspace, CONTENDERS.ownOneFile, topic, { more, isOneFile: true })]
      : []),
    ...(others.includes('kcat') && kcat !== null ? [kcatContender(workspace, topic)] : []),
    ...(others.includes('script') ? script(1) : []),
    ...(others.includes('scripts') ? script(2) : []),
    ...(spark ? [sparkContender(workspace, topic, { spark, codec, path: pair.sparks })] : []),
  ];
}
