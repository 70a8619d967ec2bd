/**
 * A job that keeps running, from its start to its end: topic -> files, table, topic or console. Files -> topic are watched
 * in `watchFiles.ts`.
 */
import type { GroupSettings } from '../config/kafkaSettings.ts';
import type { StreamJob } from '../coordinator/jobs.ts';
import { emptyReport, type OffloadReport } from '../coordinator/report.ts';
import { STOP_WITHIN_MS, withinMs } from '../coordinator/stopping.ts';
import { plainTopicOf } from '../coordinator/topics.ts';
import type { RunUi } from '../coordinator/ui.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { Cluster } from '../kafka/cluster.ts';
import { Assignment } from './assignment.ts';
import { FlowLoop } from './flowLoop.ts';
import { openGroupMember } from './groupMember.ts';
import { Looker } from './looker.ts';
import { createObserver } from './observe/observer.ts';
import { openFlow, openSink, type SinkContext } from './openSink.ts';
import { checkStartingOffsets } from './resume.ts';
import { type LoopOptions, StreamLoop } from './streamLoop.ts';
import { TopicCatalog } from './topicCatalog.ts';
import { Turns } from './turns.ts';
import type { GroupMember, Observe, TopicPartition } from './types.ts';
import { Waker } from './waker.ts';

/** What is under way when a stream is told to stop may take so long; then it is abandoned, and nothing of it counts. */
const FINISH_WITHIN_MS = 6_000;

/**
 * Runs a stream until it is told to stop, or, with the triggers `Once` and `AvailableNow`, until all there was is taken.
 *
 * @param signal Asks it to finish its micro-batch and leave the group: that is no failure.
 * @returns What was done since the start.
 * @throws OffloadError that does not pass by itself. Whatever it is, each row is in the target once, or will be when the
 *   stream goes on.
 */
export async function runStream(job: StreamJob, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  const { group } = job.stream;
  if (group === null) throw new OffloadError('INTERNAL', 'a stream of a topic has a group');
  const startedAtMs = performance.now();
  const seconds = (): number => (performance.now() - startedAtMs) / 1000;
  if (job.dryRun) {
    const { planStream } = await import('./planStream.ts');
    return { ...reportOf(job), plan: await planStream(job, group, signal), seconds: seconds() };
  }
  const stop = stopping(signal);
  const observer = await createObserver({ job, log: ui.log, stderr: ui.stderr });
  const say = (): void => observer.observe({ kind: 'stopping', why: whyStopped(signal) });
  signal.addEventListener('abort', say, { once: true });
  try {
    const loop = await run(job, group, ui, stop, observer.observe);
    const { totals } = loop;
    const { moves } = totals;
    return {
      ...reportOf(job),
      ...(moves.length > 0 && { topics: [...new Set(moves.map(({ topic }) => topic))] }),
      rows: totals.rows,
      bytes: totals.bytes,
      seconds: seconds(),
      files: totals.files,
      offsets: moves,
      stream: {
        group: group.groupId,
        microBatches: totals.batches,
        files: totals.fileCount,
        badRecords: totals.badRecords,
        stopped: signal.aborted,
      },
    };
  } finally {
    stop.end();
    signal.removeEventListener('abort', say);
    await observer.close();
  }
}

type Loop = StreamLoop | FlowLoop;

async function run(
  job: StreamJob,
  group: GroupSettings,
  ui: RunUi,
  { stop, abandon }: Stopping,
  observe: Observe,
): Promise<Loop> {
  const cluster = new Cluster(job.source.kafka.connection, abandon);
  const [turns, waker] = [new Turns(), new Waker()];
  const catalog = new TopicCatalog(cluster, job.source.selection, job.offsets);
  let member: GroupMember | null = null;
  let opened: Opened | null = null;
  try {
    const topics = await catalog.open();
    await checkStartingOffsets(cluster, topics, job.source);
    const assignment = new Assignment({
      ...{ turns, waker, rebalanceTimeoutMs: group.rebalanceTimeoutMs },
      onRevoked: async (partitions) => opened?.revoked(partitions),
      onLost: async (partitions) => opened?.lost(partitions),
    });
    const joined = await openGroupMember({
      ...{ cluster, settings: group, listener: assignment, observe, signal: abandon },
      topics: () => catalog.look(),
    });
    member = joined;
    const looker = new Looker(cluster, job.source, catalog);
    const options = {
      ...{ job, groupId: group.groupId, member: joined, cluster, catalog, looker, assignment, turns, waker },
      ...{ observe, log: ui.log, stop, abandon },
    };
    const context = { job, ui, member: joined, cluster, topics, looker, observe, signal: abandon };
    opened = await open(options, context);
    const { loop } = opened;
    await onSignals(
      () => loop.publishNow(),
      () => loop.run(),
    );
    return loop;
  } finally {
    await opened?.close();
    if (member) await withinMs(member.close(), STOP_WITHIN_MS);
    cluster.close();
  }
}

/** A loop, and how it lets go of partitions and ends. */
interface Opened {
  readonly loop: Loop;
  revoked(partitions: readonly TopicPartition[]): Promise<void>;
  lost(partitions: readonly TopicPartition[]): Promise<void>;
  close(): Promise<void>;
}

async function open(options: Omit<LoopOptions, 'sink' | 'isBounded'>, context: SinkContext): Promise<Opened> {
  const { trigger } = context.job.stream;
  const flow = trigger.kind === 'continuous' ? await openFlow(context) : null;
  if (flow !== null && trigger.kind === 'continuous') {
    const loop = new FlowLoop({ ...options, flow, intervalMs: trigger.intervalMs });
    return {
      loop,
      revoked: (partitions) => loop.revoked(partitions),
      lost: (partitions) => loop.lost(partitions),
      close: () => flow.close(),
    };
  }
  const { sink, isBounded } = await openSink(context);
  const release = async (partitions: readonly TopicPartition[]): Promise<void> => sink.release?.(partitions);
  return {
    loop: new StreamLoop({ ...options, sink, isBounded }),
    revoked: release,
    lost: release,
    close: () => sink.close(),
  };
}

/** SIGHUP and SIGUSR1 publish now, while `act` is under way. */
async function onSignals(publishNow: () => void, act: () => Promise<void>): Promise<void> {
  const signals = ['SIGHUP', 'SIGUSR1'] as const;
  for (const signal of signals) process.on(signal, publishNow);
  try {
    await act();
  } finally {
    for (const signal of signals) process.off(signal, publishNow);
  }
}

interface Stopping {
  /** Finish what is under way, then end. */
  readonly stop: AbortSignal;
  /** End now. */
  readonly abandon: AbortSignal;
  /** Forgets timers. */
  end(): void;
}

/** First `stop`, and where that takes too long, `abandon`. */
function stopping(signal: AbortSignal): Stopping {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const begin = (): void => {
    timer = setTimeout(() => controller.abort(signal.reason), FINISH_WITHIN_MS);
  };
  if (signal.aborted) begin();
  else signal.addEventListener('abort', begin, { once: true });
  return {
    stop: signal,
    abandon: controller.signal,
    end: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', begin);
    },
  };
}

function whyStopped({ reason }: AbortSignal): string {
  const { code, message } = toOffloadError(reason);
  return { INTERRUPTED: 'Ctrl-C', TERMINATED: 'SIGTERM' }[code as string] ?? message;
}

function reportOf(job: StreamJob): OffloadReport {
  const topic = plainTopicOf(job.source.selection);
  return emptyReport({ config: job.config, topic, topics: topic === null ? [] : [topic], committed: true });
}
