import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeAll, type Row } from './rows.ts';

/*
 * test/fixtures/decode holds log segments as Kafka 4.1.1 stored them, written by its Java client and by librdkafka 2.16 from
 * messages.json in batches of 16; java-transactions.bin has two producers' transactions mixed.
 */
const FIXTURES = new URL('../../fixtures/decode/', import.meta.url);

interface Message {
  key: string | null;
  value: string | null;
  headers: [string, string | null][];
  timestamp: number;
  /** A long value: this text, this often. */
  valueRepeat?: [string, number];
}

const messages = JSON.parse(readFileSync(new URL('messages.json', FIXTURES), 'utf8')) as Message[];

function bytes(base64: string | null): Buffer | null {
  return base64 === null ? null : Buffer.from(base64, 'base64');
}

function rowOf(message: Message, offset: number): Row {
  const repeat = message.valueRepeat;
  return {
    key: bytes(message.key),
    value: repeat === undefined ? bytes(message.value) : Buffer.from(repeat[0].repeat(repeat[1])),
    headers: message.headers.map(([key, value]) => [key, bytes(value)]),
    offset,
    timestamp: BigInt(message.timestamp),
    timestampType: 0,
  };
}

describe.each(['java', 'librdkafka'])('batches written by %s', (client) => {
  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'])('give every message in %s', async (codec) => {
    const { rows, set, batches } = await decodeAll(readFileSync(new URL(`${client}-${codec}.bin`, FIXTURES)));
    expect(rows).toEqual(messages.map(rowOf));
    expect(batches).toBe(3);
    expect(set.nextOffset).toBe(48);
  });
});

it('gives every record of a LogAppendTime batch the time of the append', async () => {
  const records = readFileSync(new URL('java-logAppendTime.bin', FIXTURES));
  const { rows } = await decodeAll(records);
  // Batches of 16, each with the maximum timestamp of its own header.
  const times: bigint[] = [];
  for (let position = 0; position < records.length; position += 12 + records.readInt32BE(position + 8)) {
    times.push(records.readBigInt64BE(position + 35));
  }
  expect(times).toHaveLength(3);
  const expected = messages.map((message, i) => ({
    ...rowOf(message, i),
    timestamp: times[Math.floor(i / 16)],
    timestampType: 1,
  }));
  expect(rows).toEqual(expected);
});

describe('transactions of two producers mixed', () => {
  const records = readFileSync(new URL('java-transactions.bin', FIXTURES));
  const aborted = [
    { producerId: 14, firstOffset: 27 },
    { producerId: 15, firstOffset: 4 },
  ];
  const at = (from: number, to: number, offset: number) =>
    messages.slice(from, to).map((message, i) => rowOf(message, offset + i));

  it('leaves out the aborted ones and the markers under read_committed', async () => {
    const { rows, set } = await decodeAll(records, {}, aborted);
    expect(rows).toEqual([...at(0, 4, 0), ...at(4, 8, 8), ...at(16, 24, 17), ...at(32, 40, 34)]);
    expect(set.counts).toEqual({ control: 5, aborted: 14 });
    expect(set.nextOffset).toBe(43);
  });

  it('leaves out the markers alone under read_uncommitted', async () => {
    const { rows, set } = await decodeAll(records, { isolationLevel: 'read_uncommitted' }, aborted);
    const all = [
      at(0, 4, 0),
      at(8, 12, 4),
      at(4, 8, 8),
      at(12, 16, 12),
      at(16, 24, 17),
      at(24, 30, 27),
      at(32, 40, 34),
    ];
    expect(rows).toEqual(all.flat());
    expect(set.counts).toEqual({ control: 5, aborted: 0 });
  });

  it('counts what is left out of every range once, wherever the range is cut', async () => {
    for (let cut = 0; cut <= 43; cut++) {
      const left = await decodeAll(records, { endOffset: cut }, aborted);
      const right = await decodeAll(records, { startOffset: cut, endOffset: 43 }, aborted);
      expect(left.set.nextOffset).toBe(cut);
      expect(left.set.counts.aborted + right.set.counts.aborted).toBe(14);
      expect(left.set.counts.control + right.set.counts.control).toBe(5);
      expect(left.rows.length + right.rows.length).toBe(24);
    }
  });
});
