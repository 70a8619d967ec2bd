/**
 * A run that keeps its offsets in a topic (STREAM mode; keys in streamRecords.ts). One transactional id for each config
 * and offsets topic: whoever fences the others with it is the one run that may write. Steps 1 to 3 are in streamOpen.ts,
 * 4 in streamRecovery.ts, 5 to 8 in streamFinish.ts. The order of steps, and what a crash after each leaves:
 *
 * 1. Watch the run record of an earlier run; if it changes, end. Then make the staging folder and fence the others.
 * 2. Read the state, after fencing, never before: another run may have committed until then.
 * 3. Write the own run record: it names the staging of every run before, until that is removed. The heartbeat rewrites it;
 *    one of unknown outcome is made good by fencing again, if the record is still there (runProducer.ts). So are 5 and 7.
 * 4. Finish an intent (6 to 8), then remove the staging of earlier runs. The caller plans and stages.
 * 5. Prepare: `intent.json`, synced, then the intent record in a transaction: the point of no return. From the call on
 *    nothing is removed on error: where no broker answers, not to know whether it happened is one of its outcomes.
 * 6. Publish and manifest (sinks/localFiles.ts): may be repeated by anyone.
 * 7. Commit: offsets, last commit and the tombstone of the intent in one transaction. Fenced or unknown: touch nothing.
 * 8. Remove the staging folder, then the run record: a crash in between leaves the record, which names the folder.
 *
 * Saved offsets that a person sets or resets are one transaction after 4: new values, tombstones, topic ids. A prepared
 * run whose ranges are given back (discard.ts) ends with the tombstone of its intent, in place of 6 and 7.
 */
import type { KafkaSettings } from '../config/kafkaSettings.ts';
import { offsetKey } from '../plan/places.ts';
import { passStep } from '../steps.ts';
import { type RunContext, removeStaging, stageIntent } from './context.ts';
import { makeChangeRecord } from './intent.ts';
import { markEnded } from './owner.ts';
import { openSession, type RunSteps } from './runSession.ts';
import { commitChange, prepare, publishAndCommit } from './streamFinish.ts';
import { fenceAndRecord } from './streamOpen.ts';
import { StreamProgress } from './streamProgress.ts';
import { stateKeys } from './streamRecords.ts';
import { clean, recover } from './streamRecovery.ts';
import type { TopicReader } from './streamState.ts';
import type { Intent, RunSession, SavedState } from './types.ts';

/** @throws OffloadError RUN_ALIVE, RECOVERY_BLOCKED, TARGET_CHANGED, SAVED_OFFSETS_INVALID, FENCED, broker errors */
export function openStreamRun(context: RunContext, kafka: KafkaSettings, reader: TopicReader): Promise<RunSession> {
  return openSession(new StreamRun(new StreamProgress(context, kafka, reader)));
}

class StreamRun implements RunSteps {
  readonly progress: StreamProgress;

  constructor(progress: StreamProgress) {
    this.progress = progress;
  }

  get saved(): SavedState {
    return this.progress.current.state;
  }

  holdsRecord(): Promise<boolean> {
    return this.progress.holdsRecord();
  }

  async open(): Promise<void> {
    const { progress } = this;
    const state = await fenceAndRecord(progress);
    await recover(progress, state);
    await clean(progress);
  }

  async finish(intent: Intent): Promise<void> {
    const { progress } = this;
    const record = await stageIntent(progress.context, intent, progress.current.offsets);
    await prepare(progress, record);
    await publishAndCommit(progress, record, intent);
    await this.#endAndForget();
  }

  async replaceSaved(...change: Parameters<RunSession['replaceSaved']>): Promise<void> {
    const [offsets, topicIds, previousRun] = change;
    const { context, current } = this.progress;
    const { offsets: saved, state } = current;
    const named = new Map(offsets.map((entry) => [offsetKey(entry), entry]));
    // What is saved of topics the config does not read (any more) goes only if all goes.
    const others = [...saved].filter(([, { topic }]) => named.size > 0 && !context.topics.includes(topic));
    const from = { saved, previousRun: previousRun ?? state.previousRun };
    const record = makeChangeRecord(context, from, { offsets: named, topicIds });
    await commitChange(this.progress, new Map([...others, ...named]), record);
    await this.#endAndForget();
  }

  async close(): Promise<void> {
    const { progress } = this;
    const { context } = progress;
    if (progress.ending) return progress.ending;
    const isOurs = progress.phase !== 'bound' && progress.takenOver.length === 0;
    if (isOurs && progress.staging === 'made') {
      if (!(await removeStaging(context, context.stagingPath, context.run))) progress.staging = 'left';
      passStep('close.stagingRemoved');
    }
    const isRecorded = isOurs && progress.record === 'recorded' && !progress.signal.aborted;
    await (isRecorded ? this.#endAndForget() : this.end());
  }

  end(): Promise<void> {
    return this.progress.end(() => this.#disconnect());
  }

  /** Removes the run record as well, now that no heartbeat can write it again; it stays if it names a folder. */
  #endAndForget(): Promise<void> {
    const { progress } = this;
    const { config, log } = progress.context;
    return progress.end(async () => {
      if (progress.staging !== 'left' && progress.takenOver.length === 0) {
        const removed = await progress.transact([[stateKeys(config).run, null]]);
        // The work is done or there was none; the next run finds the record and sees that this process has ended.
        if (removed.outcome === 'unknown' || removed.outcome === 'unsent')
          log(`warning: the run record stays: ${removed.cause.message}`);
        passStep('close.recordRemoved');
      }
      await this.#disconnect();
    });
  }

  async #disconnect(): Promise<void> {
    markEnded(this.progress.context.run);
    const producer = await this.progress.connecting?.catch(() => null);
    await producer?.disconnect();
  }
}
