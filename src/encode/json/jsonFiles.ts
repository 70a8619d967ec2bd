import type { JsonOutput } from '../../config/writerOptions.ts';
import { type FileFormat, NOTHING } from '../fileFormat.ts';
import { STREAM_CODECS } from '../output/compression.ts';
import { keepLines } from '../output/oldStream.ts';
import { RowEncoder } from '../output/rowEncoder.ts';
import { bindJsonObject } from './jsonRows.ts';

/** JSON lines. */
export function jsonFiles(output: JsonOutput): FileFormat {
  const { compression } = output;
  const codec = STREAM_CODECS[compression];
  const lineSep = Buffer.from(output.lineSep);
  return {
    isOrdered: true,
    start: async () => ({ head: NOTHING, mark: NOTHING }),
    readOld: (file) => keepLines(file, compression, output.lineSep),
    tail: () => NOTHING,
    createEncoder: () =>
      new RowEncoder({
        name: 'json',
        ...codec,
        bind: (batch, out) => {
          const put = bindJsonObject(batch, out, output);
          return (row) => {
            put(row);
            out.put(lineSep);
          };
        },
      }),
  };
}
