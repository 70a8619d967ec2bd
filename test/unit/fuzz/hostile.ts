/**
 * What the fuzz tests share: damaged and random input, and what must hold for every reader. fast-check prints seed and path
 * of a failure; `fc.assert(property, { seed, path })` repeats it.
 */
import fc from 'fast-check';
import { OffloadError } from '../../../src/errors.ts';

const isLong = process.env.KAFKALOAD_FAULTS === 'all';

/** A few seconds for each property in `npm test`; twenty times as many with KAFKALOAD_FAULTS=all. */
export const runs = (count: number): { numRuns: number } => ({ numRuns: isLong ? 20 * count : count });
/** Of one test, in milliseconds: catches a hang. */
export const HANG_MS = isLong ? 600_000 : 60_000;

type Edit = (bytes: Buffer) => Buffer;

const at = fc.nat(0xffff_ffff);
const place = (position: number, bytes: Buffer): number => (bytes.length === 0 ? 0 : position % bytes.length);
/** Numbers on which lengths, counts and varints turn. */
const edges = fc.constantFrom(0, 1, -1, 0x7f, 0x80, 0xff, 0x7fff, -0x8000, 0x7fff_ffff, -0x8000_0000, 0x4000_0000);
const junk = fc.uint8Array({ maxLength: 24 });

const flip = fc.tuple(at, fc.nat(7)).map(([position, bit]): Edit => {
  return (bytes) => {
    const i = place(position, bytes);
    if (i < bytes.length) bytes[i] = (bytes[i] as number) ^ (1 << bit);
    return bytes;
  };
});
const setByte = fc.tuple(at, fc.nat(255)).map(([position, value]): Edit => {
  return (bytes) => {
    bytes[place(position, bytes)] = value;
    return bytes;
  };
});
const setNumber = fc.tuple(at, edges, fc.boolean()).map(([position, value, isBig]): Edit => {
  return (bytes) => {
    if (bytes.length < 4) return bytes;
    const i = position % (bytes.length - 3);
    if (isBig) bytes.writeInt32BE(value, i);
    else bytes.writeInt32LE(value, i);
    return bytes;
  };
});
const truncate = at.map(
  (position): Edit =>
    (bytes) =>
      bytes.subarray(0, place(position, bytes)),
);
const insert = fc.tuple(at, junk).map(([position, more]): Edit => {
  return (bytes) => {
    const i = place(position, bytes);
    return Buffer.concat([bytes.subarray(0, i), more, bytes.subarray(i)]);
  };
});
const repeat = fc.tuple(at, fc.nat(64)).map(([position, length]): Edit => {
  return (bytes) => {
    const i = place(position, bytes);
    return Buffer.concat([bytes.subarray(0, i + length), bytes.subarray(i)]);
  };
});
const drop = fc.tuple(at, fc.nat(64)).map(([position, length]): Edit => {
  return (bytes) => {
    const i = place(position, bytes);
    return Buffer.concat([bytes.subarray(0, i), bytes.subarray(i + length)]);
  };
});

/** One of the valid inputs after one to six edits: flips, other bytes and numbers, cuts, insertions, repetitions. */
export function damaged(valid: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  const edits = fc.array(fc.oneof(flip, setByte, setNumber, truncate, insert, repeat, drop), {
    minLength: 1,
    maxLength: 6,
  });
  return fc.tuple(fc.constantFrom(...valid), edits).map(([bytes, list]) => {
    return list.reduce<Buffer>((edited, edit) => edit(edited), Buffer.from(bytes));
  });
}

const randomBytes: fc.Arbitrary<Buffer> = fc
  .uint8Array({ maxLength: 400, size: 'max' })
  .map((bytes) => Buffer.from(bytes));

/** Random and damaged alike. */
export function hostile(...valid: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  return fc.oneof({ weight: 4, arbitrary: damaged(valid) }, { weight: 1, arbitrary: randomBytes });
}

/** JSON that was edited as text, and JSON of the right keys with anything for values. */
export function hostileJson(...valid: readonly unknown[]): fc.Arbitrary<string> {
  const texts = hostile(...valid.map((value) => Buffer.from(JSON.stringify(value)))).map(String);
  const values = fc.tuple(fc.constantFrom(...valid), fc.array(fc.tuple(at, oddValue), { maxLength: 3 }));
  return fc.oneof(
    texts,
    values.map(([value, changes]) => JSON.stringify(changes.reduce(replaceOne, value))),
  );
}

const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, 0, -1, 1.5, 2 ** 53, 1e300, '', '0', '__proto__', '../..', [], {}, [[]], [null], [[1]]),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A copy in which one of all values, at any depth, is another one. */
function replaceOne(value: unknown, [position, other]: readonly [number, unknown]): unknown {
  const copy = { root: structuredClone(value) };
  const places: [Record<string, unknown>, string][] = [];
  const visit = (parent: Record<string, unknown>): void => {
    for (const key of Object.keys(parent)) {
      places.push([parent, key]);
      const inner = parent[key];
      if (typeof inner === 'object' && inner !== null) visit(inner as Record<string, unknown>);
    }
  };
  visit(copy);
  const [parent, key] = places[position % places.length] as [Record<string, unknown>, string];
  parent[key] = other;
  return copy.root;
}

/** What came of it, as a text to be compared; an error that is none of ours fails the test. */
export async function outcomeOf(
  read: () => unknown,
  isExpected: (error: unknown) => boolean = isOurs,
): Promise<{ readonly value: unknown } | { readonly error: string }> {
  try {
    return { value: await read() };
  } catch (error) {
    if (!isExpected(error)) throw new Error('it failed with an error that is none of ours', { cause: error });
    return { error: (error as Error).message };
  }
}

/** INTERNAL stands for what nobody foresaw. */
export function isOurs(error: unknown): boolean {
  return error instanceof OffloadError && error.code !== 'INTERNAL';
}

const MARGIN_BYTES = 4096;

/** The bytes in the middle of a larger buffer, among neighbours that are all of one value. */
export function amongNeighbours(bytes: Buffer, neighbour: number): { view: Buffer; areUntouched: () => boolean } {
  const whole = Buffer.alloc(bytes.length + 2 * MARGIN_BYTES, neighbour);
  bytes.copy(whole, MARGIN_BYTES);
  const view = whole.subarray(MARGIN_BYTES, MARGIN_BYTES + bytes.length);
  const margin = Buffer.alloc(MARGIN_BYTES, neighbour);
  return {
    view,
    areUntouched: () =>
      whole.subarray(0, MARGIN_BYTES).equals(margin) &&
      whole.subarray(-MARGIN_BYTES).equals(margin) &&
      view.equals(bytes),
  };
}

/** What is asked of a Buffer allocator at most while `read` is running. */
export async function largestAllocation(read: () => Promise<unknown>): Promise<number> {
  const names = ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const;
  const own = names.map((name) => Buffer[name]);
  let largest = 0;
  for (const name of names) {
    const allocate = Buffer[name] as (size: number, ...more: unknown[]) => Buffer<ArrayBuffer>;
    Buffer[name] = (size: number, ...more: unknown[]) => {
      largest = Math.max(largest, size);
      return allocate(size, ...more);
    };
  }
  try {
    await read();
  } finally {
    names.forEach((name, i) => {
      Buffer[name] = own[i] as (typeof Buffer)[typeof name];
    });
  }
  return largest;
}
