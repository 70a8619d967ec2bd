/** Steps 1 to 3 of a run in STREAM mode (streamRun.ts): makes sure that it is the only one, and says that it is there. */
import { OffloadError } from '../errors.ts';
import { createTopic, preloadClient } from '../kafka/client.ts';
import { countRetry } from '../retryCounts.ts';
import { makeStaging } from './context.ts';
import { aliveError, formatOwner, markRunning } from './owner.ts';
import { RunProducer } from './runProducer.ts';
import type { StreamProgress } from './streamProgress.ts';
import { type Leftover, stateKeys } from './streamRecords.ts';
import type { StreamState } from './streamState.ts';
import { watchRun } from './watch.ts';

const NEW_TOPIC_WAIT_MS = 15_000;
const NEW_TOPIC_LOOK_MS = 200;
const RECORD_ATTEMPTS = 3;

/**
 * @returns The state as it was read after fencing.
 * @throws OffloadError RUN_ALIVE, FENCED, SAVED_OFFSETS_INVALID, broker errors
 */
export async function fenceAndRecord(progress: StreamProgress): Promise<StreamState> {
  const { context } = progress;
  const { step, config, offsets } = context;
  preloadClient();
  const before = await progress.readState();
  if (before.exists) await watch(progress, before);
  else await createOffsetsTopic(progress);
  await step('open.watched');
  // It fences nobody yet, so that the folder can be made meanwhile.
  progress.connecting = RunProducer.connect({
    kafka: progress.kafka,
    topic: offsets.name,
    transactionalId: `kafkaload/${offsets.name}/${config}`,
    isHeld: () => progress.holdsRecord(),
  });
  progress.connecting.catch(() => {});
  progress.staging = 'made';
  await makeStaging(context);
  await step('open.stagingMade');
  progress.producer = await progress.connecting;
  await findPartitions(progress, progress.producer, before.exists);
  await step('open.connected');
  markRunning(context.run);
  await progress.producer.fenceOthers();
  await step('open.fencedOthers');
  const state = await writeRecord(progress, progress.producer);
  progress.startHeartbeat();
  await step('open.recorded');
  return state;
}

/**
 * Reads the state and says that this run is there. Where the answer leaves open whether that is written, and even whether
 * another run has fenced this one, the others are fenced anew, unless one of them has written its record meanwhile; then
 * it is written again if it is not there.
 *
 * @returns The state as it was read after the others were fenced for the last time.
 */
async function writeRecord(progress: StreamProgress, producer: RunProducer): Promise<StreamState> {
  const { config, run } = progress.context;
  const isOwn = (found: StreamState): boolean => found.run?.owner?.run === run;
  let state = await progress.readState();
  const look = async (): Promise<StreamState> => {
    const found = await progress.readState();
    if (found.run && !isOwn(found) && found.run.mark !== state.run?.mark) {
      throw progress.overtakenError('another run was started');
    }
    return found;
  };
  for (let attempts = 1; ; attempts++) {
    progress.read = state;
    progress.takenOver = leftovers(state);
    progress.record = 'recorded';
    const recorded = await progress.transact([[stateKeys(config).run, progress.runRecord()]]);
    if (recorded.outcome === 'ok') return state;
    if (recorded.outcome === 'fenced') throw progress.overtakenError('another run was started');
    if (attempts === RECORD_ATTEMPTS) throw recorded.cause;
    countRetry(recorded.cause.code);
    // Once the others are fenced anew, a tombstone of this run would remove the record of another.
    progress.record = 'unknown';
    // Spares a run that took over, which fencing would stop.
    await look();
    await producer.fenceAnew();
    const found = await look();
    if (isOwn(found)) {
      progress.read = found;
      progress.record = 'recorded';
      return found;
    }
    state = found;
  }
}

async function watch(progress: StreamProgress, state: StreamState): Promise<void> {
  const { config, offsets, clock, log, takeOver } = progress.context;
  if (!state.run || takeOver) return;
  const { owner } = state.run;
  let known: StreamState | null = state;
  const look = async () => {
    const run = (known ?? (await progress.readState())).run;
    known = null;
    return run ? { mark: run.mark, owner: run.owner } : null;
  };
  const verdict = await watchRun(look, offsets, clock, () => {
    const seconds = offsets.takeOverAfterMs / 1000;
    log(
      `run ${owner?.run ?? '?'} of config ${config} on ${formatOwner(owner)} has not ended; watching it for ${seconds} s`,
    );
  });
  if (verdict === 'alive') throw aliveError(config, { run: owner?.run ?? '?', owner }, 'is at work');
}

async function createOffsetsTopic({ context, kafka }: StreamProgress): Promise<void> {
  const { name: topic, partitions, replicationFactor, createOptions } = context.offsets;
  await createTopic(kafka, { topic, partitions, replicationFactor, createOptions });
}

/** A topic made a moment ago is not known to every broker at once. */
async function findPartitions(progress: StreamProgress, producer: RunProducer, isOld: boolean): Promise<void> {
  const { offsets, clock } = progress.context;
  for (let waitedMs = 0; ; waitedMs += NEW_TOPIC_LOOK_MS) {
    progress.partitions = await producer.countPartitions();
    if (progress.partitions > 0 && (isOld || (await progress.readState()).exists)) return;
    if (waitedMs >= NEW_TOPIC_WAIT_MS) {
      throw new OffloadError(
        'BROKER_TIMEOUT',
        `offsets topic ${offsets.name} is not there ${NEW_TOPIC_WAIT_MS / 1000} s after it was created`,
        { context: { topic: offsets.name } },
      );
    }
    await clock.sleep(NEW_TOPIC_LOOK_MS);
  }
}

/** The staging folders that no run will remove any more. */
function leftovers(state: StreamState): Leftover[] {
  if (!state.run) return [];
  const { owner, takenOver } = state.run;
  const own = owner ? [{ run: owner.run, stagingPath: owner.stagingPath }] : [];
  return [...own, ...takenOver.filter(({ run }) => run !== owner?.run)];
}
