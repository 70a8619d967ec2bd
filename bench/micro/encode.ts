/** Arrow batches to the bytes of each format: one thread, batches of 16 MiB of ~180-byte messages. */
import { Field, Int32, Int64, makeData, RecordBatch, Schema, Struct, TimestampMillisecond, Utf8 } from 'apache-arrow';
import { Bench } from 'tinybench';
import type { FileFormat } from '../../src/config/formats.ts';
import { parseWriterOptions } from '../../src/config/writerOptions.ts';
import type { BatchEncoder } from '../../src/encode/encoder.ts';
import { loadFileFormat } from '../../src/encode/fileFormat.ts';
import { WasmColumns, wasmBytes } from '../../src/encode/parquet/wasm.ts';
import type { Series } from '../core/results.ts';
import { seriesOf } from './series.ts';

const ROWS = 88_000;
const MEBIBYTE = 1024 ** 2;
const CONTENDERS: readonly (readonly [FileFormat, string])[] = [
  ...['none', 'snappy', 'lz4_raw', 'zstd', 'gzip'].map((codec) => ['parquet', codec] as const),
  ...['none', 'zstd', 'gzip'].map((codec) => ['json', codec] as const),
  ['csv', 'none'],
  ['avro', 'null'],
  ['avro', 'snappy'],
  ['msgpack', 'none'],
];

/** A result for each format and codec, for JSON and for plain text. */
export async function benchEncode(): Promise<Series[]> {
  const series = [await benchValues('encode JSON', jsonValue), await benchValues('encode plain text', textValue)];
  const { rss } = process.memoryUsage();
  console.log(`WASM memory ${(wasmBytes() / MEBIBYTE).toFixed(0)} MiB, RSS ${(rss / MEBIBYTE).toFixed(0)} MiB`);
  return series;
}

async function benchValues(what: string, makeValue: MakeValue): Promise<Series> {
  const { batch, messageBytes } = makeBatch(makeValue);
  const bench = new Bench({ time: 1000, iterations: 3, warmupIterations: 1, warmupTime: 0 });
  const outputBytes = new Map<string, number>();
  for (const [format, compression] of CONTENDERS) {
    const name = `${format} ${compression}`;
    const files = await loadFileFormat(parseWriterOptions(format, { compression }));
    const encoder = files.createEncoder((await files.start(batch.schema)).mark);
    outputBytes.set(name, await encodeAll(encoder, batch));
    bench.add(name, async () => {
      await encodeAll(encoder, batch);
    });
  }
  // What flat columns would be written by, had they no encoder of their own.
  const name = 'parquet snappy, parquet-wasm';
  const wasm = new WasmColumns('snappy');
  outputBytes.set(name, encodeByWasm(wasm, batch));
  bench.add(name, () => {
    encodeByWasm(wasm, batch);
  });
  await bench.run();
  return seriesOf(what, bench, { rows: ROWS, messageBytes }, outputBytes);
}

/** Encoded bytes of all rows. */
async function encodeAll(encoder: BatchEncoder, batch: RecordBatch): Promise<number> {
  let bytes = 0;
  for (let row = 0; row < batch.numRows; ) {
    const encoded = await encoder.encode(row === 0 ? batch : batch.slice(row));
    row += encoded.rows;
    bytes += encoded.bodyBytes;
  }
  return bytes;
}

/** Encoded bytes of all rows, column by column as the encoder does it. */
function encodeByWasm(wasm: WasmColumns, batch: RecordBatch): number {
  let bytes = 0;
  for (const [index, field] of batch.schema.fields.entries()) {
    const data = batch.data.children[index];
    if (!data) continue;
    const pieces = wasm.encode(field, [data]).leaves.flatMap((leaf) => leaf.pieces);
    bytes += pieces.reduce((sum, { pages }) => sum + pages.length, 0);
  }
  return bytes;
}

/** @param random A whole number below its argument. @param word Some letters and digits. */
type MakeValue = (row: number, random: (below: number) => number, word: () => string) => string;

const jsonValue: MakeValue = (row, random, word) =>
  JSON.stringify({
    orderId: row,
    status: ['new', 'paid', 'shipped', 'done'][random(4)],
    amount: random(1_000_000) / 100,
    currency: 'EUR',
    region: `eu-west-${random(4)}`,
    items: random(9),
    note: word() + word() + word(),
    createdAt: new Date(1_700_000_000_000 + row * 37).toISOString(),
  });

const textValue: MakeValue = (row, random, word) =>
  `order ${row} of customer ${random(50_000)} was ${['seen', 'paid', 'shipped'][random(3)]} in region eu-west-${random(4)} ` +
  `with ${random(9)} items at ${random(1_000_000) / 100} EUR: ${Array.from({ length: 12 }, word).join(' ')}`;

function makeBatch(makeValue: MakeValue): { readonly batch: RecordBatch; readonly messageBytes: number } {
  let state = 7;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const word = (): string => random(2 ** 31).toString(36);
  const keys: string[] = [];
  const values: string[] = [];
  for (let row = 0; row < ROWS; row++) {
    keys.push(`customer-${random(50_000)}`);
    values.push(makeValue(row, random, word));
  }
  const key = strings(keys);
  const value = strings(values);
  const fields = [
    new Field('key', new Utf8(), true),
    new Field('value', new Utf8(), true),
    new Field('partition', new Int32(), false),
    new Field('offset', new Int64(), false),
    new Field('timestamp', new TimestampMillisecond('UTC'), true),
  ];
  const numbers = Float64Array.from({ length: ROWS }, (_, row) => row);
  const children = [
    key.data,
    value.data,
    makeData({ type: new Int32(), data: new Int32Array(ROWS).fill(3) }),
    makeData({ type: new Int64(), data: BigInt64Array.from(numbers, BigInt) }),
    makeData({
      type: new TimestampMillisecond('UTC'),
      data: BigInt64Array.from(numbers, (row) => BigInt(1_700_000_000_000 + row * 37)),
    }),
  ];
  const data = makeData({ type: new Struct(fields), length: ROWS, nullCount: 0, children });
  return { batch: new RecordBatch(new Schema(fields), data), messageBytes: key.bytes + value.bytes };
}

function strings(values: readonly string[]) {
  const valueOffsets = new Int32Array(values.length + 1);
  for (const [index, value] of values.entries()) valueOffsets[index + 1] = (valueOffsets[index] ?? 0) + value.length;
  const bytes = Buffer.from(values.join(''), 'latin1');
  return {
    data: makeData({ type: new Utf8(), length: values.length, nullCount: 0, valueOffsets, data: bytes }),
    bytes: bytes.length,
  };
}
