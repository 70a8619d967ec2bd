import type { TransformMemory } from '../transform/memory.ts';
import { FILE_READER_BYTES } from './memory.ts';

/** Shares out `--max-memory` where records go to Kafka: what one worker may hold, its chunks with the coordinator included. */
export interface LoadMemory {
  /** Bytes asked for in one Fetch. */
  readonly fetchBytes: number;
  /** For the buffers of a file's reader. */
  readonly readerBytes: number;
  /** Bytes of rows after which a chunk is cut. */
  readonly chunkBytes: number;
}

/**
 * Copies of a chunk's rows, for rows that do not compress: the columns and what they were grown from, the records being
 * made, and two chunks in hand.
 */
const CHUNK_COPIES = 6;
/** One answer is decoded while the next one arrives. */
const FETCH_COPIES = 2;
const MIN_CHUNK_BYTES = 1024 ** 2;
const MIN_FETCH_BYTES = 512 * 1024;

export function planLoadMemory(demand: {
  readonly source: 'topic' | 'files';
  readonly maxMemoryBytes: number;
  readonly workers: number;
  /** What was asked for; memory may ask for less. */
  readonly fetchBytes: number;
  readonly transform: TransformMemory;
}): LoadMemory {
  const { fixedBytes, bytesPerRawByte } = demand.transform;
  const share = demand.maxMemoryBytes / demand.workers - fixedBytes;
  const fetchBytes = Math.floor(Math.min(demand.fetchBytes, Math.max(MIN_FETCH_BYTES, share / (4 * FETCH_COPIES))));
  const reserved = demand.source === 'topic' ? fetchBytes * FETCH_COPIES : FILE_READER_BYTES;
  const chunkBytes = Math.max(MIN_CHUNK_BYTES, Math.floor((share - reserved) / (CHUNK_COPIES + bytesPerRawByte)));
  return { fetchBytes, readerBytes: FILE_READER_BYTES, chunkBytes };
}

/** Threads that memory has room for where files are read: each holds a reader. At least one. */
export function fileLoadThreads(demand: {
  readonly workers: number;
  readonly maxMemoryBytes: number;
  readonly transform: TransformMemory;
}): number {
  const { fixedBytes, bytesPerRawByte } = demand.transform;
  const threadBytes = FILE_READER_BYTES + fixedBytes + MIN_CHUNK_BYTES * (CHUNK_COPIES + bytesPerRawByte);
  return Math.max(1, Math.min(demand.workers, Math.floor(demand.maxMemoryBytes / threadBytes)));
}
