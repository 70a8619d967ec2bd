/** `bench -- trace`: what each thread does when, in one run, and how busy the cores are. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { offloadContender } from '../core/offload.ts';
import { finishBench } from '../core/output.ts';
import { summarize } from '../core/results.ts';
import { formatTable } from '../core/table.ts';
import { fillTopic, type TopicShape } from '../core/topic.ts';
import { withWorkspace } from '../core/workspace.ts';
import { watchCores } from './cores.ts';
import { coresWhileWorkWasLeft, readTrace, type Trace, utilisationOf, WORKER_SPANS } from './spans.ts';

const RECORDER = pathToFileURL(join(import.meta.dirname, 'recorder.js')).href;

export async function runTrace(shape: TopicShape): Promise<void> {
  const startedAt = new Date();
  const { series, broker } = await withWorkspace(async (workspace) => {
    const topic = await fillTopic(workspace.bootstrapServers, workspace.topics, shape);
    const file = join(workspace.folder, 'spans.jsonl');
    // One run before, as in all benches: the broker's first answers are slow.
    await offloadContender(workspace, 'kafkaload', topic).run(0);
    const env = { NODE_OPTIONS: `--import=${RECORDER}`, KAFKALOAD_TRACE: file };
    const contender = offloadContender(workspace, 'kafkaload', topic, { env });
    const stop = watchCores();
    const { measured, dataSeconds } = await contender.run(1);
    const samples = stop();
    const lines = existsSync(file) ? readFileSync(file, 'utf8') : '';
    const { startedAtMs, seconds, cpuSeconds, peakRssBytes, memory } = measured;
    const trace = readTrace(lines, samples, startedAtMs, startedAtMs + seconds * 1000);
    const run = { seconds, cpuSeconds, peakRssBytes, loadBefore: 0, ...(dataSeconds !== undefined && { dataSeconds }) };
    const result = summarize({ contender: 'kafkaload', isOurs: true }, topic.input, [run], memory);
    return {
      series: { name: 'trace', input: topic.input, rounds: 1, results: [result], trace },
      broker: workspace.brokerVersion,
    };
  });
  finishBench('trace', startedAt, [series], { Kafka: broker });
  printTrace(series.trace);
}

function printTrace(trace: Trace): void {
  const percent = (share: number): string => `${(share * 100).toFixed(0)}%`;
  const lines = utilisationOf(trace).map(({ thread, seconds, shares }) => ({
    thread,
    'data s': seconds.toFixed(2),
    ...Object.fromEntries(WORKER_SPANS.map((span) => [span, percent(shares[span])])),
  }));
  console.log(`\n${formatTable(lines)}`);
  const cores = availableParallelism();
  console.log(`cores in use while every worker had work: ${coresWhileWorkWasLeft(trace).toFixed(2)} of ${cores}`);
}
