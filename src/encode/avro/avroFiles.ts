import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { AvroOutput } from '../../config/writerOptions.ts';
import { messageOf, OffloadError } from '../../errors.ts';
import { type FileFormat, NOTHING, type OldContent, type ReadableFile } from '../fileFormat.ts';
import { RowEncoder } from '../output/rowEncoder.ts';
import { bindAvroRecord } from './avroRows.ts';
import { type AvroType, avroSchema } from './avroSchema.ts';
import { avroHeader, parseAvroHeader, SYNC_BYTES, sealAvroBlock } from './container.ts';

/** Raw bytes of a block: what a reader must hold to give the first row. */
const BLOCK_BYTES = 256 * 1024;
/** The header of an old file is looked for in so much of it. */
const MAX_HEADER_BYTES = 4 * 1024 ** 2;

/** Avro object container files. */
export function avroFiles(output: AvroOutput): FileFormat {
  const { codec } = output;
  return {
    isOrdered: true,
    async start(schema) {
      const mark = randomBytes(SYNC_BYTES);
      return { head: avroHeader(avroSchema(schema, output), codec, mark), mark };
    },
    async readOld(file, schema) {
      const ours = avroSchema(schema, output);
      if (file.bytes > 0) return readOld(file, ours, codec);
      const mark = randomBytes(SYNC_BYTES);
      return { keptBytes: 0, joint: avroHeader(ours, codec, mark), mark, footer: NOTHING, rows: 0 };
    },
    tail: () => NOTHING,
    createEncoder: (mark) =>
      new RowEncoder({ name: 'avro', bind: bindAvroRecord, seal: sealAvroBlock(codec, mark), blockBytes: BLOCK_BYTES }),
  };
}

async function readOld(file: ReadableFile, ours: AvroType, codec: string): Promise<OldContent> {
  const unsuitable = (why: string, context: Record<string, string> = {}): OffloadError =>
    new OffloadError(
      'TARGET_UNSUITABLE',
      `cannot append to ${file.path}: ${why}; write to another file, or use --write-mode Overwrite`,
      { context: { path: file.path, ...context } },
    );
  const header = await file
    .read(0, Math.min(MAX_HEADER_BYTES, file.bytes))
    .then(parseAvroHeader)
    .catch((error) => {
      throw error instanceof OffloadError ? error : unsuitable(`it is no Avro file: ${messageOf(error)}`);
    });
  const { schema, mark } = header;
  if (!isDeepStrictEqual(schema, JSON.parse(JSON.stringify(ours)))) {
    const context = { theirs: JSON.stringify(schema), ours: JSON.stringify(ours) };
    throw unsuitable(`its schema is ${context.theirs}, and the new rows have ${context.ours}`, context);
  }
  if (header.codec !== codec) {
    throw unsuitable(`its codec is ${header.codec}, and new rows would have ${codec}`, { theirs: header.codec, codec });
  }
  const end = await file.read(file.bytes - SYNC_BYTES, SYNC_BYTES);
  if (!end.equals(mark)) throw unsuitable('it does not end with its sync marker, so it was cut short');
  return { keptBytes: file.bytes, joint: NOTHING, mark, footer: NOTHING, rows: null };
}
