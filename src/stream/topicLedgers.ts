/** Where positions are kept that belong to records in a topic: in whichever place their transaction can reach. */

import type { TopicSink } from '../config/job.ts';
import { ProgressTopic } from '../coordinator/load/progressTopic.ts';
import { compacted, ensureTopic } from '../coordinator/load/targetTopic.ts';
import type { Cluster } from '../kafka/cluster.ts';
import type { TransactionalProducer } from '../kafka/transactionalProducer.ts';
import { offsetKey } from '../plan/places.ts';
import { passStep } from '../steps.ts';
import { formatGroupProgress, groupProgressKey, parseGroupProgress, resumeGroup } from './groupProgress.ts';
import type { GroupMember, GroupOffset, Position, TopicPartition } from './types.ts';

type TopicIds = Readonly<Record<string, string>>;

export interface Ledger {
  /** True: the end of a transaction is the group's commit as well. */
  readonly isGroup: boolean;
  /** Partitions with the same name share a transaction. */
  laneOf(place: TopicPartition): string;
  /** Where reading goes on. Called when nobody else can commit any more. @param topicIds Of the source topics now. */
  resume(committed: readonly GroupOffset[], topicIds: TopicIds): Promise<readonly Position[]>;
  /** What is committed now; null: nothing. */
  look(places: readonly TopicPartition[]): Promise<readonly GroupOffset[]>;
  /** Adds positions to the open transaction and commits it. @throws OffloadError FENCED, OUTCOME_UNKNOWN and others. */
  end(producer: TransactionalProducer, positions: readonly Position[]): Promise<void>;
  /** The group has committed these. */
  groupCommitted(positions: readonly Position[]): void;
}

/** Source and target are one cluster: the group's offsets are in the transaction, and the generation fences zombies (KIP-447). */
export class GroupLedger implements Ledger {
  readonly isGroup = true;
  readonly #member: GroupMember;

  constructor(member: GroupMember) {
    this.#member = member;
  }

  laneOf(): string {
    return '';
  }

  async resume(committed: readonly GroupOffset[]): Promise<readonly Position[]> {
    return committed.flatMap((entry) => (entry.offset === null ? [] : [{ ...entry, offset: entry.offset }]));
  }

  look(places: readonly TopicPartition[]): Promise<readonly GroupOffset[]> {
    return this.#member.committed(places);
  }

  async end(producer: TransactionalProducer, positions: readonly Position[]): Promise<void> {
    await this.#member.commitAs(positions, async (identity) => {
      await producer.sendOffsets(identity, positions);
      passStep('stream.offsetsSent');
      await producer.commit();
    });
  }

  groupCommitted(): void {}
}

/**
 * They are two clusters (groupProgress.ts). No generation fences anybody on the target: so each partition has a
 * transactional id, and a transaction, of its own, which its next owner takes over.
 */
export class ProgressLedger implements Ledger {
  readonly isGroup = false;
  readonly #target: Cluster;
  readonly #groupId: string;
  readonly #clusterId: string;
  readonly #topic: ProgressTopic;
  readonly #warn: (line: string) => void;
  /** What the group has committed, by `offsetKey`. */
  readonly #committed = new Map<string, number | null>();
  readonly #topicIds = new Map<string, string>();

  private constructor(options: ProgressLedgerOptions, clusterId: string, topic: ProgressTopic) {
    this.#target = options.target;
    this.#groupId = options.groupId;
    this.#warn = options.warn;
    this.#clusterId = clusterId;
    this.#topic = topic;
  }

  /** The topic of progress is made if it is not there. */
  static async open(options: ProgressLedgerOptions): Promise<ProgressLedger> {
    const { target, source, sink } = options;
    const partitions = await ensureTopic(target, sink.kafka, compacted(sink.progress));
    return new ProgressLedger(options, await source.clusterId(), new ProgressTopic(sink.progress.topic, partitions));
  }

  laneOf(place: TopicPartition): string {
    return offsetKey(place);
  }

  async resume(committed: readonly GroupOffset[], topicIds: TopicIds): Promise<readonly Position[]> {
    for (const [topic, id] of Object.entries(topicIds)) this.#topicIds.set(topic, id);
    const progress = await this.#read(committed);
    const positions: Position[] = [];
    for (const entry of committed) {
      const { topic, partition } = entry;
      this.#committed.set(offsetKey(entry), entry.offset);
      const { offset, warning } = resumeGroup(
        entry,
        progress.get(offsetKey(entry)) ?? null,
        this.#topicIds.get(topic) ?? null,
      );
      if (warning !== null) this.#warn(warning);
      if (offset !== null) positions.push({ topic, partition, offset });
    }
    return positions;
  }

  async look(places: readonly TopicPartition[]): Promise<readonly GroupOffset[]> {
    const committed = places.map((place) => ({ ...place, offset: this.#committed.get(offsetKey(place)) ?? null }));
    return this.resume(committed, {});
  }

  async end(producer: TransactionalProducer, positions: readonly Position[]): Promise<void> {
    const writes = [];
    for (const { topic, partition, offset } of positions) {
      const key = groupProgressKey(this.#clusterId, this.#groupId, { topic, partition });
      const start = this.#committed.get(offsetKey({ topic, partition })) ?? null;
      const value = formatGroupProgress({ start, next: offset, topicId: this.#topicIds.get(topic) ?? null });
      writes.push({ key, value });
    }
    await producer.send(await this.#topic.encode(writes));
    passStep('stream.offsetsSent');
    await producer.commit();
  }

  groupCommitted(positions: readonly Position[]): void {
    for (const position of positions) this.#committed.set(offsetKey(position), position.offset);
  }

  async #read(places: readonly TopicPartition[]) {
    const keys = new Map(
      places.map((place) => [groupProgressKey(this.#clusterId, this.#groupId, place), offsetKey(place)]),
    );
    const found = await this.#topic.read(this.#target, (key) => keys.has(key));
    return new Map([...found].map(([key, { value }]) => [keys.get(key) ?? '', parseGroupProgress(key, value)]));
  }
}

interface ProgressLedgerOptions {
  readonly source: Cluster;
  readonly target: Cluster;
  readonly sink: TopicSink;
  readonly groupId: string;
  readonly warn: (line: string) => void;
}
