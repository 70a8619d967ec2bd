import { type ScriptHeader, type ScriptMessage, ScriptWriter, toHex } from './script.ts';

export const MIXED_PARTITIONS = 8;

const CHUNK = 2_000;
const FIRST_TIMESTAMP = 1_700_000_000_000;

/** A small generator with a seed, so that a failure can be repeated (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function randomHex(random: () => number, bytes: number): string {
  const buffer = Buffer.allocUnsafe(bytes);
  for (let index = 0; index < bytes; index++) buffer[index] = random() * 256;
  return buffer.toString('hex');
}

const HEADER_SETS: readonly (readonly ScriptHeader[])[] = [
  [['trace', toHex('a1b2')]],
  [
    ['repeated', toHex('first')],
    ['repeated', toHex('second')],
    ['other', toHex('between')],
    ['repeated', toHex('first')],
  ],
  [['no-value', null]],
  [
    ['empty', ''],
    ['no-value', null],
    ['', toHex('a header without a name')],
  ],
  [['bytes', '00ff00c3280001']],
  [['schlüssel-ключ-鍵', toHex('wert-значение-値')]],
  Array.from({ length: 40 }, (_, index): ScriptHeader => [`h${index % 7}`, toHex(`value ${index}`)]),
];

/** Makes messages: mostly JSON text with a key, and every special case again and again. */
function messageMaker(seed: number): (count: number) => ScriptMessage {
  const random = seededRandom(seed);
  return (count) => {
    const partition = Math.floor(random() * MIXED_PARTITIONS);
    // Now and then a timestamp far behind its neighbours: deltas in a batch are then negative.
    const timestamp = FIRST_TIMESTAMP + count * 7 - (count % 97 === 0 ? 86_400_000 : 0);
    const text = `{"id":${count},"amount":${(random() * 1000).toFixed(2)},"note":"größe ${'x'.repeat(random() * 90)}"}`;
    const plain = { partition, timestamp, key: toHex(`key-${count % 5000}`), value: toHex(text), headers: [] };
    const headers = HEADER_SETS[Math.floor(random() * HEADER_SETS.length)] ?? [];
    switch (count % 40) {
      case 3:
        return { ...plain, key: null };
      case 7:
        return { ...plain, value: null };
      case 11:
        return { ...plain, key: null, value: null, headers };
      case 15:
        return { ...plain, value: '' };
      case 19:
        return { ...plain, key: '', value: '', headers };
      case 23:
        return { ...plain, key: randomHex(random, 9), value: randomHex(random, random() * 300) };
      case 27:
      case 31:
        return { ...plain, headers };
      case 35:
        return count % 4_000 === 35 ? { ...plain, value: randomHex(random, 30_000) } : plain;
      default:
        return plain;
    }
  };
}

/** Two messages of 900 KB: bytes that no codec shrinks, and text that every codec shrinks to almost nothing. */
function largeMessages(): readonly ScriptMessage[] {
  const common = { timestamp: FIRST_TIMESTAMP, headers: [] };
  return [
    { ...common, partition: 2, key: toHex('large-random'), value: randomHex(seededRandom(900), 900_000) },
    { ...common, partition: 5, key: toHex('large-text'), value: toHex('0123456789'.repeat(90_000)) },
  ];
}

/**
 * Writes a script with every special case over eight partitions: plain messages in small and in large batches,
 * batches of one message, committed and aborted transactions one after another, interleaved with one another and with
 * plain messages, and two that stay open from the first to the last message, one of them to be aborted.
 *
 * @param committed Number of messages that end up committed.
 * @returns The number the next message would get.
 */
export async function writeMixedScript(
  path: string,
  options: { firstNumber: number; committed: number; seed: number },
): Promise<number> {
  const script = new ScriptWriter(path, options.firstNumber);
  const make = messageMaker(options.seed);
  let left = options.committed;
  const send = (producer: string): void => {
    script.send(producer, make(script.nextNumber));
    left -= 1;
  };
  const sendAborted = (producer: string): void => script.send(producer, make(script.nextNumber));

  script.open('plain', false, 65_536);
  script.open('wide', false, 900_000);
  script.open('single', false, 1);
  for (const name of ['commits', 'aborts', 'longCommit', 'longAbort']) script.open(name, true, 16_384);
  script.begin('longCommit');
  script.begin('longAbort');
  for (const message of largeMessages()) {
    script.send('plain', message);
    left -= 1;
  }
  for (let chunk = 0; left > 0; chunk++) {
    const end = Math.max(left - CHUNK, 0);
    for (let count = 0; count < 10; count++) sendAborted('longAbort');
    if (left > 0) send('longCommit');
    switch (chunk % 5) {
      case 0:
        while (left > end) send('plain');
        break;
      case 1:
        script.begin('commits');
        while (left > end) send(left % 4 === 0 ? 'plain' : 'commits');
        script.commit('commits');
        break;
      case 2:
        script.begin('commits');
        script.begin('aborts');
        while (left > end) {
          send('commits');
          if (left % 8 === 0) sendAborted('aborts');
        }
        script.abort('aborts');
        script.commit('commits');
        break;
      case 3:
        while (left > end) send('wide');
        break;
      default:
        script.begin('aborts');
        for (let count = 0; count < 300; count++) sendAborted('aborts');
        script.abort('aborts');
        for (let count = 0; count < 50 && left > end; count++) send('single');
        while (left > end) send('plain');
    }
    await script.drain();
  }
  script.abort('longAbort');
  script.commit('longCommit');
  await script.close();
  return script.nextNumber;
}

/**
 * Writes a script for a compacted topic: many values, and tombstones, for few keys over eight partitions, in plain
 * messages and in committed and aborted transactions.
 */
export async function writeCompactedScript(
  path: string,
  options: { firstNumber: number; messages: number; seed: number },
): Promise<number> {
  const script = new ScriptWriter(path, options.firstNumber);
  const random = seededRandom(options.seed);
  const send = (producer: string): void => {
    const count = script.nextNumber;
    const key = toHex(`key-${Math.floor(random() * 400)}`);
    const value = count % 9 === 0 ? null : toHex(`value ${count} ${'y'.repeat(random() * 60)}`);
    const partition = count % MIXED_PARTITIONS;
    script.send(producer, { partition, timestamp: FIRST_TIMESTAMP + count, key, value, headers: [] });
  };
  script.open('plain', false, 8_192);
  script.open('commits', true, 8_192);
  script.open('aborts', true, 8_192);
  const end = options.firstNumber + options.messages;
  while (script.nextNumber < end) {
    const chunkEnd = Math.min(script.nextNumber + 1_000, end);
    script.begin('commits');
    script.begin('aborts');
    while (script.nextNumber < chunkEnd) {
      send('plain');
      if (script.nextNumber % 3 === 0) send('commits');
      if (script.nextNumber % 11 === 0) send('aborts');
    }
    script.commit('commits');
    script.abort('aborts');
    await script.drain();
  }
  await script.close();
  return script.nextNumber;
}
