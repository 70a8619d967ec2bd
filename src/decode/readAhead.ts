import { type BatchHeader, readBatchHeader } from './batchHeader.ts';
import { inflatesAside } from './codecs.ts';

/** Batches in flight: enough to hide the way through the thread pool and back (of 1, 2, 4 and 8, tried 2026-11). */
const MAX_BATCHES = 4;
/** Larger batches are worth the wait on their own, and would hold much memory side by side. */
const MAX_COMPRESSED_BYTES = 64 * 1024;

type StartInflate = (header: BatchHeader) => Buffer | Promise<Buffer>;

/**
 * Keeps the next few batches inflating while one is decoded, for a codec that answers with a promise: with batches of
 * 16 KiB, as producers write them by default, waiting for each in turn takes longer than all the rest.
 *
 * What goes wrong ahead is left alone: it comes up again when the batch has its turn, after its checksum was looked at.
 */
export class ReadAhead {
  private readonly started = new Map<number, Buffer | Promise<Buffer>>();
  private readonly records: Buffer;
  private readonly endOffset: number;
  private readonly start: StartInflate;

  /** @param endOffset Batches that begin here or behind it are never asked for, and so not begun with. */
  constructor(records: Buffer, endOffset: number, start: StartInflate) {
    this.records = records;
    this.endOffset = endOffset;
    this.start = start;
  }

  /** The inflated section of this batch, begun now or earlier; begins with those that follow where it pays. */
  inflate(header: BatchHeader): Buffer | Promise<Buffer> {
    const section = this.started.get(header.recordsStart) ?? this.start(header);
    this.started.delete(header.recordsStart);
    if (inflatesAside(header.codec)) this.startFollowing(header);
    return section;
  }

  /** A batch was stepped over without being read. */
  forget(header: BatchHeader): void {
    this.started.delete(header.recordsStart);
  }

  private startFollowing({ codec, end }: BatchHeader): void {
    let position = end;
    try {
      for (let i = 0; i < MAX_BATCHES; i++) {
        const header = readBatchHeader(this.records, position, '', 0);
        if (header === null || header.codec !== codec || header.baseOffset >= this.endOffset) return;
        if (header.end - header.recordsStart > MAX_COMPRESSED_BYTES) return;
        position = header.end;
        if (header.recordCount === 0 || this.started.has(header.recordsStart)) continue;
        const section = this.start(header);
        if (section instanceof Promise) section.catch(() => {});
        this.started.set(header.recordsStart, section);
      }
    } catch {
      // Said when it is that batch's turn.
    }
  }
}
