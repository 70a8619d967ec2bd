import type { PgcopyOutput } from '../../config/writerOptions.ts';
import { OffloadError } from '../../errors.ts';
import { type FileFormat, NOTHING } from '../fileFormat.ts';
import { RowEncoder } from '../output/rowEncoder.ts';
import { bindPgcopyRow, checkPgcopyRows } from './pgcopyRows.ts';

/** Signature, no flags, no extension of the header. */
const HEAD = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
/** In place of a number of columns. */
const TAIL = Buffer.from([0xff, 0xff]);
const BLOCK_BYTES = 256 * 1024;

/** Files for `COPY ... FROM STDIN (FORMAT binary)`. Rows of a table have no order. */
export function pgcopyFiles({ types }: PgcopyOutput): FileFormat {
  return {
    isOrdered: false,
    start: async () => ({ head: HEAD, mark: NOTHING }),
    readOld: () => Promise.reject(new OffloadError('INTERNAL', 'rows for PostgreSQL are not appended to a file')),
    tail: () => TAIL,
    createEncoder: () =>
      new RowEncoder({
        name: 'pgcopy',
        blockBytes: BLOCK_BYTES,
        seal: (block) => [block],
        bind: (batch, out) => bindPgcopyRow(batch, out, types),
        check: (batch) => checkPgcopyRows(batch, types),
      }),
  };
}
