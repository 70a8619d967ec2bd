import type { TextOutput } from '../../config/writerOptions.ts';
import { type FileFormat, NOTHING } from '../fileFormat.ts';
import { STREAM_CODECS } from '../output/compression.ts';
import { keepLines } from '../output/oldStream.ts';
import { RowEncoder } from '../output/rowEncoder.ts';
import { bindTextLine, checkTextSchema } from './textRows.ts';

/** Lines of text. */
export function textFiles({ compression, lineSep }: TextOutput): FileFormat {
  const codec = STREAM_CODECS[compression];
  return {
    isOrdered: true,
    async start(schema) {
      checkTextSchema(schema);
      return { head: NOTHING, mark: NOTHING };
    },
    async readOld(file, schema) {
      checkTextSchema(schema);
      return keepLines(file, compression, lineSep);
    },
    tail: () => NOTHING,
    createEncoder: () =>
      new RowEncoder({ name: 'text', ...codec, bind: (batch, out) => bindTextLine(batch, out, lineSep) }),
  };
}
