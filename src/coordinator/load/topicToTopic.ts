/**
 * From topic to topic, each record exactly once. What a run does, and what a crash after each step leaves:
 *
 * 1. Opens the run of the config (commit/): nobody else may run it. Fences an older producer of this config and target,
 *    which aborts what it left open.
 * 2. Reads progress (topicProgress.ts), after fencing: another run may have committed until then. Plans from it.
 * 3. Writes chunk after chunk (writeRanges.ts), each with its progress in one transaction. A crash: the next run goes on
 *    after the last.
 * 4. Raises the saved offsets. They name this run, so that its progress does not count any more.
 * 5. Writes tombstones for the progress. A crash before: the next run that ends writes them.
 */
import { openRun, readSavedState } from '../../commit/session.ts';
import type { RunSession, SavedState } from '../../commit/types.ts';
import { OffloadError, toOffloadError } from '../../errors.ts';
import { LOAD_TRANSACTION_TIMEOUT_MS } from '../../kafka/client.ts';
import { Cluster } from '../../kafka/cluster.ts';
import { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import { offsetKey } from '../../plan/places.ts';
import type { PartitionBounds, RangePlan } from '../../plan/ranges.ts';
import { passStep } from '../../steps.ts';
import { reportBadRecords } from '../badRecords/counts.ts';
import { planDeadLetters } from '../badRecords/deadLetterTopic.ts';
import { deadLetterOffice } from '../badRecords/office.ts';
import { countGaps } from '../gaps.ts';
import { warnOfInvalidUtf8 } from '../invalidValues.ts';
import type { TopicToTopicJob } from '../jobs.ts';
import { estimateBytesPerOffset, lookUpRanges } from '../lookup.ts';
import { emptyReport, type OffloadReport } from '../report.ts';
import { settleTopicJob } from '../settleJob.ts';
import { WorkerThreads } from '../threads.ts';
import { findTopics, type SelectedTopics, topicIdsOf } from '../topics.ts';
import type { RunUi } from '../ui.ts';
import { describeCopy } from './loadPlan.ts';
import type { LoadTask } from './loadTask.ts';
import { isHeldByDeadRun } from './ownTransaction.ts';
import { ProgressTopic, readProgress } from './progressTopic.ts';
import { compacted, ensureTopic } from './targetTopic.ts';
import { checkNoLoop } from './topicLoop.ts';
import { isOwnKey, ownerOf, resumedOffsets } from './topicProgress.ts';
import { closeProducer, transact } from './transactions.ts';
import { type CopyContext, type RangeWriting, writeRanges } from './writeRanges.ts';

interface RunContext extends CopyContext {
  readonly source: Cluster;
  readonly target: Cluster;
  readonly offsetsCluster: Cluster;
}

/** As `runJob`. @throws OffloadError USAGE where a row would go back to the topic it came from. */
export async function copyTopics(job: TopicToTopicJob, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  const startedAtMs = performance.now();
  if (!job.source.commit) {
    throw new OffloadError(
      'USAGE',
      'from topic to topic each record is written once only if offsets are saved; name the source with --config, and ' +
        'leave --no-commit out',
    );
  }
  // Threads take half a second to load: they do it while the run is opened and planned.
  const threads = job.dryRun ? null : new WorkerThreads<LoadTask, void>('load', job.workers);
  const source = new Cluster(job.source.kafka.connection, signal);
  const target = new Cluster(job.sink.kafka.connection, signal);
  const offsetsCluster = job.offsets.kafka ? new Cluster(job.offsets.kafka.connection, signal) : source;
  try {
    const selected = await findTopics(source, job.source.selection, job.offsets);
    const readTopics = await checkNoLoop(job, selected.topics, source, target);
    const context = { job, ui, source, target, offsetsCluster, selected, readTopics, signal };
    const report = threads ? await run(context, threads) : await dryRun(context);
    return { ...report, seconds: (performance.now() - startedAtMs) / 1000 };
  } finally {
    await threads?.close();
    for (const cluster of [source, target, offsetsCluster]) cluster.close();
  }
}

async function dryRun(context: RunContext): Promise<OffloadReport> {
  const { job, source, target, selected } = context;
  const saved = await readSavedState(await sessionOptions(context));
  const { found } = await readProgress(target, job.sink.progress.topic, isOwnKey(ownerOf(job)));
  const { plan, bounds } = await planFrom(context, saved, found);
  const bytesPerOffset = await estimateBytesPerOffset(source, bounds, plan.ranges, job.source);
  const existing = await target.findTopic(job.sink.topic);
  return { ...nothingCopied(job, selected, 0), plan: describeCopy({ job, plan, bytesPerOffset, existing, saved }) };
}

async function run(context: RunContext, threads: WorkerThreads<LoadTask, void>): Promise<OffloadReport> {
  const { job, ui, target } = context;
  const producerOptions = {
    transactionalId: `kafkaload.copy/${job.sink.progress.topic}/${job.config}/${job.sink.config}`,
    transactionTimeoutMs: LOAD_TRANSACTION_TIMEOUT_MS,
  };
  const options = await sessionOptions(context);
  if (await isHeldByDeadRun(job, options, context.offsetsCluster, target)) {
    const { signal } = context;
    await closeProducer(await TransactionalProducer.open(target, { ...producerOptions, signal }));
  }
  const session = await openRun({
    ...options,
    root: null,
    clusterId: await context.source.clusterId(),
    kafka: job.offsets.kafka ?? job.source.kafka,
    takeOver: job.takeOver,
    deadLetters: deadLetterOffice(job.source.kafka),
    log: (line) => ui.log.info(line),
  });
  let producer: TransactionalProducer | null = null;
  try {
    const { sink } = job;
    const signal = AbortSignal.any([context.signal, session.signal]);
    const partitions = await ensureTopic(target, sink.kafka, { ...sink.create, topic: sink.topic });
    const progressPartitions = await ensureTopic(target, sink.kafka, compacted(sink.progress));
    const deadLetters = await planDeadLetters(job, target, sink.kafka);
    producer = await TransactionalProducer.open(target, { ...producerOptions, signal });
    const progress = new ProgressTopic(sink.progress.topic, progressPartitions);
    return await copy({ ...context, signal }, { session, producer, progress, threads, partitions, deadLetters });
  } finally {
    ui.progress.stop();
    await threads.close();
    if (producer) await closeProducer(producer);
    await session.close();
  }
}

async function copy(context: RunContext, opened: RangeWriting): Promise<OffloadReport> {
  const { job, ui, selected, target, signal } = context;
  const { session, progress, producer } = opened;
  const records = await progress.read(target, isOwnKey(ownerOf(job)));
  passStep('load.progressRead');
  const { plan, bounds } = await planFrom(context, session.saved, records);
  for (const warning of plan.warnings) ui.log.warn(warning);
  const bytesPerOffset = await estimateBytesPerOffset(context.source, bounds, plan.ranges, job.source);
  const bytes = plan.ranges.reduce((sum, range) => {
    return sum + (range.endOffset - range.startOffset) * (bytesPerOffset.get(offsetKey(range)) ?? 0);
  }, 0);
  ui.progress.start(
    plan.ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0),
    bytes,
  );
  const settled = { ...context, job: await settleTopicJob(job, context.source, plan.ranges) };
  const { counts, ends } = await writeRanges(settled, opened, plan);
  ui.progress.stop();
  signal.throwIfAborted();
  passStep('load.allWritten');
  await raise(session, plan, topicIdsOf(selected));
  passStep('load.offsetsRaised');
  await forget(progress, producer, signal, (line) => ui.log.debug(line));
  passStep('load.progressForgotten');
  const from = new Map(session.saved.offsets.map((entry) => [offsetKey(entry), entry.offset]));
  const results = ends.map(({ unit, end }) => ({ ...end, range: unit.range }));
  const bad = reportBadRecords(
    results.map((result) => result.bad),
    job.source.onBadRecord,
    ui,
  );
  return {
    ...nothingCopied(job, selected, counts.transactions),
    run: session.run,
    recovered: session.recovered,
    ...bad,
    warnings: [...plan.warnings, ...warnOfInvalidUtf8(results, job.source, ui), ...bad.warnings],
    rows: counts.rows,
    bytes: counts.bytes,
    offsets: plan.next.map(({ topic, partition, offset }) => {
      return { topic, partition, from: from.get(offsetKey({ topic, partition })) ?? null, to: offset ?? 0 };
    }),
    gaps: countGaps(plan, results),
  };
}

/** Plans from what is saved, and from the progress of a run that died before it raised that. */
async function planFrom(
  { job, source, selected }: RunContext,
  saved: SavedState,
  records: Parameters<typeof resumedOffsets>[3],
): Promise<{ plan: RangePlan; bounds: PartitionBounds[] }> {
  const resumed = resumedOffsets(ownerOf(job), saved, topicIdsOf(selected), records);
  const names = new Set(selected.topics.map(({ topic }) => topic));
  for (const [key, { topic }] of resumed) if (!names.has(topic)) resumed.delete(key);
  if (resumed.size === 0) return lookUpRanges(source, selected, job, saved);
  const offsets = new Map([...saved.offsets.map((entry) => [offsetKey(entry), entry] as const), ...resumed]);
  // A start that was asked for is where the run began that goes on now.
  const resumedJob = { ...job, source: { ...job.source, startIsAsked: false } };
  return lookUpRanges(source, selected, resumedJob, { ...saved, offsets: [...offsets.values()] });
}

/** Saves where the plan ends, unless that is saved already. */
async function raise(session: RunSession, plan: RangePlan, topicIds: Readonly<Record<string, string>>): Promise<void> {
  const { offsets } = session.saved;
  const next = new Map(
    [...offsets, ...plan.next].flatMap((entry) => {
      const { offset } = entry;
      return offset === null ? [] : [[offsetKey(entry), { ...entry, offset }] as const];
    }),
  );
  const isSame =
    next.size === offsets.length && offsets.every((entry) => next.get(offsetKey(entry))?.offset === entry.offset);
  if (isSame) return;
  await session.replaceSaved([...next.values()], topicIds, { run: session.run, manifestCrc32c: 0, root: null });
}

/** Whether it succeeds or not, none of this progress counts any more. */
async function forget(
  progress: ProgressTopic,
  producer: TransactionalProducer,
  signal: AbortSignal,
  log: (line: string) => void,
): Promise<void> {
  const keys = progress.keys();
  if (keys.length === 0) return;
  try {
    await transact(producer, [], await progress.encode(keys.map((key) => ({ key, value: null }))), signal);
  } catch (error) {
    log(`progress that does not count any more stays until the next run: ${toOffloadError(error).message}`);
  }
}

async function sessionOptions({ job, offsetsCluster, selected }: RunContext) {
  return {
    config: job.config,
    topics: selected.topics.map(({ topic }) => topic),
    plainTopic: selected.plainTopic,
    offsets: job.offsets,
    reader: async (topic: string, options: { waitForStableMs: number }) => {
      const { readTopicCommitted } = await import('../../kafka/topicReader.ts');
      return readTopicCommitted(offsetsCluster, topic, options);
    },
  };
}

function nothingCopied(
  { config, sink }: TopicToTopicJob,
  { topics, plainTopic }: SelectedTopics,
  transactions: number,
): OffloadReport {
  const names = topics.map(({ topic }) => topic);
  const load = { sources: names, target: sink.topic, transactions, alreadyLoaded: null };
  return { ...emptyReport({ config, topic: plainTopic, topics: names, committed: true }), load };
}
