/**
 * Dead letters as they wait, in a staging folder or beside the rows of a table: record batches one behind the other, each
 * with 12 bytes before it that say its partition, its records and its length (big-endian).
 */
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import type { StagedLetters } from '../../commit/types.ts';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import { OffloadError } from '../../errors.ts';
import { type FileSystem, writeSynced } from '../../io.ts';

const FRAME_BYTES = 12;

/** Writes a file of its own, synced. @param name Which no other file of the run has. */
export async function stageLetters(
  fs: FileSystem,
  folder: string,
  name: string,
  batches: readonly EncodedRecordBatch[],
): Promise<StagedLetters> {
  const pieces = batches.flatMap(({ partition, rows, bytes }) => {
    const frame = Buffer.alloc(FRAME_BYTES);
    frame.writeInt32BE(partition, 0);
    frame.writeInt32BE(rows, 4);
    frame.writeInt32BE(bytes.length, 8);
    return [frame, bytes];
  });
  const content = Buffer.concat(pieces);
  const path = join(folder, `dead-letters-${name}`);
  await writeSynced(fs, path, content);
  const records = batches.reduce((sum, { rows }) => sum + rows, 0);
  return { path, records, bytes: content.length, crc32c: crc32c(content) };
}

/** The content of a file. @throws OffloadError RECOVERY_BLOCKED if it is not the one that was staged. */
export async function readLetters(fs: FileSystem, { path, bytes, crc32c: checksum }: StagedLetters): Promise<Buffer> {
  const content = await fs.readFile(path);
  if (content.length !== bytes || crc32c(content) !== checksum) {
    throw new OffloadError('RECOVERY_BLOCKED', `cannot write dead letters: ${path} is not the file that was staged`, {
      context: { path },
    });
  }
  return content;
}

/** @param content That `stageLetters` wrote. @param topic Of the letters. */
export function batchesOf(content: Buffer, topic: string): EncodedRecordBatch[] {
  const batches: EncodedRecordBatch[] = [];
  for (let at = 0; at < content.length; ) {
    const [partition, rows, length] = [
      content.readInt32BE(at),
      content.readInt32BE(at + 4),
      content.readInt32BE(at + 8),
    ];
    const start = at + FRAME_BYTES;
    // In memory of their own: they are stamped in place.
    const own = new Uint8Array(new ArrayBuffer(length));
    own.set(content.subarray(start, start + length));
    batches.push({ topic, partition, rows, bytes: own, maxTimestampMs: -1 });
    at = start + length;
  }
  return batches;
}
