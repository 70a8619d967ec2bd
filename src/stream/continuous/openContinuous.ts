/** Opens the flow of a job: topics -> topic, or topics -> console. */
import { setTimeout as sleep } from 'node:timers/promises';
import { reportBadRecords } from '../../coordinator/badRecords/counts.ts';
import { planDeadLetters } from '../../coordinator/badRecords/deadLetterTopic.ts';
import { warnOfInvalidUtf8 } from '../../coordinator/invalidValues.ts';
import { ensureTopic } from '../../coordinator/load/targetTopic.ts';
import { checkNoLoop } from '../../coordinator/load/topicLoop.ts';
import { transformPlan } from '../../coordinator/rowTransform.ts';
import { settleTopicJob } from '../../coordinator/settleJob.ts';
import { Cluster } from '../../kafka/cluster.ts';
import { EARLIEST_TIMESTAMP, LATEST_TIMESTAMP } from '../../kafka/protocol.ts';
import { planLoadMemory } from '../../plan/loadMemory.ts';
import { transformMemory } from '../../transform/memory.ts';
import { isUnsettled } from '../../transform/settle.ts';
import { openTransactions, type TopicSinkOptions } from '../topicSink.ts';
import type { Position, StreamFlow } from '../types.ts';
import { Flow } from './flow.ts';
import type { FlowSettings } from './messages.ts';
import { ConsoleOutlet, type FlowJob, type FlowOutlet, TopicOutlet } from './outlets.ts';

const LOOK_FOR_ROWS_MS = 250;
/** Rows decoded at once: small pieces leave early. */
const CHUNK_ROWS = 10_000;

export interface ContinuousOptions extends Omit<TopicSinkOptions, 'job'> {
  readonly job: FlowJob;
  /** Takes a line for the console, without its line feed. */
  readonly print: (line: string) => void;
}

/**
 * Makes the target topic if it is not there.
 *
 * @throws OffloadError as `openTopicSink`.
 */
export async function openContinuous(options: ContinuousOptions): Promise<StreamFlow> {
  const { job, onProgress, log } = options;
  const { outlet, look, deadLetters, ...opened } = await openOutlet(options);
  let { settings } = opened;
  return new Flow({
    outlet,
    threads: job.workers,
    settle: async (positions, signal) =>
      flowSettings(await settled(options, positions, signal), { settings, deadLetters }),
    isOutdated: async () => {
      const now = await look();
      const isOther = partitionsOf(now) !== partitionsOf(settings);
      settings = now;
      return isOther;
    },
    report: ({ invalidUtf8, bad }) => {
      const { badRecords, warnings } = reportBadRecords([bad], job.source.onBadRecord, { log });
      const all = [...warnOfInvalidUtf8([{ invalidUtf8 }], job.source, { log }), ...warnings];
      return { badRecords: badRecords?.records ?? 0, warnings: all };
    },
    ...(onProgress && { onProgress }),
  });
}

function partitionsOf(outlet: FlowSettings['outlet']): number {
  return outlet.kind === 'topic' ? outlet.target.partitions : 0;
}

interface OpenedOutlet {
  readonly outlet: FlowOutlet;
  readonly settings: FlowSettings['outlet'];
  /** As the target is by now. */
  readonly look: () => Promise<FlowSettings['outlet']>;
  readonly deadLetters: FlowSettings['deadLetters'];
}

async function openOutlet(options: ContinuousOptions): Promise<OpenedOutlet> {
  const { job, member, print, source, topics, signal } = options;
  const { sink } = job;
  if (sink.kind === 'console') {
    const settings: FlowSettings['outlet'] = { kind: 'console', numRows: sink.numRows };
    return {
      outlet: new ConsoleOutlet(sink, member, print),
      settings,
      look: async () => settings,
      deadLetters: null,
    };
  }
  const topicJob = { ...job, sink };
  const target = new Cluster(sink.kafka.connection, signal);
  try {
    const readTopics = await checkNoLoop(topicJob, topics, source, target);
    const transactions = await openTransactions({ ...options, job: topicJob }, target, { overlap: true });
    const partitions = await ensureTopic(target, sink.kafka, { ...sink.create, topic: sink.topic });
    const { topic, compression, headers } = sink;
    const place = { connection: sink.kafka.connection, topic, readTopics, compression, headers };
    const settingsFor = (count: number): FlowSettings['outlet'] => ({
      kind: 'topic',
      target: { ...place, partitions: count },
    });
    return {
      outlet: new TopicOutlet(target, member, transactions, signal),
      settings: settingsFor(partitions),
      look: async () => settingsFor((await target.findTopic(topic))?.partitions.length ?? partitions),
      deadLetters: await planDeadLetters(job, target, sink.kafka),
    };
  } catch (error) {
    target.close();
    throw error;
  }
}

function flowSettings(
  { source, transform, maxMemoryBytes, workers }: FlowJob,
  { settings: outlet, deadLetters }: { settings: FlowSettings['outlet']; deadLetters: FlowSettings['deadLetters'] },
): FlowSettings {
  const { connection, fetch } = source.kafka;
  const memory = planLoadMemory({
    ...{ source: 'topic', maxMemoryBytes, workers, fetchBytes: fetch.maxBytes },
    transform: transformMemory(transform),
  });
  const { failOnDataLoss, fields, invalidUtf8, onBadRecord } = source;
  return {
    source: {
      ...{ kind: 'topic', connection, failOnDataLoss, fields, invalidUtf8 },
      leavesOutBad: onBadRecord.kind !== 'fail',
      fetch: { ...fetch, maxBytes: memory.fetchBytes },
    },
    transform: transformPlan(transform),
    chunkRows: CHUNK_ROWS,
    chunkBytes: memory.chunkBytes,
    outlet,
    deadLetters,
  };
}

/** With the columns that user code gives, which are learnt from rows: waits for the first of them. */
async function settled(
  { job, source }: ContinuousOptions,
  positions: readonly Position[],
  signal: AbortSignal,
): Promise<FlowJob> {
  while (isUnsettled(job.transform)) {
    const ranges = [];
    for (const { topic, partition } of positions) {
      const { isolationLevel } = job.source.kafka.fetch;
      const starts = await source.listOffsets(topic, [partition], EARLIEST_TIMESTAMP, 'read_uncommitted');
      const ends = await source.listOffsets(topic, [partition], LATEST_TIMESTAMP, isolationLevel);
      const range = { topic, partition, startOffset: starts.get(partition) ?? 0, endOffset: ends.get(partition) ?? 0 };
      if (range.startOffset < range.endOffset) ranges.push(range);
    }
    if (ranges.length > 0) return settleTopicJob(job, source, ranges);
    await sleep(LOOK_FOR_ROWS_MS, undefined, { signal });
  }
  return job;
}
