/** What an encoder holds, for whoever shares out memory. Apart from the encoders, so that planning loads none of them. */
import type { StagedFormat } from '../config/writerOptions.ts';

export interface EncoderMemory {
  /** Held whatever the size of a batch. */
  readonly fixedBytes: number;
  /** Held beside the batch for each of its raw bytes. */
  readonly bytesPerRawByte: number;
}

/**
 * Parquet, fixed: the page being made, compressed pages that were copied to the body, and sections that were decoded, until
 * they are collected (nativeBuffers.ts). Above the body 12 MiB were measured with snappy and 17 MiB with zstd, for bytes
 * that do not compress (November 2026). A column for parquet-wasm takes at most 18.2 MiB of WASM memory on top; a message
 * above 2 MiB in one adds up to 9 times its size.
 *
 * Per raw byte: the body, whose blocks are used again for the next row group; where it comes in parts, this is all that is held of
 * the parts before the last. This is for data that does not compress;
 * JSON under snappy takes 0.4.
 */
const PARQUET: EncoderMemory = { fixedBytes: 24 * 1024 ** 2, bytesPerRawByte: 1.1 };

/** The others end a body at 16 MiB and leave the rest of a batch to the next; a block and its compressed form come on top. */
const ROWS: EncoderMemory = { fixedBytes: 24 * 1024 ** 2, bytesPerRawByte: 0 };

/** @param isDivided Rows are put in the order of their folders first, which copies them all. */
export function encoderMemory(format: StagedFormat['format'], isDivided: boolean): EncoderMemory {
  const memory = format === 'parquet' ? PARQUET : ROWS;
  return isDivided ? { ...memory, bytesPerRawByte: memory.bytesPerRawByte + 1 } : memory;
}
