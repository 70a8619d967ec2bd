import type { MsgpackOutput } from '../../config/writerOptions.ts';
import { type FileFormat, NOTHING } from '../fileFormat.ts';
import { STREAM_CODECS } from '../output/compression.ts';
import { keepBytes } from '../output/oldStream.ts';
import { RowEncoder } from '../output/rowEncoder.ts';
import { bindMsgpackMap } from './msgpackRows.ts';

/** MessagePack maps, one behind the other. */
export function msgpackFiles({ compression }: MsgpackOutput): FileFormat {
  const codec = STREAM_CODECS[compression];
  return {
    isOrdered: true,
    start: async () => ({ head: NOTHING, mark: NOTHING }),
    readOld: (file) => keepBytes(file, compression),
    tail: () => NOTHING,
    createEncoder: () => new RowEncoder({ name: 'msgpack', ...codec, bind: bindMsgpackMap }),
  };
}
