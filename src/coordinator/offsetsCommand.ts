/**
 * `kafkaload offsets show|set|reset|recover`. What changes something opens a run, as an offload does: a live run of the
 * config is left alone and named, an unfinished one is finished first, and nobody else can write meanwhile. The order of
 * steps, and what a crash at each of them leaves, is told in `commit/`.
 */
import { checkDiscard } from '../commit/discard.ts';
import { offsetKey, type SavedOffset } from '../commit/savedOffsets.ts';
import { type OpenRunOptions, openRun, readSavedState, type VisibleState } from '../commit/session.ts';
import type { RunSession, SavedState } from '../commit/types.ts';
import type { OffsetsJob as AnyOffsetsJob } from '../config/job.ts';
import { OffloadError, toOffloadError } from '../errors.ts';
import { nodeFileSystem as fs } from '../io.ts';
import { Cluster, type TopicInfo } from '../kafka/cluster.ts';
import type { PartitionBounds } from '../plan/ranges.ts';
import { soleTopic } from './jobs.ts';
import type { Log } from './log.ts';
import { findTopic, lookUpBounds, resolveOffsets } from './lookup.ts';
import type { ChangedOffset, OffsetsReport, ShownPartition } from './offsetsReport.ts';

type OffsetsJob = AnyOffsetsJob & { readonly topic: string };

interface Context {
  readonly job: OffsetsJob;
  readonly cluster: Cluster;
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
export async function runOffsetsCommand(asked: AnyOffsetsJob, log: Log, signal: AbortSignal): Promise<OffsetsReport> {
  const job: OffsetsJob = { ...asked, topic: soleTopic(asked.selection) };
  const { connection } = job.kafka;
  const isLook = job.action === 'show';
  const deadlineMs = isLook ? Math.min(connection.deadlineMs, LOOK_DEADLINE_MS) : connection.deadlineMs;
  const cluster = new Cluster({ ...connection, deadlineMs }, signal);
  const offsetsCluster = job.offsets.kafka ? new Cluster(job.offsets.kafka.connection, signal) : cluster;
  const session: Context['session'] = {
    config: job.config,
    topics: [job.topic],
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
  const { bounds, remarks } = await lookUpForShow(context, state);
  const saved = new Map(state.offsets.map(({ partition, offset }) => [partition, offset]));
  const known = new Map(bounds.map((entry) => [entry.partition, entry]));
  const numbers = [...new Set([...known.keys(), ...saved.keys()])].sort((a, b) => a - b);
  const partitions = numbers.map((partition): ShownPartition => {
    const offset = saved.get(partition) ?? null;
    const log = known.get(partition);
    if (!log) return { partition, saved: offset, logStart: null, end: null, lag: null };
    const { logStartOffset, readableEnd } = log;
    const lag = offset === null ? null : Math.max(0, readableEnd - Math.max(offset, logStartOffset));
    return { partition, saved: offset, logStart: logStartOffset, end: readableEnd, lag };
  });
  return { ...seen(job, state), partitions, remarks };
}

/** Where the cluster does not answer, or has no such topic, what is saved is shown nevertheless. */
async function lookUpForShow(
  { job, cluster }: Context,
  state: SavedState,
): Promise<{ bounds: PartitionBounds[]; remarks: string[] }> {
  const { topic, config } = job;
  try {
    const info = await cluster.findTopic(topic);
    if (!info) return { bounds: [], remarks: [`there is no topic ${topic} on the cluster`] };
    const other = findOtherTopic(state, info);
    const remarks =
      other && state.offsets.length > 0
        ? [`the saved offsets are those of ${other}: run kafkaload offsets reset --config ${config} to begin anew`]
        : [];
    return { bounds: await lookUpBounds(cluster, info, job.kafka), remarks };
  } catch (error) {
    const failure = toOffloadError(error);
    if (failure.code === 'INTERNAL' || failure.code === 'INTERRUPTED' || failure.code === 'TERMINATED') throw failure;
    return { bounds: [], remarks: [`log start and end are not known: ${failure.message}`] };
  }
}

async function set(context: Context): Promise<OffsetsReport> {
  const { job, cluster } = context;
  const info = await findTopic(cluster, job.topic);
  const asked = await checkedOffsets(context, info);
  const topicIds: Record<string, string> = info.topicId === null ? {} : { [info.topic]: info.topicId };
  const apply = (saved: SavedState): SavedOffset[] => applyOffsets(job, info, saved, asked);
  if (job.dryRun) {
    const state = await readSavedState(context.session);
    const saved = afterRecovery(state);
    return { ...seen(job, state), offsets: changes(saved, apply(saved)), remarks: [] };
  }
  return change(context, (saved) => ({ offsets: apply(saved), topicIds }));
}

async function reset(context: Context): Promise<OffsetsReport> {
  const { job } = context;
  const state = await readSavedState(context.session);
  if (job.dryRun) return { ...seen(job, state), offsets: changes(afterRecovery(state), []), remarks: [] };
  if (isUntouched(state)) return { ...seen(job, state), offsets: [], remarks: [] };
  return change(context, () => ({ offsets: [], topicIds: {} }));
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
function isUntouched({ offsets, topicIds, previousRun, aliveRun, pendingIntent }: VisibleState): boolean {
  const hasIds = Object.keys(topicIds).length > 0;
  return offsets.length === 0 && !hasIds && !previousRun && !aliveRun && !pendingIntent;
}

async function change(
  context: Context,
  decide: (saved: SavedState) => Parameters<typeof replaceSaved>[1],
): Promise<OffsetsReport> {
  const session = await open(context);
  try {
    const { saved } = session;
    const next = decide(saved);
    await replaceSaved(session, next);
    return { ...done(context.job, session), offsets: changes(saved, next.offsets) };
  } finally {
    await session.close();
  }
}

function replaceSaved(
  session: RunSession,
  next: { readonly offsets: readonly SavedOffset[]; readonly topicIds: Readonly<Record<string, string>> },
): Promise<void> {
  return session.replaceSaved(next.offsets, next.topicIds);
}

async function open({ cluster, session }: Context): Promise<RunSession> {
  return openRun({ ...session, clusterId: await cluster.clusterId() });
}

/** What `--offsets` asks for, each in the log as it is now: one past its end means that nothing is left to read. */
async function checkedOffsets({ job, cluster }: Context, info: TopicInfo): Promise<Map<number, number>> {
  if (!job.spec) throw new OffloadError('INTERNAL', 'offsets set without offsets');
  const bounds = await lookUpBounds(cluster, info, job.kafka);
  const asked = await resolveOffsets(cluster, info, job.kafka, job.spec, bounds, '--offsets');
  for (const { partition, logStartOffset, highWatermark } of bounds) {
    const offset = asked.get(partition);
    if (offset === undefined || (offset >= logStartOffset && offset <= highWatermark)) continue;
    const place = `${info.topic}/${partition}`;
    const bound = offset < logStartOffset ? `its log starts at ${logStartOffset}` : `its log ends at ${highWatermark}`;
    throw new OffloadError(
      'CONFIG_INVALID',
      `cannot set ${place} to offset ${offset}: ${bound}; name an offset from ${logStartOffset} to ${highWatermark}`,
      { context: { topic: info.topic, partition, offset, logStartOffset, highWatermark } },
    );
  }
  return asked;
}

/** The topic that the saved offsets belong to, in words, if it is not this one; as `planRanges` judges. */
function findOtherTopic({ topicIds }: SavedState, { topic, topicId }: TopicInfo): string | null {
  const before = topicIds[topic];
  const [name] = Object.keys(topicIds);
  if (before === undefined) return name === undefined ? null : `topic ${name}`;
  return topicId === null || topicId === before ? null : `a topic ${topic} that was deleted (topic id ${before})`;
}

/** What is saved, with the offsets asked for in place of those of their partitions. */
function applyOffsets(
  { config, topic }: OffsetsJob,
  info: TopicInfo,
  saved: SavedState,
  asked: ReadonlyMap<number, number>,
): SavedOffset[] {
  const other = findOtherTopic(saved, info);
  const kept = saved.offsets.flatMap(({ partition, offset }): SavedOffset[] => {
    return asked.has(partition) || offset === null ? [] : [{ topic, partition, offset }];
  });
  const [stray] = other ? kept : kept.filter(({ partition }) => !info.partitions.includes(partition));
  if (stray) {
    const why = other ? `which is that of ${other}` : 'which the topic does not have';
    throw new OffloadError(
      'OFFSET_LOST',
      `cannot set offsets of ${config}: offset ${stray.offset} is saved for ${offsetKey(stray)}, ${why}, and would stay; ` +
        `run kafkaload offsets reset --config ${config} first`,
      { context: { config, topic, partition: stray.partition, offset: stray.offset } },
    );
  }
  const set = [...asked].map(([partition, offset]): SavedOffset => ({ topic, partition, offset }));
  return [...kept, ...set].sort((a, b) => a.partition - b.partition);
}

/** What will be saved once the next run has finished what is pending. */
function afterRecovery(state: VisibleState): SavedState {
  const { pendingIntent } = state;
  if (!pendingIntent) return state;
  const offsets = new Map(state.offsets.map((entry) => [offsetKey(entry), entry]));
  for (const entry of pendingIntent.next) offsets.set(offsetKey(entry), entry);
  return { ...state, offsets: [...offsets.values()].filter(({ offset }) => offset !== null) };
}

function changes(from: SavedState, to: readonly SavedOffset[]): ChangedOffset[] {
  const before = new Map(from.offsets.map(({ partition, offset }) => [partition, offset]));
  const after = new Map(to.map(({ partition, offset }) => [partition, offset]));
  const numbers = [...new Set([...before.keys(), ...after.keys()])].sort((a, b) => a - b);
  return numbers.map((partition) => {
    return { partition, from: before.get(partition) ?? null, to: after.get(partition) ?? null };
  });
}

function about({ action, config, topic, dryRun, discard, offsets }: OffsetsJob) {
  return { action, config, topic, dryRun, discard, mode: offsets.mode, place: offsets.name };
}

function seen(job: OffsetsJob, { aliveRun, pendingIntent }: VisibleState): Omit<OffsetsReport, 'remarks'> {
  const pendingRun = pendingIntent
    ? { run: pendingIntent.run, host: pendingIntent.host, offsets: moves(pendingIntent) }
    : null;
  return { ...about(job), aliveRun: aliveRun ?? null, pendingRun, recovered: [], discarded: [] };
}

function done(job: OffsetsJob, session: RunSession): OffsetsReport {
  const recovered = session.recovered.map(({ run, files }) => ({ run, files }));
  const discarded = session.discarded.map((past) => ({ run: past.run, offsets: moves(past) }));
  const remarks = session.recovered.flatMap(({ warnings }) => warnings.map((warning) => `warning: ${warning}`));
  return { ...about(job), aliveRun: null, pendingRun: null, recovered, discarded, remarks };
}

function moves({ previous, next }: Pick<VisibleState['pendingIntent'] & object, 'previous' | 'next'>): ChangedOffset[] {
  return next.map(({ partition, offset }, index) => {
    return { partition, from: previous[index]?.offset ?? null, to: offset };
  });
}
