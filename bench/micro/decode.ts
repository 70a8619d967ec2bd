/** Decoding of record batches, codec by codec, and the way from there to an Arrow batch; one thread, no broker. */
import { Bench } from 'tinybench';
import type { Field } from '../../src/config/fields.ts';
import { MessageColumns } from '../../src/decode/columns.ts';
import { RecordSet } from '../../src/decode/recordSet.ts';
import { toArrowBatch } from '../../src/transform/toArrow.ts';
import { type CodecName, type RecordInput, writeBatch } from '../../test/unit/decode/batchWriter.ts';
import type { Series } from '../core/results.ts';
import { seriesOf } from './series.ts';

const ROWS = 100_000;
/** About 16 KiB, what producers collect by default. */
const ROWS_PER_BATCH = 90;
const TIME_MS = 1000;
const CODECS: readonly CodecName[] = ['none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd'];
const FIELDS: readonly Field[] = [
  { name: 'key', column: 'key', type: 'STRING' },
  { name: 'value', column: 'value', type: 'STRING' },
  { name: 'partition', column: 'partition', type: 'INT' },
  { name: 'offset', column: 'offset', type: 'LONG' },
  { name: 'timestamp', column: 'timestamp', type: 'TIMESTAMP' },
];
const CONTEXT = { topic: 'bench', partition: 0, invalidUtf8: 'fail' } as const;

export async function benchDecode(): Promise<Series> {
  const columns = new MessageColumns(FIELDS.map((field) => field.column));
  const bench = new Bench({ time: TIME_MS, warmupTime: TIME_MS / 4 });
  for (const codec of CODECS) {
    const records = await writeTopic(codec);
    bench.add(`decode ${codec}`, async () => {
      columns.clear();
      await decode(records, columns);
    });
  }
  const filled = new MessageColumns(FIELDS.map((field) => field.column));
  await decode(await writeTopic('none'), filled);
  bench.add('to Arrow', () => {
    const batch = toArrowBatch(filled, FIELDS, CONTEXT);
    if (batch.numRows !== ROWS) throw new Error(`${batch.numRows} rows came out of ${ROWS}`);
  });
  await bench.run();
  return seriesOf('decode', bench, { rows: ROWS, messageBytes: filled.rawBytes });
}

async function decode(records: Buffer, into: MessageColumns): Promise<void> {
  const set = new RecordSet(records, [], {
    topic: CONTEXT.topic,
    partition: CONTEXT.partition,
    startOffset: 0,
    endOffset: ROWS,
    isolationLevel: 'read_committed',
    checkCrcs: true,
    maxBatchBytes: 256 * 1024 * 1024,
  });
  for (;;) {
    const decoded = set.next(into);
    if (!(decoded instanceof Promise ? await decoded : decoded)) break;
  }
  if (into.rows !== ROWS) throw new Error(`${into.rows} rows came out of ${ROWS}`);
}

/** JSON messages of about 180 bytes, as the records of one partition. */
async function writeTopic(codec: CodecName): Promise<Buffer> {
  const batches: Buffer[] = [];
  for (let baseOffset = 0; baseOffset < ROWS; baseOffset += ROWS_PER_BATCH) {
    const count = Math.min(ROWS_PER_BATCH, ROWS - baseOffset);
    const records = Array.from({ length: count }, (_, i) => messageAt(baseOffset + i));
    batches.push(await writeBatch(records, { baseOffset, codec }));
  }
  return Buffer.concat(batches);
}

function messageAt(index: number): RecordInput {
  const order = {
    id: index,
    customer: `customer-${(index * 7919) % 100_003}`,
    status: ['new', 'paid', 'sent'][index % 3],
    amount: ((index * 137) % 99_991) / 100,
    at: new Date(1_700_000_000_000 + index * 13).toISOString(),
    session: ((index * 2_654_435_761) % 0x1_0000_0000).toString(16).padStart(16, '0'),
    path: `/shop/items/${(index * 31) % 977}`,
  };
  return {
    key: Buffer.from(`order-${index}`),
    value: Buffer.from(JSON.stringify(order)),
    timestamp: BigInt(1_700_000_000_000 + index * 13),
  };
}
