import { comparePlaces, offsetKey } from '../plan/places.ts';
import type { BatchOutcome, MicroBatch } from './types.ts';

const FILES_KEPT = 100;

/** What a stream has done since it began, in constant memory. */
export class StreamTotals {
  rows = 0;
  bytes = 0;
  fileCount = 0;
  batches = 0;
  abandoned = 0;
  badRecords = 0;
  /** The newest. */
  readonly files: { readonly path: string; readonly rows: number; readonly bytes: number }[] = [];
  readonly #moves = new Map<string, { topic: string; partition: number; from: number; to: number }>();

  /** First and last offsets of each partition that was read here, others may have read between. */
  get moves(): readonly {
    readonly topic: string;
    readonly partition: number;
    readonly from: number;
    readonly to: number;
  }[] {
    return [...this.#moves.values()].sort(comparePlaces);
  }

  add({ ranges }: MicroBatch, outcome: Extract<BatchOutcome, { kind: 'written' }>): void {
    this.batches += 1;
    this.rows += outcome.rows;
    this.bytes += outcome.bytes;
    this.badRecords += outcome.badRecords;
    this.fileCount += outcome.files.length;
    this.files.push(...outcome.files);
    this.files.splice(0, this.files.length - FILES_KEPT);
    for (const { topic, partition, startOffset, endOffset } of ranges) {
      const key = offsetKey({ topic, partition });
      const from = this.#moves.get(key)?.from ?? startOffset;
      this.#moves.set(key, { topic, partition, from, to: endOffset });
    }
  }
}
