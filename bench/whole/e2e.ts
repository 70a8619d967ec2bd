/**
 * The whole command, topic to Parquet, beside kcat reading the same topic to nowhere: contenders alternate in one run,
 * and rows and hashes of the output are checked by DuckDB.
 */
import { kcatContender, kcatVersion } from '../core/kcat.ts';
import { CONTENDERS } from '../core/names.ts';
import { offloadContender } from '../core/offload.ts';
import { finishBench } from '../core/output.ts';
import { runRounds } from '../core/rounds.ts';
import { fillTopic, type TopicShape } from '../core/topic.ts';
import { withWorkspace } from '../core/workspace.ts';

export interface EndToEndOptions extends TopicShape {
  readonly rounds: number;
}

export async function runEndToEnd({ rounds, ...shape }: EndToEndOptions): Promise<void> {
  const startedAt = new Date();
  const kcat = kcatVersion();
  if (kcat === null) console.log('kcat is not installed: nothing to compare with (Debian: apt-get install kcat)');
  const made = await withWorkspace(async (workspace) => {
    const topic = await fillTopic(workspace.bootstrapServers, workspace.topics, shape);
    const contenders = [
      offloadContender(workspace, CONTENDERS.own, topic),
      offloadContender(workspace, CONTENDERS.ownOneFile, topic, { isOneFile: true }),
      ...(kcat === null ? [] : [kcatContender(workspace, topic)]),
    ];
    const results = await runRounds(contenders, topic.input, rounds);
    const series = { name: 'e2e', input: topic.input, rounds, results };
    return { series, broker: workspace.brokerVersion };
  });
  finishBench('e2e', startedAt, [made.series], { Kafka: made.broker, ...(kcat !== null && { kcat }) });
}
