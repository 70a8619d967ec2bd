/**
 * From topic to topic, each record exactly once. What a run does, and what a crash after each step leaves:
 *
 * 1. Opens the run of the config (commit/): nobody else may run it. Fences an older producer of this config and target,
 *    which aborts what it left open.
 * 2. Reads progress (topicProgress.ts), after fencing: another run may have committed until then. Plans from it.
 * 3. Writes chunk after chunk, each with its progress in one transaction. A crash: the next run goes on after the last.
 * 4. Raises the saved offsets. They name this run, so that its progress does not count any more.
 * 5. Writes tombstones for the progress. A crash before: the next run that ends writes them.
 */
import { openRun, readSavedState } from '../../commit/session.ts';
import type { RunSession, SavedState } from '../../commit/types.ts';
import { OffloadError, toOffloadError } from '../../errors.ts';
import { LOAD_TRANSACTION_TIMEOUT_MS } from '../../kafka/client.ts';
import { Cluster } from '../../kafka/cluster.ts';
import { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import { planLoadMemory } from '../../plan/loadMemory.ts';
import { offsetKey } from '../../plan/places.ts';
import type { PartitionBounds, RangePlan } from '../../plan/ranges.ts';
import { passStep } from '../../steps.ts';
import type { PartitionOffset } from '../../tasks.ts';
import { transformMemory } from '../../transform/memory.ts';
import type { DeadLetterPlan } from '../badRecords/badRecord.ts';
import { reportBadRecords } from '../badRecords/counts.ts';
import { planDeadLetters } from '../badRecords/deadLetterTopic.ts';
import { deadLetterOffice } from '../badRecords/office.ts';
import { countGaps } from '../gaps.ts';
import { warnOfInvalidUtf8 } from '../invalidValues.ts';
import type { TopicToTopicJob } from '../jobs.ts';
import { estimateBytesPerOffset, lookUpRanges } from '../lookup.ts';
import { emptyReport, type OffloadReport } from '../report.ts';
import { transformPlan } from '../rowTransform.ts';
import { settleTopicJob } from '../settleJob.ts';
import { WorkerThreads } from '../threads.ts';
import { findTopics, type SelectedTopics } from '../topics.ts';
import type { RunUi } from '../ui.ts';
import type { LoadSettings, TopicUnit, UnitEnd } from './chunks.ts';
import { Lanes, type Taken } from './lanes.ts';
import { describeCopy } from './loadPlan.ts';
import type { LoadTask } from './loadTask.ts';
import { isHeldByDeadRun } from './ownTransaction.ts';
import { ProgressTopic, type ProgressWrite, readProgress } from './progressTopic.ts';
import { compacted, ensureTopic } from './targetTopic.ts';
import { checkNoLoop } from './topicLoop.ts';
import { formatPartitionProgress, isOwnKey, partitionKey, resumedOffsets } from './topicProgress.ts';
import { closeProducer, type LoadCounts, transact, writeChunks } from './transactions.ts';

interface CopyContext {
  readonly job: TopicToTopicJob;
  readonly ui: RunUi;
  readonly source: Cluster;
  readonly target: Cluster;
  readonly offsetsCluster: Cluster;
  readonly selected: SelectedTopics;
  /** Topics that no row may name. */
  readonly readTopics: readonly string[];
  readonly signal: AbortSignal;
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

async function dryRun(context: CopyContext): Promise<OffloadReport> {
  const { job, source, target, selected } = context;
  const saved = await readSavedState(await sessionOptions(context));
  const { found } = await readProgress(target, job.sink.progress.topic, isOwnKey(ownerOf(job)));
  const { plan, bounds } = await planFrom(context, saved, found);
  const bytesPerOffset = await estimateBytesPerOffset(source, bounds, plan.ranges, job.source);
  const existing = await target.findTopic(job.sink.topic);
  return { ...nothingCopied(job, selected, 0), plan: describeCopy({ job, plan, bytesPerOffset, existing, saved }) };
}

async function run(context: CopyContext, threads: WorkerThreads<LoadTask, void>): Promise<OffloadReport> {
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

interface Opened {
  readonly session: RunSession;
  readonly producer: TransactionalProducer;
  readonly progress: ProgressTopic;
  readonly threads: WorkerThreads<LoadTask, void>;
  /** Of the target topic. */
  readonly partitions: number;
  readonly deadLetters: DeadLetterPlan | null;
}

async function copy(context: CopyContext, opened: Opened): Promise<OffloadReport> {
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
  { job, source, selected }: CopyContext,
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

async function writeRanges(
  { job, ui, selected, readTopics, signal }: CopyContext,
  { session, producer, progress, threads, partitions, deadLetters }: Opened,
  plan: RangePlan,
): Promise<{ counts: LoadCounts; ends: readonly { unit: TopicUnit; end: UnitEnd }[] }> {
  const topicIds = topicIdsOf(selected);
  const bases = new Map(session.saved.offsets.map((entry) => [offsetKey(entry), entry.offset]));
  const write = (place: Pick<PartitionOffset, 'topic' | 'partition'>, next: number): ProgressWrite => {
    const value = formatPartitionProgress({
      next,
      base: bases.get(offsetKey(place)) ?? null,
      since: session.saved.previousRun?.run ?? null,
      topicId: topicIds[place.topic] ?? null,
      run: session.run,
    });
    return { key: partitionKey(ownerOf(job), place), value };
  };
  const starts = new Map(plan.ranges.map((range) => [offsetKey(range), range.startOffset]));
  // With the first transaction every partition has its record: one without would begin at its log start, after a crash.
  let unwritten = new Map(
    plan.next.map((place) => [offsetKey(place), write(place, starts.get(offsetKey(place)) ?? place.offset ?? 0)]),
  );
  const positions = new Map(starts);
  const ends: { unit: TopicUnit; end: UnitEnd }[] = [];
  const units = plan.ranges.map((range): TopicUnit => ({ kind: 'topic', range }));
  const settings = loadSettings(job, { partitions, readTopics, deadLetters }, Math.min(job.workers, units.length));
  const lanes = new Lanes({ threads, units: asyncList(units), settings, isOrdered: false, signal });
  const counts = await writeChunks({
    lanes,
    producer,
    chunkRecords: job.sink.chunkRecords,
    heartbeatMs: job.offsets.heartbeatMs,
    progress: async (taken) => {
      for (const { unit, chunk } of taken) {
        if (chunk) unwritten.set(offsetKey(unit.range), write(unit.range, chunk.next));
      }
      if (!taken.some(({ chunk }) => chunk)) return [];
      const writes = [...unwritten.values()];
      unwritten = new Map();
      return progress.encode(writes);
    },
    onCommitted: (taken) => {
      for (const { unit, end } of taken) if (end) ends.push({ unit, end });
      for (const step of stepsOf(taken, positions)) ui.progress.advance(step);
    },
    signal,
  });
  return { counts, ends };
}

function* stepsOf(taken: readonly Taken<TopicUnit>[], positions: Map<string, number>) {
  for (const { unit, chunk, end } of taken) {
    const key = offsetKey(unit.range);
    const next = chunk?.next ?? end?.next ?? 0;
    yield { rows: chunk?.rows ?? 0, bytes: chunk?.bytes ?? 0, offsets: next - (positions.get(key) ?? next) };
    positions.set(key, next);
  }
}

/** What every unit is done with. @param lanes That units are under way in at once. */
export function loadSettings(
  job: TopicToTopicJob,
  {
    deadLetters,
    ...target
  }: Pick<LoadSettings['target'], 'partitions' | 'readTopics'> & Pick<LoadSettings, 'deadLetters'>,
  lanes: number,
): LoadSettings {
  const { source, sink, maxMemoryBytes, workers } = job;
  const { connection, fetch } = source.kafka;
  const memory = planLoadMemory({
    ...{ source: 'topic', maxMemoryBytes, workers, fetchBytes: fetch.maxBytes },
    transform: transformMemory(job.transform),
  });
  return {
    source: {
      kind: 'topic',
      connection,
      fetch: { ...fetch, maxBytes: memory.fetchBytes },
      failOnDataLoss: source.failOnDataLoss,
      fields: source.fields,
      invalidUtf8: source.invalidUtf8,
      leavesOutBad: source.onBadRecord.kind !== 'fail',
    },
    transform: transformPlan(job.transform),
    target: {
      connection: sink.kafka.connection,
      topic: sink.topic,
      ...target,
      compression: sink.compression,
      headers: sink.headers,
    },
    deadLetters,
    // A chunk of each lane makes a transaction.
    chunkRows: Math.ceil(sink.chunkRecords / Math.max(1, lanes)),
    chunkBytes: memory.chunkBytes,
  };
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

async function sessionOptions({ job, offsetsCluster, selected }: CopyContext) {
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

function ownerOf({ config, sink }: TopicToTopicJob): { config: string; target: string } {
  return { config, target: sink.config };
}

function topicIdsOf({ topics }: SelectedTopics): Record<string, string> {
  return Object.fromEntries(topics.flatMap(({ topic, topicId }) => (topicId === null ? [] : [[topic, topicId]])));
}

async function* asyncList<T>(list: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* list;
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
