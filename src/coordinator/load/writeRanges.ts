/** Writes the ranges of a run from topic to topic: chunk after chunk, each with its progress in one transaction. */
import type { RunSession } from '../../commit/types.ts';
import type { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import { offsetKey } from '../../plan/places.ts';
import type { RangePlan } from '../../plan/ranges.ts';
import type { PartitionOffset } from '../../tasks.ts';
import type { DeadLetterPlan } from '../badRecords/badRecord.ts';
import type { TopicToTopicJob } from '../jobs.ts';
import type { WorkerThreads } from '../threads.ts';
import { type SelectedTopics, topicIdsOf } from '../topics.ts';
import type { RunUi } from '../ui.ts';
import type { TopicUnit, UnitEnd } from './chunks.ts';
import { Lanes, type Taken } from './lanes.ts';
import type { LoadTask } from './loadTask.ts';
import type { ProgressTopic, ProgressWrite } from './progressTopic.ts';
import { formatPartitionProgress, ownerOf, partitionKey } from './topicProgress.ts';
import { loadSettings } from './topicSettings.ts';
import { type LoadCounts, writeChunks } from './transactions.ts';

/** What is written, and who is told how far it is. */
export interface CopyContext {
  readonly job: TopicToTopicJob;
  readonly ui: RunUi;
  readonly selected: SelectedTopics;
  /** Topics that no row may name. */
  readonly readTopics: readonly string[];
  readonly signal: AbortSignal;
}

export interface RangeWriting {
  readonly session: RunSession;
  readonly producer: TransactionalProducer;
  readonly progress: ProgressTopic;
  readonly threads: WorkerThreads<LoadTask, void>;
  /** Of the target topic. */
  readonly partitions: number;
  readonly deadLetters: DeadLetterPlan | null;
}

/** Returns when all is committed. @returns Ends of units in the order in which they came. @throws As `writeChunks`. */
export async function writeRanges(
  { job, ui, selected, readTopics, signal }: CopyContext,
  { session, producer, progress, threads, partitions, deadLetters }: RangeWriting,
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

async function* asyncList<T>(list: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* list;
}
