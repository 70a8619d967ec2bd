/** What a stream would do, from one look: it joins no group, and creates, commits and finishes nothing. */
import type { GroupSettings } from '../config/kafkaSettings.ts';
import type { StreamJob } from '../coordinator/jobs.ts';
import { resolveOffsets } from '../coordinator/lookup.ts';
import { rootOf } from '../coordinator/target.ts';
import { nodeFileSystem } from '../io.ts';
import { Cluster } from '../kafka/cluster.ts';
import { GroupCoordinator } from '../kafka/groupCoordinator.ts';
import { offsetKey } from '../plan/places.ts';
import { chainFolder } from '../sinks/chainNames.ts';
import { ChainState } from './chain/chainState.ts';
import { Claims } from './chain/claims.ts';
import { ChainFolder } from './chain/folder.ts';
import type { ChainPositions } from './chain/positions.ts';
import { Looker } from './looker.ts';
import { planBatch } from './planBatch.ts';
import { TopicCatalog } from './topicCatalog.ts';
import type { GroupOffset, Position } from './types.ts';

/**
 * @returns The plan as text: where group and files are, how far the logs go, and what the first micro-batch would take if
 *   this process had all partitions.
 * @throws OffloadError as a stream would at its start.
 */
export async function planStream(job: StreamJob, group: GroupSettings, signal: AbortSignal): Promise<string> {
  const { source, stream } = job;
  const cluster = new Cluster(source.kafka.connection, signal);
  const coordinator = new GroupCoordinator(source.kafka.connection, group);
  try {
    const catalog = new TopicCatalog(cluster, source.selection, job.offsets);
    const looker = new Looker(cluster, source, catalog);
    const topics = await catalog.open();
    const places = topics.flatMap(({ topic, selected }) => selected.map((partition) => ({ topic, partition })));
    const bounds = await looker.bounds(places);
    // In the order in which a stream asks: the chain goes first.
    const claims = new Claims();
    const chain = await readChain(job, group.groupId);
    claims.take(places, chain);
    const offsets = await coordinator.fetchOffsets(places, signal);
    const committed = places.map((place, index): GroupOffset => {
      const offset = offsets[index] ?? -1;
      return { ...place, offset: offset < 0 ? null : offset };
    });
    const resumed = claims.resume(committed, catalog.ids, chain);
    const where = source.startIsAsked ? '--starting-offsets' : 'startingOffsets';
    const starting = await resolveOffsets(
      ...([cluster, topics, source.kafka, source.startingOffsets, [...bounds.values()], where] as const),
    );
    const known = new Map(resumed.positions.map((position) => [offsetKey(position), position.offset]));
    const held = new Map(committed.map((entry) => [offsetKey(entry), entry.offset]));
    // What is new in a topic that the group knows begins at its log start.
    const seen = new Set(committed.flatMap(({ topic, offset }) => (offset === null ? [] : [topic])));
    const positions = places.map((place): Position => {
      const key = offsetKey(place);
      const logStart = bounds.get(key)?.logStartOffset ?? 0;
      const start = seen.has(place.topic) ? logStart : (starting.get(key) ?? logStart);
      return { ...place, offset: known.get(key) ?? start };
    });
    const plan = planBatch({
      ...{ group: group.groupId, positions, bounds, ends: null, maxBytes: null },
      bytesPerOffset: await looker.bytesPerOffset(bounds),
      maxOffsets: stream.maxOffsetsPerTrigger,
      failOnDataLoss: source.failOnDataLoss,
    });
    const lines = plan.lag.map((entry) => {
      const key = offsetKey(entry);
      const range = plan.ranges.find((each) => offsetKey(each) === key);
      const first = range ? `first micro-batch [${range.startOffset}, ${range.endOffset})` : 'nothing new';
      const isOther = resumed.madeAgain.includes(entry.topic);
      const files = isOther ? null : (chain.get(key)?.next ?? null);
      const from = describeStart({
        position: entry.position,
        isKnown: known.has(key),
        group: held.get(key) ?? null,
        files,
      });
      return `  ${key}: ${from}, log ends at ${entry.end}; ${first}`;
    });
    return [
      `plan: a stream of ${topics.map(({ topic }) => topic).join(', ')} to ${describeTarget(job)}, as group ${group.groupId}, ${describeTrigger(stream.trigger)}`,
      ...lines,
      'nothing was joined, read, written or committed',
      '',
    ].join('\n');
  } finally {
    coordinator.close();
    cluster.close();
  }
}

/** Where the files of the group end, by partition; nothing for another target. */
async function readChain({ sink }: StreamJob, group: string): Promise<ChainPositions> {
  if (sink.kind !== 'files') return new Map();
  const folder = new ChainFolder(nodeFileSystem, chainFolder(rootOf(sink.target), group), group);
  const state = new ChainState(folder);
  await state.catchUp();
  return state.positions;
}

interface Start {
  readonly position: number;
  /** Whether group or files tell of it. */
  readonly isKnown: boolean;
  readonly group: number | null;
  readonly files: number | null;
}

function describeStart({ position, isKnown, group, files }: Start): string {
  if (!isKnown) return `begins at ${position}`;
  if (files === null || files === group) return `group is at ${position}`;
  const groupSays = group === null ? 'the group has nothing' : `the group is at ${group}`;
  return files === position
    ? `the files end at ${files}, ${groupSays}: goes on at ${files}`
    : `the files end at ${files}, ${groupSays}, set by hand: goes on at ${position}`;
}

function describeTarget({ sink }: StreamJob): string {
  switch (sink.kind) {
    case 'files':
      return sink.target.path;
    case 'topic':
      return `topic ${sink.topic}`;
    case 'table':
      return `table ${sink.schema === null ? '' : `${sink.schema}.`}${sink.table}`;
    case 'console':
      return 'the console';
  }
}

function describeTrigger(trigger: StreamJob['stream']['trigger']): string {
  if (trigger.kind === 'availableNow') return 'until all there is now is taken';
  const every = `every ${trigger.intervalMs / 1000} s`;
  return trigger.kind === 'processingTime' ? `a micro-batch ${every}` : `continuously, committed ${every}`;
}
