/**
 * `kafkaload offsets show|set|reset|recover`. What changes something opens a run, as an offload does: a live run of the
 * config is left alone and named, an unfinished one is finished first, and nobody else can write meanwhile. The order of
 * steps, and what a crash at each of them leaves, is told in `commit/`.
 */
import { checkDiscard } from '../commit/discard.ts';
import { type OpenRunOptions, openRun, readSavedState, type VisibleState } from '../commit/session.ts';
import type { RunSession, SavedState } from '../commit/types.ts';
import type { OffsetsJob } from '../config/job.ts';
import { namedTopics } from '../config/topicSelection.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { nodeFileSystem as fs } from '../io.ts';
import { Cluster } from '../kafka/cluster.ts';
import { comparePlaces, offsetKey } from '../plan/places.ts';
import type { PartitionBounds } from '../plan/ranges.ts';
import type { PartitionOffset } from '../tasks.ts';
import { deadLetterOffice } from './badRecords/office.ts';
import { describeTopics } from './describeTopics.ts';
import type { Log } from './log.ts';
import { lookUpBounds, resolveOffsets } from './lookup.ts';
import { type Change, decideSet, listChanges, listMoves } from './offsetChanges.ts';
import type { OffsetsReport, ShownPartition } from './offsetsReport.ts';
import { findTopics, plainTopicOf, type SelectedTopic } from './topics.ts';

interface Context {
  readonly job: OffsetsJob;
  readonly cluster: Cluster;
  /** Topics as the selection names them; a pattern's are not known before the cluster is asked. */
  readonly session: Omit<OpenRunOptions, 'clusterId'>;
}

/** A person who looks does not want to wait a minute to hear that there is no broker. */
const LOOK_DEADLINE_MS = 5_000;

/**
 * Does what a sub-command says.
 *
 * @returns What was found or done; for a dry run, what would be done.
 * @throws OffloadError RUN_ALIVE naming host and pid; CONFIG_INVALID with both numbers for an offset outside the log;
 *   OFFSET_LOST where some of the saved offsets belong to a topic that is gone; RECOVERY_BLOCKED; broker errors.
 */
export async function runOffsetsCommand(job: OffsetsJob, log: Log, signal: AbortSignal): Promise<OffsetsReport> {
  const { connection } = job.kafka;
  const isLook = job.action === 'show';
  const deadlineMs = isLook ? Math.min(connection.deadlineMs, LOOK_DEADLINE_MS) : connection.deadlineMs;
  const cluster = new Cluster({ ...connection, deadlineMs }, signal);
  const offsetsCluster = job.offsets.kafka ? new Cluster(job.offsets.kafka.connection, signal) : cluster;
  const session: Context['session'] = {
    config: job.config,
    topics: namedTopics(job.selection),
    plainTopic: plainTopicOf(job.selection),
    offsets: job.offsets,
    root: null,
    discard: job.discard,
    kafka: job.offsets.kafka ?? job.kafka,
    reader: async (topic, options) => {
      const { readTopicCommitted } = await import('../kafka/topicReader.ts');
      return readTopicCommitted(offsetsCluster, topic, options);
    },
    log: (line) => log.info(line),
  };
  const context = { job, cluster, session };
  try {
    switch (job.action) {
      case 'show':
        return await show(context);
      case 'set':
        return await set(context);
      case 'reset':
        return await reset(context);
      case 'recover':
        return await recover(context);
    }
  } finally {
    cluster.close();
    offsetsCluster.close();
  }
}

async function show(context: Context): Promise<OffsetsReport> {
  const { job } = context;
  const state = await readSavedState(context.session);
  const { topics, bounds, remarks } = await lookUpForShow(context);
  const isNested = plainTopicOf(job.selection) === null;
  const all = [...state.offsets, ...state.others];
  const saved = new Map(all.map((entry) => [offsetKey(entry), entry]));
  const known = new Map(bounds.map((entry) => [offsetKey(entry), entry]));
  // Entries of several topics are told apart by their topic: then those of topics that are gone are shown as well.
  const shown = isNested ? [...all, ...bounds] : [...state.offsets, ...bounds];
  const places = [...new Map(shown.map((entry) => [offsetKey(entry), entry])).values()].sort(comparePlaces);
  const partitions = places.map(({ topic, partition }): ShownPartition => {
    const offset = saved.get(offsetKey({ topic, partition }))?.offset ?? null;
    const log = known.get(offsetKey({ topic, partition }));
    if (!log) return { topic, partition, saved: offset, logStart: null, end: null, lag: null };
    const { logStartOffset, readableEnd } = log;
    const lag = offset === null ? null : Math.max(0, readableEnd - Math.max(offset, logStartOffset));
    return { topic, partition, saved: offset, logStart: logStartOffset, end: readableEnd, lag };
  });
  const others = describeOthers(job, state, topics);
  return { ...seen(job, state), partitions, remarks: [...remarks, ...others] };
}

/** Where the cluster does not answer, or has no such topic, what is saved is shown nevertheless. */
async function lookUpForShow({ job, cluster }: Context): Promise<{
  topics: readonly SelectedTopic[];
  bounds: PartitionBounds[];
  remarks: string[];
}> {
  try {
    const { topics } = await findTopics(cluster, job.selection, job.offsets);
    return { topics, bounds: await lookUpBounds(cluster, topics, job.kafka), remarks: [] };
  } catch (error) {
    const failure = toOffloadError(error);
    if (failure.code === 'INTERNAL' || failure.code === 'INTERRUPTED' || failure.code === 'TERMINATED') throw failure;
    return { topics: [], bounds: [], remarks: [`log start and end are not known: ${failure.message}`] };
  }
}

/** Saved offsets that are not those of the topics as they are now, in words. */
function describeOthers(
  { config, selection }: OffsetsJob,
  state: SavedState,
  topics: readonly SelectedTopic[],
): string[] {
  const isNested = plainTopicOf(selection) === null;
  const hint = `run kafkaload offsets reset --config ${config} to begin anew`;
  const remade = topics.flatMap(({ topic, topicId }) => {
    const before = state.topicIds[topic];
    const isSaved = allOf(state).some((entry) => entry.topic === topic);
    if (!isSaved || topicId === null || before === undefined || before === topicId) return [];
    return [`the saved offsets are those of a topic ${topic} that was deleted (topic id ${before}): ${hint}`];
  });
  const others = isNested ? [] : [...new Set(state.others.map(({ topic }) => topic))];
  if (others.length === 0) return remade;
  if (state.offsets.length > 0) return [...remade, `those of ${describeTopics(others)} are saved as well, and stay`];
  return [...remade, `the saved offsets are those of ${describeTopics(others)}: ${hint}`];
}

async function set(context: Context): Promise<OffsetsReport> {
  const { job, cluster } = context;
  const { topics } = await findTopics(cluster, job.selection, job.offsets);
  const session = { ...context.session, topics: topics.map(({ topic }) => topic) };
  const asked = await checkedOffsets(context, topics);
  const decide = (saved: SavedState): Change => decideSet(job.config, topics, saved, asked);
  if (job.dryRun) {
    const state = await readSavedState(session);
    const saved = afterRecovery(state, session.topics);
    return { ...seen(job, state), offsets: listChanges(saved.offsets, decide(saved).offsets), remarks: [] };
  }
  return change({ ...context, session }, decide);
}

/** Forgets everything, also of topics that are not read any more. */
async function reset(context: Context): Promise<OffsetsReport> {
  const { job } = context;
  const state = await readSavedState(context.session);
  if (job.dryRun)
    return { ...seen(job, state), offsets: listChanges(allOf(afterRecovery(state, [])), []), remarks: [] };
  if (isUntouched(state)) return { ...seen(job, state), offsets: [], remarks: [] };
  return change(context, () => ({ offsets: [], topicIds: {} }));
}

function allOf({ offsets, others }: SavedState): PartitionOffset[] {
  return [...offsets, ...others];
}

async function recover(context: Context): Promise<OffsetsReport> {
  const { job } = context;
  const state = await readSavedState(context.session);
  if (job.dryRun && job.discard && state.pendingIntent && !state.pendingIntent.change) {
    await checkDiscard(fs, state.pendingIntent);
  }
  if (job.dryRun || isUntouched(state)) return { ...seen(job, state), remarks: [] };
  const session = await open(context);
  await session.close();
  return done(job, session);
}

/** Nothing was ever saved: then neither topic nor folder is made just to find that out. */
function isUntouched(state: VisibleState): boolean {
  const { topicIds, previousRun, aliveRun, pendingIntent } = state;
  const hasIds = Object.keys(topicIds).length > 0;
  return allOf(state).length === 0 && !hasIds && !previousRun && !aliveRun && !pendingIntent;
}

async function change(context: Context, decide: (saved: SavedState) => Change): Promise<OffsetsReport> {
  const session = await open(context);
  try {
    const { saved } = session;
    const next = decide(saved);
    await session.replaceSaved(next.offsets, next.topicIds);
    const before = next.offsets.length === 0 ? allOf(saved) : saved.offsets;
    return { ...done(context.job, session), offsets: listChanges(before, next.offsets) };
  } finally {
    await session.close();
  }
}

async function open({ job, cluster, session }: Context): Promise<RunSession> {
  const deadLetters = deadLetterOffice(job.kafka);
  return openRun({ ...session, deadLetters, clusterId: await cluster.clusterId() });
}

/** What `--offsets` asks for, each in the log as it is now: one past its end means that nothing is left to read. */
async function checkedOffsets(
  { job, cluster }: Context,
  topics: readonly SelectedTopic[],
): Promise<ReadonlyMap<string, number>> {
  if (!job.spec) throw new OffloadError('INTERNAL', 'offsets set without offsets');
  const bounds = await lookUpBounds(cluster, topics, job.kafka);
  const asked = await resolveOffsets(cluster, topics, job.kafka, job.spec, bounds, '--offsets');
  for (const { topic, partition, logStartOffset, highWatermark } of bounds) {
    const place = offsetKey({ topic, partition });
    const offset = asked.get(place);
    if (offset === undefined || (offset >= logStartOffset && offset <= highWatermark)) continue;
    const bound = offset < logStartOffset ? `its log starts at ${logStartOffset}` : `its log ends at ${highWatermark}`;
    throw new OffloadError(
      'CONFIG_INVALID',
      `cannot set ${place} to offset ${offset}: ${bound}; name an offset from ${logStartOffset} to ${highWatermark}`,
      { context: { topic, partition, offset, logStartOffset, highWatermark } },
    );
  }
  return asked;
}

/**
 * What will be saved once the next run has finished what is pending.
 *
 * @param topics Those whose offsets are `offsets`, not `others`.
 */
function afterRecovery(state: VisibleState, topics: readonly string[]): SavedState {
  const saved = new Map(allOf(state).map((entry) => [offsetKey(entry), entry]));
  for (const entry of state.pendingIntent?.next ?? []) saved.set(offsetKey(entry), entry);
  const all = [...saved.values()].filter(({ offset }) => offset !== null);
  return {
    ...state,
    offsets: all.filter(({ topic }) => topics.includes(topic)),
    others: all.filter(({ topic }) => !topics.includes(topic)),
  };
}

function about({ action, config, selection, dryRun, discard, offsets }: OffsetsJob) {
  const topic = plainTopicOf(selection);
  return { action, config, topic, dryRun, discard, mode: offsets.mode, place: offsets.name };
}

function seen(job: OffsetsJob, { aliveRun, pendingIntent }: VisibleState): Omit<OffsetsReport, 'remarks'> {
  const pendingRun = pendingIntent
    ? { run: pendingIntent.run, host: pendingIntent.host, offsets: listMoves(pendingIntent) }
    : null;
  return { ...about(job), aliveRun: aliveRun ?? null, pendingRun, recovered: [], discarded: [] };
}

function done(job: OffsetsJob, session: RunSession): OffsetsReport {
  const recovered = session.recovered.map(({ run, files }) => ({ run, files }));
  const discarded = session.discarded.map((past) => ({ run: past.run, offsets: listMoves(past) }));
  const remarks = session.recovered.flatMap(({ warnings }) => warnings.map((warning) => `warning: ${warning}`));
  return { ...about(job), aliveRun: null, pendingRun: null, recovered, discarded, remarks };
}
