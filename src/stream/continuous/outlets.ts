/** Where rows flow to: what is sent counts once it is committed. */

import type { ConsoleSink } from '../../config/job.ts';
import type { TopicToTopicJob } from '../../coordinator/jobs.ts';
import type { Cluster } from '../../kafka/cluster.ts';
import { offsetKey } from '../../plan/places.ts';
import { formatRow } from '../../sinks/console.ts';
import type { TopicTransactions } from '../topicTransactions.ts';
import type { GroupMember, GroupOffset, Position, TopicPartition } from '../types.ts';
import type { FlowPart } from './messages.ts';

export interface FlowOutlet {
  claim(partitions: readonly TopicPartition[]): Promise<void>;
  resume(committed: readonly GroupOffset[], topicIds: Readonly<Record<string, string>>): Promise<readonly Position[]>;
  release(partitions: readonly TopicPartition[]): void;
  /** Makes the rows seen by those who do not wait for commits. */
  send(parts: readonly FlowPart[]): Promise<void>;
  /** Called before `commit`, while rows are sent: what can be done ahead for those that are sent during it. */
  prepare(): Promise<void>;
  /** Commits what was sent before, and the positions behind it to the group. One at a time. */
  commit(): Promise<void>;
  /** Whether more may be sent while a commit is under way. */
  readonly canOverlap: boolean;
  /** Whether what was sent is better committed now: a transaction must not be open for too long. */
  readonly isDue: boolean;
  /** Takes back what was sent and is not committed, as far as that can be done. Never throws. */
  abort(): Promise<void>;
  /** After FENCED: what is committed. */
  look(places: readonly TopicPartition[]): Promise<readonly Position[]>;
  close(): Promise<void>;
}

export class TopicOutlet implements FlowOutlet {
  readonly #target: Cluster;
  readonly #member: GroupMember;
  readonly #transactions: TopicTransactions;
  readonly #signal: AbortSignal;

  constructor(target: Cluster, member: GroupMember, transactions: TopicTransactions, signal: AbortSignal) {
    this.#target = target;
    this.#member = member;
    this.#transactions = transactions;
    this.#signal = signal;
  }

  get isDue(): boolean {
    return this.#transactions.isDue;
  }

  get canOverlap(): boolean {
    return this.#transactions.canOverlap;
  }

  claim(partitions: readonly TopicPartition[]): Promise<void> {
    return this.#transactions.claim(partitions);
  }

  resume(committed: readonly GroupOffset[], topicIds: Readonly<Record<string, string>>): Promise<readonly Position[]> {
    return this.#transactions.resume(committed, topicIds);
  }

  release(partitions: readonly TopicPartition[]): void {
    this.#transactions.release(partitions);
  }

  send(parts: readonly FlowPart[]): Promise<void> {
    return this.#transactions.send(parts);
  }

  prepare(): Promise<void> {
    return this.#transactions.prepare();
  }

  async commit(): Promise<void> {
    const positions = await this.#transactions.commit(this.#signal);
    if (this.#transactions.isGroupCommitted) return;
    await this.#member.commit(positions);
    this.#transactions.groupCommitted(positions);
  }

  abort(): Promise<void> {
    return this.#transactions.abort();
  }

  async look(places: readonly TopicPartition[]): Promise<readonly Position[]> {
    await this.#transactions.lookAgain();
    return places.flatMap((place) => {
      const offset = this.#transactions.positionOf(place);
      return offset === null ? [] : [{ ...place, offset }];
    });
  }

  async close(): Promise<void> {
    await this.#transactions.close();
    this.#target.close();
  }
}

/** Rows are printed as they come, and the group's offsets follow: after a crash some are printed again. */
export class ConsoleOutlet implements FlowOutlet {
  readonly isDue = false;
  readonly canOverlap = false;
  readonly #sink: ConsoleSink;
  readonly #member: GroupMember;
  readonly #print: (line: string) => void;
  #columns = '';
  /** Since the last commit. */
  #shown = 0;
  #hidden = 0;
  readonly #reached = new Map<string, Position>();

  constructor(sink: ConsoleSink, member: GroupMember, print: (line: string) => void) {
    this.#sink = sink;
    this.#member = member;
    this.#print = print;
  }

  async claim(): Promise<void> {}

  async resume(committed: readonly GroupOffset[]): Promise<readonly Position[]> {
    return committed.flatMap((entry) => (entry.offset === null ? [] : [{ ...entry, offset: entry.offset }]));
  }

  release(): void {}

  async send(parts: readonly FlowPart[]): Promise<void> {
    const { numRows, truncate } = this.#sink;
    for (const { topic, partition, next, rows, table } of parts) {
      const wanted = table?.rows.slice(0, numRows - this.#shown) ?? [];
      const columns = formatRow(table?.columns ?? [], truncate);
      if (wanted.length > 0 && columns !== this.#columns) {
        this.#print(columns);
        this.#columns = columns;
      }
      for (const cells of wanted) this.#print(formatRow(cells, truncate));
      this.#shown += wanted.length;
      this.#hidden += rows - wanted.length;
      this.#reached.set(offsetKey({ topic, partition }), { topic, partition, offset: next });
    }
  }

  async prepare(): Promise<void> {}

  async commit(): Promise<void> {
    if (this.#hidden > 0) this.#print(`... ${this.#hidden.toLocaleString('en-US')} more rows`);
    this.#shown = 0;
    this.#hidden = 0;
    await this.#member.commit([...this.#reached.values()]);
    this.#reached.clear();
  }

  /** What is printed is printed. */
  async abort(): Promise<void> {
    this.#reached.clear();
  }

  async look(places: readonly TopicPartition[]): Promise<readonly Position[]> {
    return this.resume(await this.#member.committed(places));
  }

  async close(): Promise<void> {}
}

export type FlowJob = TopicToTopicJob | (Omit<TopicToTopicJob, 'sink'> & { readonly sink: ConsoleSink });
