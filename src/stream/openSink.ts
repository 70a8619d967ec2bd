/** Where the rows of a stream go. */
import { isOffload, isShow, isTableStream, isTopicToTopic, type StreamJob } from '../coordinator/jobs.ts';
import type { ProgressStep } from '../coordinator/progress.ts';
import type { SelectedTopic } from '../coordinator/topics.ts';
import type { RunUi } from '../coordinator/ui.ts';
import { OffloadError } from '../errors.ts';
import type { Cluster } from '../kafka/cluster.ts';
import type { Looker } from './looker.ts';
import type { GroupMember, Observe, StreamFlow, StreamSink } from './types.ts';

export interface SinkContext {
  readonly job: StreamJob;
  readonly ui: RunUi;
  readonly member: GroupMember;
  /** Of the topics that are read. */
  readonly cluster: Cluster;
  readonly topics: readonly SelectedTopic[];
  readonly looker: Looker;
  readonly observe: Observe;
  /** Ends whatever is under way. */
  readonly signal: AbortSignal;
}

export interface OpenedSink {
  readonly sink: StreamSink;
  /** False: a micro-batch is all there is: for one file that must be exactly that. */
  readonly isBounded: boolean;
}

/** @throws OffloadError as the sink has it; TARGET_UNSUITABLE, USAGE, and what it meets while it is opened. */
export async function openSink(context: SinkContext): Promise<OpenedSink> {
  const { job } = context;
  if (isOffload(job)) {
    const { openFilesSink } = await import('./filesSink.ts');
    return { sink: await openFilesSink({ ...context, job }), isBounded: job.sink.target.kind !== 'file' };
  }
  if (isShow(job)) {
    const { ConsoleStreamSink } = await import('./consoleSink.ts');
    return { sink: new ConsoleStreamSink({ ...context, job }), isBounded: true };
  }
  if (isTopicToTopic(job)) {
    const { openTopicSink } = await import('./topicSink.ts');
    const { member, cluster, topics, ui, observe, signal } = context;
    const onProgress = (step: ProgressStep): void => observe({ kind: 'progress', ...step });
    return {
      sink: await openTopicSink({ job, member, source: cluster, topics, log: ui.log, onProgress, signal }),
      isBounded: true,
    };
  }
  if (isTableStream(job)) {
    const { openTableSink } = await import('./table/tableSink.ts');
    return { sink: await openTableSink({ ...context, job }), isBounded: true };
  }
  throw new OffloadError('INTERNAL', `no stream to ${job.sink.kind}`);
}

/** Rows that flow, where a target can take them so: topics and the console. Files and tables roll at the interval: null. */
export async function openFlow(context: SinkContext): Promise<StreamFlow | null> {
  const { job } = context;
  if (!isTopicToTopic(job) && !isShow(job)) return null;
  const { openContinuous } = await import('./continuous/openContinuous.ts');
  const { member, cluster, topics, ui, observe, signal } = context;
  return openContinuous({
    ...{ job, member, source: cluster, topics, log: ui.log, signal },
    print: (line) => ui.stdout.write(`${line}\n`),
    onProgress: (step) => observe({ kind: 'progress', ...step }),
  });
}
