/** The messages of the benches: JSON events, the same bytes in every run. */
import { createHash } from 'node:crypto';

const EVENTS = ['click', 'view', 'buy', 'scroll', 'login'];
const TAGS = ['a', 'b', 'c', 'news', 'promo', 'x1'];
const START_MS = Date.UTC(2026, 10, 22, 10);
const POOL = makePool(64 * 1024);

/** A session id that does not compress, as real ones do not; the rest repeats as events do. */
export function eventAt(index: number, valueBytes: number | null): { key: string; value: Buffer } {
  const digest = createHash('md5').update(String(index)).digest();
  const user = digest.readUInt16LE(0) % 50_000;
  const session = digest.toString('hex');
  const key = `user-${user}`;
  const value = {
    id: index,
    user: key,
    event: EVENTS[index % EVENTS.length],
    ts: new Date(START_MS + index * 3).toISOString(),
    amount: Math.round(digest.readUInt32LE(2) / 43_000) / 100,
    tags: [TAGS[(digest[6] ?? 0) % TAGS.length], TAGS[(digest[7] ?? 0) % TAGS.length]],
    session,
    path: `/p/${(digest[8] ?? 0) * 4}/${'xyzw'[(digest[9] ?? 0) % 4]}`,
  };
  const whole = Buffer.from(JSON.stringify(value));
  if (valueBytes === null || whole.length === valueBytes) return { key, value: whole };
  const start = whole.length + NOTE_BYTES > valueBytes ? Buffer.from(`{"id":${index}}`) : whole;
  return { key, value: padEvent(start, valueBytes, start === whole ? null : session, digest.readUInt16LE(10)) };
}

/** Bytes of `,"note":""`. */
const NOTE_BYTES = 10;

/** Puts a text before the closing brace that makes the event as long as asked: the session, then words. */
function padEvent(event: Buffer, bytes: number, session: string | null, seed: number): Buffer {
  const length = Math.max(1, bytes - event.length - NOTE_BYTES);
  let note = (session ?? '').slice(0, length);
  for (let start = seed % POOL.length; note.length < length; start = 0) {
    note += POOL.slice(start, start + length - note.length);
  }
  return Buffer.from(`${event.toString('latin1', 0, event.length - 1)},"note":"${note}"}`, 'latin1');
}

/** Words of one to six letters and digits, about half the size when compressed. */
function makePool(length: number): string {
  let state = 11;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const vocabulary = Array.from({ length: 2_000 }, () =>
    random(2 ** 31)
      .toString(36)
      .slice(0, 1 + random(6)),
  );
  let text = '';
  while (text.length < length) text += `${vocabulary[random(vocabulary.length)]} `;
  return text.slice(0, length);
}
