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

/** Of a file, about: whoever writes its letters holds it in memory. */
const MOST_FILE_BYTES = 8 * 1024 ** 2;

/** Writes files of their own, synced. @param nextName Gives one that no other file of the run has. */
export async function stageLetters(
  fs: FileSystem,
  folder: string,
  nextName: () => string,
  batches: readonly EncodedRecordBatch[],
): Promise<StagedLetters[]> {
  const staged: StagedLetters[] = [];
  let part: EncodedRecordBatch[] = [];
  let bytes = 0;
  for (const [index, batch] of batches.entries()) {
    part.push(batch);
    bytes += batch.bytes.length;
    if (bytes < MOST_FILE_BYTES && index < batches.length - 1) continue;
    staged.push(await stageFile(fs, join(folder, `dead-letters-${nextName()}`), part));
    part = [];
    bytes = 0;
  }
  return staged;
}

async function stageFile(fs: FileSystem, path: string, batches: readonly EncodedRecordBatch[]): Promise<StagedLetters> {
  const pieces = batches.flatMap(({ partition, rows, bytes }) => {
    const frame = Buffer.alloc(FRAME_BYTES);
    frame.writeInt32BE(partition, 0);
    frame.writeInt32BE(rows, 4);
    frame.writeInt32BE(bytes.length, 8);
    return [frame, bytes];
  });
  const content = Buffer.concat(pieces);
  await writeSynced(fs, path, content);
  const records = batches.reduce((sum, { rows }) => sum + rows, 0);
  return { path, records, bytes: content.length, crc32c: crc32c(content) };
}

/** The content of a file. @throws OffloadError RECOVERY_BLOCKED if it is not the one that was staged. */
export async function readLetters(fs: FileSystem, { path, bytes, crc32c: checksum }: StagedLetters): Promise<Buffer> {
  return checkLetters(await fs.readFile(path), { path, bytes, crc32c: checksum });
}

/** @param about What was staged; `path` is for the message. @throws OffloadError as `readLetters`. */
export function checkLetters(content: Buffer, about: Pick<StagedLetters, 'path' | 'bytes' | 'crc32c'>): Buffer {
  const { path } = about;
  if (content.length === about.bytes && crc32c(content) === about.crc32c) return content;
  throw new OffloadError('RECOVERY_BLOCKED', `cannot write dead letters: ${path} is not the file that was staged`, {
    context: { path },
  });
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
