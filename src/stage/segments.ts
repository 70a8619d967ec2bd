/**
 * Staged files are written by several workers at once and need no second pass: each worker reserves the next free bytes
 * of a file in shared memory and writes its rows there; the coordinator writes the tail last.
 */
import { crc32c } from '@node-rs/crc32';
import { ioError, OffloadError } from '../errors.ts';
import { type FileSystem, type OpenFile, writeFullyAt } from '../io.ts';
import { passStep } from '../steps.ts';
import type { OffsetRange } from '../tasks.ts';

/** The staged files of a run, as every thread sees them. */
export interface StagedLayout {
  /** Absolute paths. */
  readonly paths: readonly string[];
  /** Next free position of each file: a BigInt64 each, moved with Atomics. */
  readonly positions: SharedArrayBuffer;
}

/** Encoded rows of one range, as they lie in a staged file. */
export interface Segment {
  /** Index of the staged file. */
  readonly file: number;
  readonly position: number;
  readonly bytes: number;
  readonly crc32c: number;
  readonly rows: number;
  /** What the file's tail must say of these bytes, as its encoder wrote it. */
  readonly footer: Uint8Array;
  /** The offsets this segment accounts for, gaps included. */
  readonly range: OffsetRange;
}

export function createLayout(paths: readonly string[], startPosition: number): StagedLayout {
  const positions = new SharedArrayBuffer(paths.length * BigInt64Array.BYTES_PER_ELEMENT);
  new BigInt64Array(positions).fill(BigInt(startPosition));
  return { paths, positions };
}

/** Bytes reserved in a staged file so far, what was there at the start included. */
export function reservedBytes(layout: StagedLayout, file: number): number {
  return Number(Atomics.load(new BigInt64Array(layout.positions), file));
}

/** Moves the start of a file behind bytes that are put there by other means, before any worker begins. */
export function startAt(layout: StagedLayout, file: number, position: number): void {
  Atomics.store(new BigInt64Array(layout.positions), file, BigInt(position));
}

/** Writes one worker's segments; keeps each file open until `close`. */
export class SegmentWriter {
  readonly #fs: FileSystem;
  readonly #layout: StagedLayout;
  readonly #positions: BigInt64Array;
  readonly #open = new Map<number, OpenFile>();

  constructor(fs: FileSystem, layout: StagedLayout) {
    this.#fs = fs;
    this.#layout = layout;
    this.#positions = new BigInt64Array(layout.positions);
  }

  /**
   * Appends bytes to a staged file.
   *
   * @param file Index of the file; null: the one that is smallest at the moment, so that files end about equal.
   * @param body Pieces that end up one behind the other; they must not change before the promise settles.
   * @throws OffloadError IO_FAILED naming the path.
   */
  async write(
    file: number | null,
    body: readonly Uint8Array[],
  ): Promise<Pick<Segment, 'file' | 'position' | 'bytes' | 'crc32c'>> {
    const index = file ?? this.#smallest();
    const bytes = body.reduce((sum, piece) => sum + piece.byteLength, 0);
    const position = Number(Atomics.add(this.#positions, index, BigInt(bytes)));
    const path = this.#layout.paths[index];
    if (path === undefined) throw new OffloadError('INTERNAL', `there is no staged file ${index}`);
    try {
      let handle = this.#open.get(index);
      if (!handle) {
        handle = await this.#fs.open(path, 'r+');
        this.#open.set(index, handle);
      }
      let end = position;
      let checksum = 0;
      for (const piece of body) {
        await writeFullyAt(handle, piece, end);
        end += piece.byteLength;
        checksum = crc32c(piece, checksum);
      }
      passStep('stage.segmentWritten');
      return { file: index, position, bytes, crc32c: checksum };
    } catch (error) {
      throw ioError('write', path, error);
    }
  }

  /**
   * Closes all that is open, whatever fails.
   *
   * @throws OffloadError IO_FAILED naming the path: some file systems tell only now that a write failed.
   */
  async close(): Promise<void> {
    const handles = [...this.#open];
    this.#open.clear();
    const closed = await Promise.allSettled(handles.map(([, handle]) => handle.close()));
    for (const [at, result] of closed.entries()) {
      const path = this.#layout.paths[handles[at]?.[0] ?? 0] ?? '';
      if (result.status === 'rejected') throw ioError('write', path, result.reason);
    }
  }

  #smallest(): number {
    let smallest = 0;
    for (let index = 1; index < this.#positions.length; index++) {
      if (Atomics.load(this.#positions, index) < Atomics.load(this.#positions, smallest)) smallest = index;
    }
    return smallest;
  }
}
