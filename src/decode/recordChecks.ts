/** Records that contradict their batch or themselves; who knows where the batch stands turns it into BATCH_CORRUPT. */
export class MalformedRecords extends Error {
  override readonly name = 'MalformedRecords';
}

/** Length, attributes, two deltas, two lengths and the number of headers, of one byte each. */
export const MIN_RECORD_BYTES = 7;

/**
 * What `decodeRecords` of `assembly/records.ts` found wrong.
 *
 * @param outcome Its answer, other than 0.
 * @param about The record, and two values of the check that failed.
 */
export function malformed(
  outcome: number,
  about: Int32Array,
  { recordCount, lastOffsetDelta }: { readonly recordCount: number; readonly lastOffsetDelta: number },
): MalformedRecords {
  const [record = 0, first = 0, second = 0] = about;
  switch (outcome) {
    case 6:
      return wrongLength(record, recordCount, first, second);
    case 7:
      return wrongDelta(record, first, second, lastOffsetDelta);
    case 8:
      return wrongField('key', record, first, second);
    case 9:
      return wrongField('value', record, first, second);
    case 10:
      return wrongEnd(record, first, second);
    case 11:
      return bytesLeft(first, recordCount);
    default:
      return overlong(OVERLONG[outcome] ?? 'number', record);
  }
}

/** What may have too many bytes, by the outcome that says so. */
const OVERLONG: Readonly<Record<number, string>> = {
  1: 'length',
  2: 'timestamp delta',
  3: 'offset delta',
  4: 'key length',
  5: 'value length',
};

/** Refuses a count that the bytes cannot hold, before room is made for so many rows. */
export function checkCount(section: Buffer, recordCount: number): void {
  if (recordCount * MIN_RECORD_BYTES > section.length) {
    throw new MalformedRecords(`it claims ${recordCount} records in ${section.length} bytes`);
  }
}

export function checkEnd(section: Buffer, position: number, recordCount: number): void {
  if (position !== section.length) {
    throw bytesLeft(section.length - position, recordCount);
  }
}

function bytesLeft(bytes: number, recordCount: number): MalformedRecords {
  return new MalformedRecords(`${bytes} bytes are left after its ${recordCount} records`);
}

export function overlong(what: string, record: number): MalformedRecords {
  return new MalformedRecords(`the ${what} of record ${record} has too many bytes`);
}

export function wrongLength(record: number, recordCount: number, length: number, left: number): MalformedRecords {
  return new MalformedRecords(`record ${record} of ${recordCount} claims ${length} bytes, and ${left} are left`);
}

export function wrongField(what: string, record: number, length: number, left: number): MalformedRecords {
  return new MalformedRecords(`the ${what} of record ${record} claims ${length} bytes, and ${left} are left in it`);
}

function wrongDelta(record: number, delta: number, previous: number, last: number): MalformedRecords {
  return new MalformedRecords(
    `the offset delta of record ${record} is ${delta}, after ${previous} and with ${last} as the last of the batch`,
  );
}

export function wrongEnd(record: number, next: number, position: number): MalformedRecords {
  return new MalformedRecords(`record ${record} ends at byte ${next}, and its fields end at byte ${position}`);
}
