/**
 * File formats behind one interface. A file is
 *
 *     head | encoded rows, in any number of segments, as workers wrote them | tail
 *
 * and a file that is appended to is what is kept of the old one, what joins the two, new segments, and a tail.
 */
import type { Schema } from 'apache-arrow';
import type { StagedFormat } from '../config/writerOptions.ts';
import type { BatchEncoder } from './encoder.ts';

/** What a new file begins with. */
export interface FileStart {
  readonly head: Uint8Array;
  /** What encoders put between blocks (Avro); empty for all others. */
  readonly mark: Uint8Array;
}

/** What `Append` takes from an old file. */
export interface OldContent {
  /** The file's beginning that stays, byte for byte. */
  readonly keptBytes: number;
  /** What must stand between the old rows and the new ones. */
  readonly joint: Uint8Array;
  readonly mark: Uint8Array;
  /** What the tail must say of the kept bytes; empty for formats without a tail. */
  readonly footer: Uint8Array;
  /** Rows it holds; null where only reading them all would tell. */
  readonly rows: number | null;
}

/** A file that can be looked into, whoever holds it. */
export interface ReadableFile {
  readonly path: string;
  readonly bytes: number;
  /** @returns Exactly so many bytes. @throws OffloadError if the file is shorter. */
  read(position: number, length: number): Promise<Buffer>;
}

/** A segment, as the tail has to know it. */
export interface TailPart {
  readonly footer: Uint8Array;
  /** Where the segment begins in the file. */
  readonly position: number;
}

export interface FileFormat {
  /** Whether readers meet rows in the order their segments lie in, so that the segments must lie in order. */
  readonly isOrdered: boolean;
  /**
   * @throws OffloadError TARGET_UNSUITABLE naming columns the format cannot hold.
   */
  start(schema: Schema): Promise<FileStart>;
  /** Looks into the file that is appended to. @throws OffloadError TARGET_UNSUITABLE saying why it cannot be. */
  readOld(file: ReadableFile, schema: Schema): Promise<OldContent>;
  /**
   * @param parts In the order the rows should be read in. The first part of an appended file begins at its head.
   * @param position Where the tail begins.
   */
  tail(parts: readonly TailPart[], position: number): Uint8Array;
  /** Whether its encoders take row groups of these columns in parts (PartsEncoder); left out: of none. */
  takesParts?(schema: Schema): boolean;
  /** @param mark Of the file start or the old content. */
  createEncoder(mark: Uint8Array): BatchEncoder;
}

/** Loads what the format needs, and nothing of the others. */
export async function loadFileFormat(output: StagedFormat): Promise<FileFormat> {
  switch (output.format) {
    case 'parquet':
      return (await import('./parquet/parquetFiles.ts')).parquetFiles(output);
    case 'json':
      return (await import('./json/jsonFiles.ts')).jsonFiles(output);
    case 'csv':
      return (await import('./csv/csvFiles.ts')).csvFiles(output);
    case 'text':
      return (await import('./text/textFiles.ts')).textFiles(output);
    case 'avro':
      return (await import('./avro/avroFiles.ts')).avroFiles(output);
    case 'msgpack':
      return (await import('./msgpack/msgpackFiles.ts')).msgpackFiles(output);
    case 'pgcopy':
      return (await import('./pgcopy/pgcopyFiles.ts')).pgcopyFiles(output);
  }
}

/** What formats without a tail give. */
export const NOTHING = new Uint8Array(0);
