/** Arrow batches to Parquet row groups, by codec: one thread, row groups of 16 MiB of ~180-byte JSON messages. */
import { Field, Int32, Int64, makeData, RecordBatch, Schema, Struct, TimestampMillisecond, Utf8 } from 'apache-arrow';
import { Bench } from 'tinybench';
import type { ParquetCompression } from '../src/config/job.ts';
import { parseFooter } from '../src/encode/parquet/footer.ts';
import { ParquetEncoder } from '../src/encode/parquet/parquetEncoder.ts';
import { wasmBytes } from '../src/encode/parquet/wasm.ts';

const ROWS = 88_000;
const CODECS: readonly ParquetCompression[] = ['none', 'snappy', 'lz4_raw', 'zstd', 'gzip'];
const MEBIBYTE = 1024 ** 2;

/** Runs the bench and prints a line for each codec: rows/s, MiB/s of message bytes, size of the output. */
export async function run(): Promise<void> {
  const { batch, messageBytes } = makeBatch();
  const bench = new Bench({ time: 1000, iterations: 3, warmupIterations: 1, warmupTime: 0 });
  const outputBytes = new Map<string, number>();
  for (const compression of CODECS) {
    const encoder = new ParquetEncoder(compression);
    const { bodyBytes, footer } = await encoder.encode(batch);
    if (parseFooter(footer).rows !== ROWS) throw new Error(`${compression}: not every row was encoded`);
    outputBytes.set(compression, bodyBytes);
    bench.add(compression, async () => {
      await encoder.encode(batch);
    });
  }
  await bench.run();
  console.log(`encode: ${ROWS} rows, ${(messageBytes / MEBIBYTE).toFixed(1)} MiB of messages in one row group`);
  for (const { name, result } of bench.tasks) {
    if (!('latency' in result)) throw new Error(`encode ${name}: ${result.state}`);
    const seconds = result.latency.p50 / 1000;
    const rate = `${Math.round(ROWS / seconds).toLocaleString('en')} rows/s`;
    const throughput = `${(messageBytes / MEBIBYTE / seconds).toFixed(0)} MiB/s`;
    const size = `${(((outputBytes.get(name) ?? 0) / messageBytes) * 100).toFixed(0)}% of the size`;
    console.log(`  ${name.padEnd(8)} ${rate.padStart(18)} ${throughput.padStart(10)}   ${size}`);
  }
  const { rss } = process.memoryUsage();
  console.log(`  WASM memory ${(wasmBytes() / MEBIBYTE).toFixed(0)} MiB, RSS ${(rss / MEBIBYTE).toFixed(0)} MiB`);
}

function makeBatch(): { readonly batch: RecordBatch; readonly messageBytes: number } {
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
    const amount = random(1_000_000) / 100;
    const status = ['new', 'paid', 'shipped', 'done'][random(4)];
    const createdAt = new Date(1_700_000_000_000 + row * 37).toISOString();
    values.push(
      JSON.stringify({
        orderId: row,
        status,
        amount,
        currency: 'EUR',
        region: `eu-west-${random(4)}`,
        items: random(9),
        note: word() + word() + word(),
        createdAt,
      }),
    );
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
