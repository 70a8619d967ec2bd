/**
 * A run of STREAM mode between its steps: what it has read of the offsets topic, how it writes there, and how it tells
 * that another run has taken over.
 */
import type { KafkaSettings } from '../config/kafkaSettings.ts';
import { partitionForKey } from '../encode/records/partitioner.ts';
import { OffloadError } from '../errors.ts';
import { LOAD_TRANSACTION_TIMEOUT_MS, TRANSACTION_SWEEP_MS } from '../kafka/client.ts';
import { fencedError, type RunContext } from './context.ts';
import type { IntentRecord } from './intent.ts';
import type { RunProducer, WriteKind, WriteResult } from './runProducer.ts';
import { RunProgress } from './runSession.ts';
import type { SavedOffsets, TopicsInUse } from './savedOffsets.ts';
import { formatRunRecord, type Leftover, outdatedKeys, recordKey, stateKeys } from './streamRecords.ts';
import { readStreamState, type StreamState, type TopicReader } from './streamState.ts';
import { startHeartbeat } from './watch.ts';

/** Another config's producer that died holds readers up until its coordinator notices; some seconds more for the trip. */
const STABLE_WAIT_MS = LOAD_TRANSACTION_TIMEOUT_MS + TRANSACTION_SWEEP_MS + 5_000;

export class StreamProgress extends RunProgress {
  readonly kafka: KafkaSettings;
  readonly #reader: TopicReader;
  producer: RunProducer | null = null;
  /** What becomes the producer, once it is asked for. */
  connecting: Promise<RunProducer> | null = null;
  /** Of the offsets topic. */
  partitions = 1;
  /** As last read by this run; null until it has fenced the others. */
  read: StreamState | null = null;
  /** Runs before this one whose staging is still to be removed. */
  takenOver: readonly Leftover[] = [];
  /** `recorded` once the run record may be there. */
  record: 'unknown' | 'recorded' = 'unknown';
  /** `left` when it could not be removed: then the run record stays, which names it. */
  staging: 'absent' | 'made' | 'left' = 'absent';

  constructor(context: RunContext, kafka: KafkaSettings, reader: TopicReader) {
    super(context);
    this.kafka = kafka;
    this.#reader = reader;
  }

  get current(): StreamState {
    if (!this.read) throw new OffloadError('INTERNAL', `run ${this.context.run} has not read its saved state`);
    return this.read;
  }

  /** @param use Whose topics and form of entries: this run's, or those of a run it finishes. */
  readState({ topics, plainTopic }: TopicsInUse = this.context): Promise<StreamState> {
    const { config, offsets } = this.context;
    const from = { topic: offsets.name, config, topics, plainTopic, waitForStableMs: STABLE_WAIT_MS };
    return readStreamState(this.#reader, from);
  }

  async holdsRecord(): Promise<boolean> {
    return (await this.readState()).run?.owner?.run === this.context.run;
  }

  async isHeld(record: IntentRecord): Promise<boolean> {
    return (await this.readState()).intent?.run === record.run;
  }

  runRecord(): string {
    return formatRunRecord(this.context.owner, this.takenOver);
  }

  /** Entries whose record would change: all of them when one topic has become several, and the old ones go. */
  changedOffsets(offsets: SavedOffsets, form: Pick<TopicsInUse, 'plainTopic'>): [string, string | null][] {
    const { config } = this.context;
    const { stored } = this.current;
    const changed = [...offsets.values()]
      .map((entry): [string, number] => [recordKey(config, entry, form), entry.offset])
      .filter(([key, offset]) => stored.get(key) !== offset);
    return [
      ...changed.map(([key, offset]): [string, string] => [key, String(offset)]),
      ...outdatedKeys(this.current, config, offsets, form).map((key): [string, null] => [key, null]),
    ];
  }

  /** Writes key and value pairs in one transaction; a tombstone goes to every partition that has a value of its key. */
  transact(pairs: readonly (readonly [string, string | null])[], kind: WriteKind = 'step'): Promise<WriteResult> {
    if (!this.producer) throw new OffloadError('INTERNAL', `run ${this.context.run} is not connected`);
    const writes = pairs.flatMap(([key, value]) => {
      const own = partitionForKey(key, this.partitions);
      const others = value === null ? (this.read?.places.get(key) ?? []) : [];
      return [...new Set([own, ...others])].map((partition) => ({ partition, key, value }));
    });
    return this.producer.transact(writes, kind);
  }

  startHeartbeat(): void {
    const { clock, offsets } = this.context;
    this.heartbeat = startHeartbeat(clock, offsets.heartbeatMs, () => this.#beat());
  }

  async #beat(): Promise<void> {
    const { config, log } = this.context;
    const beat = await this.transact([[stateKeys(config).run, this.runRecord()]], 'heartbeat');
    if (beat.outcome === 'ok') return;
    // A coordinator that was away for long fences, too; one that cannot be asked now is asked at the next beat.
    const isTaken = beat.outcome === 'fenced' && !(await this.holdsRecord().catch(() => true));
    if (isTaken) this.fence(this.overtakenError('another run was started'));
    else log(`warning: cannot renew the run record: ${beat.cause.message}`);
  }

  /** Fenced with an intent prepared: looks what became of it, and says so. */
  async overtaken(record: IntentRecord): Promise<OffloadError> {
    const isPending = await this.isHeld(record).catch(() => null);
    const outcome = isPending === null ? 'cannot be read' : isPending ? 'are not saved yet' : 'are saved by now';
    return this.overtakenError(`it had prepared, and its offsets ${outcome}`);
  }

  overtakenError(why: string): OffloadError {
    return fencedError(this.context, why);
  }

  unknownError(what: 'prepared' | 'committed' | 'withdrawn', cause: OffloadError): OffloadError {
    const { config, run } = this.context;
    return new OffloadError(
      'OUTCOME_UNKNOWN',
      `it is not known whether run ${run} of config ${config} is ${what}: ${cause.message}; ` +
        'nothing was touched; the next run finishes or discards it',
      { context: { config, run }, cause },
    );
  }
}
