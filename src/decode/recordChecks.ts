/** Records that contradict their batch or themselves; who knows where the batch stands turns it into BATCH_CORRUPT. */
export class MalformedRecords extends Error {
  override readonly name = 'MalformedRecords';
}

/** Length, attributes, two deltas, two lengths and the number of headers, of one byte each. */
export const MIN_RECORD_BYTES = 7;

/** Refuses a count that the bytes cannot hold, before room is made for so many rows. */
export function checkCount(section: Buffer, recordCount: number): void {
  if (recordCount * MIN_RECORD_BYTES > section.length) {
    throw new MalformedRecords(`it claims ${recordCount} records in ${section.length} bytes`);
  }
}

export function checkEnd(section: Buffer, position: number, recordCount: number): void {
  if (position !== section.length) {
    throw new MalformedRecords(`${section.length - position} bytes are left after its ${recordCount} records`);
  }
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

export function wrongDelta(record: number, delta: number, previous: number, last: number): MalformedRecords {
  return new MalformedRecords(
    `the offset delta of record ${record} is ${delta}, after ${previous} and with ${last} as the last of the batch`,
  );
}

export function wrongEnd(record: number, next: number, position: number): MalformedRecords {
  return new MalformedRecords(`record ${record} ends at byte ${next}, and its fields end at byte ${position}`);
}
