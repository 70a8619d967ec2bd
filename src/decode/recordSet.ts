import { type AbortedTransaction, AbortedTransactions } from './aborted.ts';
import { type BatchHeader, checkCrc, readBatchHeader } from './batchHeader.ts';
import { inflate } from './codecs.ts';
import type { MessageColumns } from './columns.ts';
import { type BatchPlace, batchCorrupt } from './errors.ts';
import { DecodeKernel } from './kernel.ts';
import { ReadAhead } from './readAhead.ts';
import { MalformedRecords } from './recordChecks.ts';
import { countRecords, isAbortMarker } from './recordWalk.ts';

export interface DecodeOptions {
  readonly topic: string;
  readonly partition: number;
  /** First offset wanted; a Fetch may answer with a batch that begins before it. */
  readonly startOffset: number;
  /** First offset not wanted. */
  readonly endOffset: number;
  readonly isolationLevel: 'read_committed' | 'read_uncommitted';
  readonly checkCrcs: boolean;
  /** Upper bound of one inflated batch, in bytes. */
  readonly maxBatchBytes: number;
  /** Memory to work in, which one set uses after the other; left out: its own. */
  readonly kernel?: DecodeKernel;
}

/** What the next batch with rows adds at most. */
export interface BatchSize {
  readonly rows: number;
  /** Size of its inflated records: keys, values and headers together have fewer bytes. */
  readonly bytes: number;
}

/** Records within the wanted offsets that gave no row. */
export interface DroppedCounts {
  control: number;
  aborted: number;
}

type BatchKind = 'rows' | keyof DroppedCounts;

/** A batch that has been inflated and waits to be decoded. */
interface LoadedBatch {
  readonly header: BatchHeader;
  readonly section: Buffer;
}

/**
 * A cursor over the records section of one Fetch response: record batches of one partition, in offset order, the last
 * of which may be cut short. It holds one inflated batch at a time (a few small ones where
 * inflating is asynchronous); `records` must stay unchanged while it is in use.
 *
 *     for (let size = await set.peek(); size !== null; size = await set.peek()) {
 *       if (!columns.hasRoomFor(size.bytes, size.rows)) cut();
 *       await set.next(columns);
 *     }
 */
export class RecordSet {
  /** Next offset to fetch: every row below it has been handed out. Never below `startOffset` nor above `endOffset`. */
  nextOffset: number;
  readonly counts: DroppedCounts = { control: 0, aborted: 0 };

  private readonly records: Buffer;
  private readonly options: DecodeOptions;
  /** Null under `read_uncommitted`. */
  private readonly aborted: AbortedTransactions | null;
  private readonly readAhead: ReadAhead;
  private readonly kernel: DecodeKernel;
  private position = 0;
  private loaded: LoadedBatch | null = null;
  private loading: Promise<BatchSize | null> | null = null;

  /**
   * @param records The records of one partition as the broker sent them.
   * @param aborted The aborted transactions of the same partition in the same response; needs no order.
   */
  constructor(records: Buffer, aborted: readonly AbortedTransaction[], options: DecodeOptions) {
    this.records = records;
    this.options = options;
    this.kernel = options.kernel ?? new DecodeKernel();
    this.aborted = options.isolationLevel === 'read_committed' ? new AbortedTransactions(aborted) : null;
    this.readAhead = new ReadAhead(records, options.endOffset, (header) => this.inflate(header));
    this.nextOffset = options.startOffset;
  }

  /** Whether the wanted range has been handed out to its end. */
  get reachedEnd(): boolean {
    return this.nextOffset >= this.options.endOffset;
  }

  /**
   * Goes on to the next batch that has rows to give, inflates it, and says how large it is. A second call before `next()`
   * gives the same answer.
   *
   * @returns null at the end: of the response, of the wanted range, or where the rest is a batch cut short. A promise
   *   only where a codec needs one.
   * @throws OffloadError BATCH_CORRUPT, BATCH_TOO_LARGE, FORMAT_UNSUPPORTED
   */
  peek(): BatchSize | null | Promise<BatchSize | null> {
    if (this.loading !== null) return this.loading;
    while (this.loaded === null) {
      const header = this.readHeader();
      if (header === null) return null;
      const kind = this.kindOf(header);
      if (this.dropUnread(header, kind)) continue;
      const section = this.readAhead.inflate(header);
      if (section instanceof Promise) {
        this.loading = section.then((inflated) => {
          this.loading = null;
          this.take(header, kind, inflated);
          return this.peek();
        });
        return this.loading;
      }
      this.take(header, kind, section);
    }
    return { rows: this.loaded.header.recordCount, bytes: this.loaded.section.length };
  }

  /**
   * Adds the rows of one record batch to `into`, which must have room (`MessageColumns.hasRoomFor`).
   *
   * @returns false at the end, as `peek` does; nothing was added then.
   * @throws OffloadError BATCH_CORRUPT, BATCH_TOO_LARGE, FORMAT_UNSUPPORTED
   */
  next(into: MessageColumns): boolean | Promise<boolean> {
    const size = this.peek();
    return size instanceof Promise ? size.then(() => this.decodeLoaded(into)) : this.decodeLoaded(into);
  }

  /** The batch at the cursor; null at the end. */
  private readHeader(): BatchHeader | null {
    if (this.reachedEnd) return null;
    const { topic, partition, endOffset, checkCrcs } = this.options;
    const header = readBatchHeader(this.records, this.position, topic, partition);
    if (header === null) return null;
    if (header.baseOffset >= endOffset) {
      this.nextOffset = endOffset;
      return null;
    }
    if (checkCrcs) checkCrc(this.records, this.position, header, topic, partition);
    return header;
  }

  private kindOf(header: BatchHeader): BatchKind {
    this.aborted?.advanceTo(header.nextOffset - 1);
    if (header.control) return 'control';
    return header.transactional && this.aborted?.has(header.producerId) ? 'aborted' : 'rows';
  }

  /** Steps over a batch whose bytes need not be looked at; false if they do. */
  private dropUnread(header: BatchHeader, kind: BatchKind): boolean {
    const isBefore = header.nextOffset <= this.nextOffset && kind !== 'control';
    const isWithin = header.baseOffset >= this.nextOffset && header.nextOffset <= this.options.endOffset;
    if (header.recordCount > 0 && !isBefore && !(kind === 'aborted' && isWithin)) return false;
    if (kind === 'aborted' && isWithin) this.counts.aborted += header.recordCount;
    this.advance(header);
    return true;
  }

  private inflate(header: BatchHeader): Buffer | Promise<Buffer> {
    const section = this.records.subarray(header.recordsStart, header.end);
    return inflate(header.codec, section, this.options.maxBatchBytes, this.placeOf(header), this.kernel);
  }

  /** Keeps a batch with rows for `next()`; takes from any other what it says, and steps over it. */
  private take(header: BatchHeader, kind: BatchKind, section: Buffer): void {
    if (kind === 'rows') {
      this.loaded = { header, section };
      return;
    }
    this.reporting(header, () => {
      this.counts[kind] += countRecords(section, header, this.wanted());
      if (kind === 'control' && isAbortMarker(section)) this.aborted?.end(header.producerId);
    });
    this.advance(header);
  }

  private decodeLoaded(into: MessageColumns): boolean {
    if (this.loaded === null) return false;
    const { header, section } = this.loaded;
    this.reporting(header, () => this.kernel.decode(section, header, this.wanted(), into));
    this.loaded = null;
    this.advance(header);
    return true;
  }

  private advance(header: BatchHeader): void {
    this.position = header.end;
    this.readAhead.forget(header);
    this.nextOffset = Math.min(Math.max(this.nextOffset, header.nextOffset), this.options.endOffset);
  }

  /** What is not handed out yet: a broker that repeats a batch must not repeat its rows. */
  private wanted(): { startOffset: number; endOffset: number } {
    return { startOffset: this.nextOffset, endOffset: this.options.endOffset };
  }

  private placeOf(header: BatchHeader): BatchPlace {
    return { topic: this.options.topic, partition: this.options.partition, offset: header.baseOffset };
  }

  private reporting(header: BatchHeader, decode: () => void): void {
    try {
      decode();
    } catch (error) {
      if (!(error instanceof MalformedRecords)) throw error;
      throw batchCorrupt(this.placeOf(header), error.message, {}, error);
    }
  }
}
