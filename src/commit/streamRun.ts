/**
 * A run that keeps its offsets in a topic (STREAM mode; keys in streamState.ts). One transactional id for each config
 * and offsets topic: whoever fences the others with it is the one run that may write. The order of steps, and what a
 * crash after each leaves:
 *
 * 1. Watch the run record of an earlier run; if it changes, end. Then make the staging folder and fence the others.
 * 2. Read the state, after fencing, never before: another run may have committed until then.
 * 3. Write the own run record: it names the staging of every run before, until that is removed. The heartbeat rewrites it;
 *    one of unknown outcome is made good by fencing again, if the record is still there (runProducer.ts).
 * 4. Finish an intent (6 to 8), then remove the staging of earlier runs. The caller plans and stages.
 * 5. Prepare: `intent.json`, synced, then the intent record in a transaction: the point of no return. From the call on
 *    nothing is removed on error: not to know whether it happened is one of its outcomes.
 * 6. Publish and manifest (sinks/localFiles.ts): may be repeated by anyone.
 * 7. Commit: offsets, last commit and the tombstone of the intent in one transaction. Fenced or unknown: touch nothing.
 * 8. Remove the staging folder, then the run record: a crash in between leaves the record, which names the folder.
 *
 * Saved offsets that a person sets or resets are one transaction after 4: new values, tombstones, topic ids. A prepared
 * run whose ranges are given back (discard.ts) ends with the tombstone of its intent, in place of 6 and 7.
 */
import type { KafkaSettings } from '../config/job.ts';
import { partitionForKey } from '../encode/records/partitioner.ts';
import { messageOf, OffloadError } from '../errors.ts';
import { createTopic, LOAD_TRANSACTION_TIMEOUT_MS, TRANSACTION_SWEEP_MS } from '../kafka/client.ts';
import { offsetKey } from '../plan/places.ts';
import { publishLocalFiles } from '../sinks/localFiles.ts';
import { passStep } from '../steps.ts';
import {
  afterPrepare,
  describeFailure,
  fencedError,
  makeStaging,
  publishError,
  type RunContext,
  removeEmptyStaging,
  removeStaging,
  stageIntent,
} from './context.ts';
import { isGivenBack, removeManifest, withdrawStaging } from './discard.ts';
import { blocked, formatIntentRecord, type IntentRecord, loadIntent, makeChangeRecord } from './intent.ts';
import { aliveError, formatOwner, markEnded, markRunning } from './owner.ts';
import { RunProducer, type WriteResult } from './runProducer.ts';
import { mergeOffsets, type SavedOffsets, type TopicsInUse } from './savedOffsets.ts';
import {
  formatLastCommit,
  formatRunRecord,
  keysToForget,
  type Leftover,
  outdatedKeys,
  readStreamState,
  recordKey,
  type StreamState,
  stateKeys,
  type TopicReader,
} from './streamState.ts';
import type { DiscardedRun, Intent, RunSession, SavedState } from './types.ts';
import { type Heartbeat, startHeartbeat, watchRun } from './watch.ts';

/** Another config's producer that died holds readers up until its coordinator notices; some seconds more for the trip. */
const STABLE_WAIT_MS = LOAD_TRANSACTION_TIMEOUT_MS + TRANSACTION_SWEEP_MS + 5_000;
const NEW_TOPIC_WAIT_MS = 15_000;
const NEW_TOPIC_LOOK_MS = 200;

type RecoveredRun = RunSession['recovered'][number];

export class StreamRun implements RunSession {
  readonly run: string;
  readonly stagingPath: string;
  readonly #context: RunContext;
  readonly #kafka: KafkaSettings;
  readonly #reader: TopicReader;
  readonly #fenced = new AbortController();
  readonly #recovered: RecoveredRun[] = [];
  readonly #discarded: DiscardedRun[] = [];
  #producer: RunProducer | null = null;
  #partitions = 1;
  #heartbeat: Heartbeat | null = null;
  /** Runs before this one whose staging is still to be removed. */
  #takenOver: readonly Leftover[] = [];
  #read: StreamState | null = null;
  /** `bound` from before a call that may prepare; `recorded` once the run record may be there. */
  #phase: 'unknown' | 'recorded' | 'bound' = 'unknown';
  #ending: Promise<void> | null = null;
  /** `left` when it could not be removed: then the run record stays, which names it. */
  #staging: 'absent' | 'made' | 'left' = 'absent';

  private constructor(context: RunContext, kafka: KafkaSettings, reader: TopicReader) {
    this.#context = context;
    this.#kafka = kafka;
    this.#reader = reader;
    this.run = context.run;
    this.stagingPath = context.stagingPath;
  }

  get saved(): SavedState {
    return this.#current.state;
  }

  get recovered(): readonly RecoveredRun[] {
    return this.#recovered;
  }

  get discarded(): readonly DiscardedRun[] {
    return this.#discarded;
  }

  get signal(): AbortSignal {
    return this.#fenced.signal;
  }

  /** @throws OffloadError RUN_ALIVE, RECOVERY_BLOCKED, TARGET_CHANGED, SAVED_OFFSETS_INVALID, FENCED, broker errors */
  static async open(context: RunContext, kafka: KafkaSettings, reader: TopicReader): Promise<StreamRun> {
    const session = new StreamRun(context, kafka, reader);
    try {
      await session.#open();
      return session;
    } catch (error) {
      await session.close().catch((closing: unknown) => context.log(`warning: ${messageOf(closing)}`));
      throw describeFailure(error, 'open the run');
    }
  }

  async #open(): Promise<void> {
    const { step, config, offsets, clock } = this.#context;
    const before = await this.#readState();
    if (before.exists) await this.#watch(before);
    else await this.#createTopic();
    await step('open.watched');
    this.#staging = 'made';
    await makeStaging(this.#context);
    await step('open.stagingMade');
    this.#producer = await RunProducer.connect({
      kafka: this.#kafka,
      topic: offsets.name,
      transactionalId: `kafkaload/${offsets.name}/${config}`,
      isHeld: () => this.#holdsRecord(),
    });
    await this.#findPartitions(this.#producer, before.exists);
    await step('open.connected');
    markRunning(this.run);
    await this.#producer.fenceOthers();
    await step('open.fencedOthers');
    const state = await this.#readState();
    this.#read = state;
    this.#takenOver = leftovers(state);
    this.#phase = 'recorded';
    const recorded = await this.#transact([[stateKeys(config).run, this.#runRecord()]]);
    if (recorded.outcome !== 'ok') {
      throw recorded.outcome === 'fenced' ? this.#overtakenError('another run was started') : recorded.cause;
    }
    this.#heartbeat = startHeartbeat(clock, offsets.heartbeatMs, () => this.#beat());
    await step('open.recorded');
    await this.#recover(state);
    const left: Leftover[] = [];
    for (const past of this.#takenOver) {
      if (past.withdrawn === true) await removeManifest(this.#context.fs, { ...past, config: this.#context.config });
      if (!(await removeStaging(this.#context, past.stagingPath, past.run))) left.push(past);
      await step('open.stagingRemoved');
    }
    this.#takenOver = left;
    await removeEmptyStaging(this.#context);
    await step('open.cleaned');
  }

  async #watch(state: StreamState): Promise<void> {
    const { config, offsets, clock, log, takeOver } = this.#context;
    if (!state.run || takeOver) return;
    const { owner } = state.run;
    let known: StreamState | null = state;
    const look = async () => {
      const run = (known ?? (await this.#readState())).run;
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

  async #createTopic(): Promise<void> {
    const { offsets } = this.#context;
    const { name: topic, partitions, replicationFactor, createOptions } = offsets;
    await createTopic(this.#kafka, { topic, partitions, replicationFactor, createOptions });
  }

  /** A topic made a moment ago is not known to every broker at once. */
  async #findPartitions(producer: RunProducer, isOld: boolean): Promise<void> {
    const { offsets, clock } = this.#context;
    for (let waitedMs = 0; ; waitedMs += NEW_TOPIC_LOOK_MS) {
      this.#partitions = await producer.countPartitions();
      if (this.#partitions > 0 && (isOld || (await this.#readState()).exists)) return;
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

  async #recover(state: StreamState): Promise<void> {
    const { config, offsets, step, log } = this.#context;
    if (state.damagedIntent !== null) {
      throw new OffloadError(
        'RECOVERY_BLOCKED',
        `cannot finish a prepared run of config ${config}: the record ${stateKeys(config).intent} of topic ` +
          `${offsets.name} is no intent`,
        { context: { config, topic: offsets.name } },
      );
    }
    if (!state.intent) return;
    const givesBack = this.#context.discard || (await isGivenBack(this.#context.fs, state.intent, null));
    if (givesBack) return this.#discard(state.intent);
    await step('recover.begun');
    log(`finishing run ${state.intent.run} of config ${config}, which was prepared and did not end`);
    if (state.intent.plainTopic !== this.#context.plainTopic) this.#read = await this.#readState(state.intent);
    this.#phase = 'bound';
    const { files, warnings } = await this.#publish(state.intent, null);
    this.#phase = 'recorded';
    this.#recovered.push({ run: state.intent.run, files, warnings });
    this.#read = await this.#readState();
    await step('recover.read');
  }

  /** Gives the ranges of a prepared run back. */
  async #discard(record: IntentRecord): Promise<void> {
    const { config, fs, step, log, owner } = this.#context;
    this.#phase = 'bound';
    await step('discard.begun');
    await withdrawStaging(fs, record);
    await step('discard.withdrawn');
    const rest = this.#takenOver.filter(({ run }) => run !== record.run);
    this.#takenOver = [...rest, { run: record.run, stagingPath: record.stagingPath, withdrawn: true }];
    const withdrawn = await this.#transact([
      [stateKeys(config).intent, null],
      [stateKeys(config).run, formatRunRecord(owner, this.#takenOver)],
    ]);
    if (withdrawn.outcome === 'fenced') throw await this.#overtaken(record);
    if (withdrawn.outcome === 'unsent') throw withdrawn.cause;
    if (withdrawn.outcome === 'unknown') throw this.#unknownError('withdrawn', withdrawn.cause);
    await step('discard.done');
    if (await removeStaging(this.#context, record.stagingPath, record.run)) this.#takenOver = rest;
    await step('discard.stagingRemoved');
    this.#phase = 'recorded';
    log(`run ${record.run} of config ${config} was withdrawn: its ranges are read again by the next run`);
    this.#discarded.push({ run: record.run, previous: record.previous, next: record.next });
    this.#read = await this.#readState();
  }

  /** @param own The intent, if it is this run's; null to read it from its staging folder. */
  async #publish(record: IntentRecord, own: Intent | null): Promise<{ files: string[]; warnings: string[] }> {
    const { fs, step, log, owner } = this.#context;
    const intent = own ?? (await loadIntent(fs, record));
    if (!own) await step('recover.intentRead');
    if (!intent) {
      throw (await this.#isHeld(record))
        ? blocked(record, `its staging folder ${record.stagingPath} is not there`)
        : this.#overtakenError('another run finished what it was finishing');
    }
    const outcome = await publishLocalFiles(intent, { fs, writer: this.run, step });
    if (!outcome.ok) {
      throw (await this.#isHeld(record)) ? publishError(record, outcome) : await this.#overtaken(record);
    }
    await step('commit.begun');
    const { offsets, warnings } = mergeOffsets(this.#current.offsets, record);
    for (const warning of warnings) log(`warning: ${warning}`);
    const finished: Leftover = { run: record.run, stagingPath: record.stagingPath };
    const rest = this.#takenOver.filter(({ run }) => run !== record.run);
    this.#takenOver = own ? rest : [...rest, finished];
    const committed = await this.#transact([
      ...this.#changedOffsets(offsets, record),
      [stateKeys(this.#context.config).state, formatLastCommit(record)],
      [stateKeys(this.#context.config).intent, null],
      [stateKeys(this.#context.config).run, formatRunRecord(owner, this.#takenOver)],
    ]);
    if (committed.outcome === 'fenced') throw await this.#overtaken(record);
    if (committed.outcome === 'unsent') throw committed.cause;
    if (committed.outcome === 'unknown') throw this.#unknownError('committed', committed.cause);
    await step('commit.committed');
    const isRemoved = await removeStaging(this.#context, record.stagingPath, record.run);
    if (isRemoved) this.#takenOver = rest;
    else if (own) this.#staging = 'left';
    await step('commit.stagingRemoved');
    return { files: intent.files.map((file) => file.targetPath), warnings };
  }

  finish(intent: Intent): Promise<void> {
    return this.#conclude(() => this.#finish(intent));
  }

  replaceSaved(...change: Parameters<RunSession['replaceSaved']>): Promise<void> {
    return this.#conclude(() => this.#replaceSaved(...change));
  }

  async #conclude(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const isBound = this.#phase === 'bound';
      const failure = describeFailure(error, isBound ? 'publish and commit' : 'prepare');
      throw isBound ? afterPrepare(failure, this.#context) : failure;
    } finally {
      if (this.#phase === 'bound') await this.#end(null);
    }
  }

  async #finish(intent: Intent): Promise<void> {
    const { config, step } = this.#context;
    this.signal.throwIfAborted();
    const record = await stageIntent(this.#context, intent, this.#current.offsets);
    await step('prepare.before');
    this.#phase = 'bound';
    const prepared = await this.#transact([[stateKeys(config).intent, formatIntentRecord(record)]]);
    if (prepared.outcome === 'fenced') {
      throw this.#overtakenError('that was before it prepared, so none of its work counts');
    }
    if (prepared.outcome === 'unsent') {
      this.#phase = 'recorded';
      throw prepared.cause;
    }
    if (prepared.outcome === 'unknown') throw this.#unknownError('prepared', prepared.cause);
    await step('prepare.after');
    await this.#publish(record, intent);
    await this.#end(stateKeys(config).run);
  }

  async #replaceSaved(...change: Parameters<RunSession['replaceSaved']>): Promise<void> {
    const [offsets, topicIds, previousRun] = change;
    const { config, step } = this.#context;
    this.signal.throwIfAborted();
    const { offsets: saved, state } = this.#current;
    const named = new Map(offsets.map((entry) => [offsetKey(entry), entry]));
    // What is saved of topics the config does not read (any more) goes only if all goes.
    const others = [...saved].filter(([, { topic }]) => named.size > 0 && !this.#context.topics.includes(topic));
    const next = new Map([...others, ...named]);
    const from = { saved, previousRun: previousRun ?? state.previousRun };
    const record = makeChangeRecord(this.#context, from, { offsets: named, topicIds });
    this.#phase = 'bound';
    const changed = await this.#transact([
      ...keysToForget(this.#current, config, next, this.#context).map((key) => [key, null] as const),
      ...this.#changedOffsets(next, this.#context),
      [stateKeys(config).state, formatLastCommit(record)],
    ]);
    if (changed.outcome === 'fenced') throw this.#overtakenError('that was before it changed the saved offsets');
    if (changed.outcome === 'unsent') throw changed.cause;
    if (changed.outcome === 'unknown') throw this.#unknownError('committed', changed.cause);
    await step('commit.committed');
    await this.#end(stateKeys(config).run);
  }

  async close(): Promise<void> {
    if (this.#ending) return this.#ending;
    const isOurs = this.#phase !== 'bound' && this.#takenOver.length === 0;
    if (isOurs && this.#staging === 'made') {
      if (!(await removeStaging(this.#context, this.stagingPath, this.run))) this.#staging = 'left';
      passStep('close.stagingRemoved');
    }
    const isRecorded = isOurs && this.#phase === 'recorded' && !this.signal.aborted;
    await this.#end(isRecorded ? stateKeys(this.#context.config).run : null);
  }

  /** @param tombstone Key of the run record, to be removed once no heartbeat can write it again. */
  #end(tombstone: string | null): Promise<void> {
    this.#ending ??= this.#endOnce(tombstone);
    return this.#ending;
  }

  async #endOnce(tombstone: string | null): Promise<void> {
    const { log } = this.#context;
    await this.#heartbeat?.stop();
    if (tombstone !== null && this.#staging !== 'left' && this.#takenOver.length === 0) {
      const removed = await this.#transact([[tombstone, null]]);
      // The work is done or there was none; the next run finds the record and sees that this process has ended.
      if (removed.outcome === 'unknown' || removed.outcome === 'unsent')
        log(`warning: the run record stays: ${removed.cause.message}`);
      passStep('close.recordRemoved');
    }
    markEnded(this.run);
    await this.#producer?.disconnect();
  }

  get #current(): StreamState {
    if (!this.#read) throw new OffloadError('INTERNAL', `run ${this.run} has not read its saved state`);
    return this.#read;
  }

  /** @param use Whose topics and form of entries: this run's, or those of a run it finishes. */
  #readState({ topics, plainTopic }: TopicsInUse = this.#context): Promise<StreamState> {
    const { config, offsets } = this.#context;
    const from = { topic: offsets.name, config, topics, plainTopic, waitForStableMs: STABLE_WAIT_MS };
    return readStreamState(this.#reader, from);
  }

  #runRecord(): string {
    return formatRunRecord(this.#context.owner, this.#takenOver);
  }

  /** Entries whose record would change: all of them when one topic has become several, and the old ones go. */
  #changedOffsets(offsets: SavedOffsets, form: Pick<TopicsInUse, 'plainTopic'>): [string, string | null][] {
    const { config } = this.#context;
    const { stored } = this.#current;
    const changed = [...offsets.values()]
      .map((entry): [string, number] => [recordKey(config, entry, form), entry.offset])
      .filter(([key, offset]) => stored.get(key) !== offset);
    return [
      ...changed.map(([key, offset]): [string, string] => [key, String(offset)]),
      ...outdatedKeys(this.#current, config, offsets, form).map((key): [string, null] => [key, null]),
    ];
  }

  /** Writes key and value pairs in one transaction; a tombstone goes to every partition that has a value of its key. */
  #transact(
    pairs: readonly (readonly [string, string | null])[],
    kind: 'heartbeat' | 'step' = 'step',
  ): Promise<WriteResult> {
    if (!this.#producer) throw new OffloadError('INTERNAL', `run ${this.run} is not connected`);
    const writes = pairs.flatMap(([key, value]) => {
      const own = partitionForKey(key, this.#partitions);
      const others = value === null ? (this.#read?.places.get(key) ?? []) : [];
      return [...new Set([own, ...others])].map((partition) => ({ partition, key, value }));
    });
    return this.#producer.transact(writes, kind);
  }

  async #beat(): Promise<void> {
    const { config, log } = this.#context;
    const beat = await this.#transact([[stateKeys(config).run, this.#runRecord()]], 'heartbeat');
    if (beat.outcome === 'ok') return;
    // A coordinator that was away for long fences, too; one that cannot be asked now is asked at the next beat.
    const isTaken = beat.outcome === 'fenced' && !(await this.#holdsRecord().catch(() => true));
    if (isTaken) this.#fenced.abort(this.#overtakenError('another run was started'));
    else log(`warning: cannot renew the run record: ${beat.cause.message}`);
  }

  async #holdsRecord(): Promise<boolean> {
    return (await this.#readState()).run?.owner?.run === this.run;
  }

  async #isHeld(record: IntentRecord): Promise<boolean> {
    return (await this.#readState()).intent?.run === record.run;
  }

  /** Fenced with an intent prepared: looks what became of it, and says so. */
  async #overtaken(record: IntentRecord): Promise<OffloadError> {
    const isPending = await this.#isHeld(record).catch(() => null);
    const outcome = isPending === null ? 'cannot be read' : isPending ? 'are not saved yet' : 'are saved by now';
    return this.#overtakenError(`it had prepared, and its offsets ${outcome}`);
  }

  #overtakenError(why: string): OffloadError {
    return fencedError(this.#context, why);
  }

  #unknownError(what: 'prepared' | 'committed' | 'withdrawn', cause: OffloadError): OffloadError {
    const { config } = this.#context;
    return new OffloadError(
      'OUTCOME_UNKNOWN',
      `it is not known whether run ${this.run} of config ${config} is ${what}: ${cause.message}; ` +
        'nothing was touched; the next run finishes or discards it',
      { context: { config, run: this.run }, cause },
    );
  }
}

/** The staging folders that no run will remove any more. */
function leftovers(state: StreamState): Leftover[] {
  if (!state.run) return [];
  const { owner, takenOver } = state.run;
  const own = owner ? [{ run: owner.run, stagingPath: owner.stagingPath }] : [];
  return [...own, ...takenOver.filter(({ run }) => run !== owner?.run)];
}
