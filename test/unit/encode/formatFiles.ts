/** Files of a format, made as staging makes them: head, segments, tail. */
import type { RecordBatch } from 'apache-arrow';
import type { FileFormat as FileFormatName } from '../../../src/config/formats.ts';
import { parseWriterOptions } from '../../../src/config/writerOptions.ts';
import { loadFileFormat, type ReadableFile } from '../../../src/encode/fileFormat.ts';

/** Every batch is a segment of its own, or several. */
export async function fileOf(
  format: FileFormatName,
  batches: readonly RecordBatch[],
  options: Readonly<Record<string, string>> = {},
  old: Buffer | null = null,
): Promise<Buffer> {
  const files = await loadFileFormat(parseWriterOptions(format, options));
  const [first] = batches;
  if (!first) throw new Error('no batch');
  const kept = old ? await files.readOld(readable(old), first.schema) : null;
  const start = kept ? null : await files.start(first.schema);
  const pieces = old && kept ? [old.subarray(0, kept.keptBytes), kept.joint] : [start?.head ?? Buffer.alloc(0)];
  const encoder = files.createEncoder((kept ?? start)?.mark ?? Buffer.alloc(0));
  for (const batch of batches) {
    for (let row = 0; row < batch.numRows; ) {
      const encoded = await encoder.encode(row === 0 ? batch : batch.slice(row));
      pieces.push(...encoded.body.map((piece) => Buffer.from(piece)));
      row += encoded.rows;
    }
  }
  encoder.free();
  return Buffer.concat(pieces);
}

function readable(file: Buffer, path = '/out/old'): ReadableFile {
  return { path, bytes: file.length, read: async (position, length) => file.subarray(position, position + length) };
}
