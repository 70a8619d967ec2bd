import type { Schema } from 'apache-arrow';
import type { CsvOutput } from '../../config/writerOptions.ts';
import { OffloadError } from '../../errors.ts';
import { type FileFormat, NOTHING, type ReadableFile } from '../fileFormat.ts';
import { compressWhole, STREAM_CODECS } from '../output/compression.ts';
import { keepLines } from '../output/oldStream.ts';
import { RowEncoder } from '../output/rowEncoder.ts';
import { bindCsvLine, csvHeader } from './csvRows.ts';

/** CSV; with `header`, each file begins with one line of column names. */
export function csvFiles(output: CsvOutput): FileFormat {
  const { compression, header } = output;
  const codec = STREAM_CODECS[compression];
  const headOf = (schema: Schema): Buffer => csvHeader(namesOf(schema), output);
  return {
    isOrdered: true,
    async start(schema) {
      return { head: header ? await compressWhole(compression, headOf(schema)) : NOTHING, mark: NOTHING };
    },
    async readOld(file, schema) {
      const content = await keepLines(file, compression, output.lineSep, (first) => {
        if (header && first.length > 0) checkHeader(file, first, headOf(schema), output.lineSep);
      });
      // A file that is there and empty has no header yet.
      if (file.bytes > 0 || !header) return content;
      return { ...content, joint: await compressWhole(compression, headOf(schema)) };
    },
    tail: () => NOTHING,
    createEncoder: () =>
      new RowEncoder({ name: 'csv', ...codec, bind: (batch, out) => bindCsvLine(batch, out, output) }),
  };
}

function namesOf({ fields }: Schema): string[] {
  return fields.map(({ name }) => name);
}

function checkHeader({ path }: ReadableFile, first: Buffer, head: Buffer, lineSep: string): void {
  const withoutMark = first.subarray(0, 3).toString('hex') === 'efbbbf' ? first.subarray(3) : first;
  const line = head.subarray(0, head.length - Buffer.byteLength(lineSep));
  const next = withoutMark[line.length];
  const isEnded = next === undefined || next === 0x0a || next === 0x0d || next === lineSep.charCodeAt(0);
  if (isEnded && withoutMark.subarray(0, line.length).equals(line)) return;
  const theirs = withoutMark.toString('utf8', 0, 4096).split(/\r?\n/, 1)[0] ?? '';
  throw new OffloadError(
    'TARGET_UNSUITABLE',
    `cannot append to ${path}: its header line is ${theirs}, and the new rows have ${line.toString()}; write to another file, or use --write-mode Overwrite`,
    { context: { path, theirs, ours: line.toString() } },
  );
}
