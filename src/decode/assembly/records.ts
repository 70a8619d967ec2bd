/**
 * Records of one batch, inflated (Kafka protocol guide, "Record"), as columns. Numbers are zigzag varints:
 *
 *     length, attributes (1 byte), timestamp delta, offset delta, key length, key, value length, value,
 *     number of headers, then for each: key length, key, value length, value. Length -1 is null.
 *
 * Whatever the lengths say, nothing outside the section is taken: a varint ends where the section does, and a length is
 * held against what is left of its record before a byte is copied.
 */
import { copyApart } from './copies';

/** Call: words at addresses 0, 4, 8 ... that the host fills in, in the order of `decode` in kernel.ts. */
const SECTION: usize = 0;
const SECTION_END: usize = 4;
const RECORD_COUNT: usize = 8;
const LAST_OFFSET_DELTA: usize = 12;
const FIRST_DELTA: usize = 16;
const END_DELTA: usize = 20;
const BASE_OFFSET: usize = 24;
const BASE_TIMESTAMP: usize = 32;
const FLAGS: usize = 40;
const KEY_BASE: usize = 44;
const VALUE_BASE: usize = 48;
const KEYS: usize = 52;
const VALUES: usize = 56;
const KEY_ENDS: usize = 60;
const VALUE_ENDS: usize = 64;
const KEY_NULLS: usize = 68;
const VALUE_NULLS: usize = 72;
const OFFSETS: usize = 76;
const TIMESTAMPS: usize = 80;
const HEADERS: usize = 84;
/** Answer. */
const ROWS: usize = 128;
const KEY_BYTES: usize = 132;
const VALUE_BYTES: usize = 136;
const KEY_NULL_COUNT: usize = 140;
const VALUE_NULL_COUNT: usize = 144;
/** What is wrong: the record and up to three values, as `MalformedRecords` names them. */
const WRONG: usize = 148;

const WANTS_KEYS: u32 = 1;
const WANTS_VALUES: u32 = 2;
const WANTS_TIMESTAMPS: u32 = 4;
const USES_DELTAS: u32 = 8;
const WANTS_HEADERS: u32 = 16;

const MIN_RECORD_BYTES: i32 = 7;

/** Outcomes, as `malformed` in recordChecks.ts numbers them. */
const FINE: i32 = 0;
const OVERLONG_LENGTH: i32 = 1;
const OVERLONG_TIMESTAMP: i32 = 2;
const OVERLONG_OFFSET: i32 = 3;
const OVERLONG_KEY: i32 = 4;
const OVERLONG_VALUE: i32 = 5;
const WRONG_LENGTH: i32 = 6;
const WRONG_DELTA: i32 = 7;
const WRONG_KEY: i32 = 8;
const WRONG_VALUE: i32 = 9;
const WRONG_END: i32 = 10;
const BYTES_LEFT: i32 = 11;

/** Where the varint read last ends; 0: it has more bytes than a number of its kind. */
let position: usize = 0;
let limit: usize = 0;

function byteAt(address: usize): u32 {
  return address < limit ? <u32>load<u8>(address) : 0;
}

function readInt32(): i32 {
  let at = position;
  let byte = byteAt(at++);
  let word = byte & 0x7f;
  let shift: u32 = 7;
  while (byte > 0x7f) {
    if (shift > 28) {
      position = 0;
      return 0;
    }
    byte = byteAt(at++);
    word |= (byte & 0x7f) << shift;
    shift += 7;
  }
  position = at;
  return <i32>(word >>> 1) ^ -(<i32>(word & 1));
}

function readInt64(): i64 {
  let at = position;
  let byte = byteAt(at++);
  let word = <u64>(byte & 0x7f);
  let shift: u64 = 7;
  while (byte > 0x7f) {
    if (shift > 63) {
      position = 0;
      return 0;
    }
    byte = byteAt(at++);
    word |= (<u64>(byte & 0x7f)) << shift;
    shift += 7;
  }
  position = at;
  return <i64>(word >>> 1) ^ -(<i64>(word & 1));
}

function wrong(outcome: i32, record: i32, first: i32, second: i32): i32 {
  store<i32>(WRONG, record);
  store<i32>(WRONG + 4, first);
  store<i32>(WRONG + 8, second);
  return outcome;
}

export function decodeRecords(): i32 {
  const section = <usize>load<u32>(SECTION);
  limit = <usize>load<u32>(SECTION_END);
  const recordCount = load<i32>(RECORD_COUNT);
  const lastOffsetDelta = load<i32>(LAST_OFFSET_DELTA);
  const firstDelta = load<i32>(FIRST_DELTA);
  const endDelta = load<i32>(END_DELTA);
  const baseOffset = load<i64>(BASE_OFFSET);
  const baseTimestamp = load<i64>(BASE_TIMESTAMP);
  const flags = load<u32>(FLAGS);
  const wantsKeys = (flags & WANTS_KEYS) !== 0;
  const wantsValues = (flags & WANTS_VALUES) !== 0;
  const wantsTimestamps = (flags & WANTS_TIMESTAMPS) !== 0;
  const usesDeltas = (flags & USES_DELTAS) !== 0;
  const wantsHeaders = (flags & WANTS_HEADERS) !== 0;
  const keys = <usize>load<u32>(KEYS);
  const values = <usize>load<u32>(VALUES);
  const keyBase = load<i32>(KEY_BASE) - <i32>keys;
  const valueBase = load<i32>(VALUE_BASE) - <i32>values;
  let keyEnds = <usize>load<u32>(KEY_ENDS);
  let valueEnds = <usize>load<u32>(VALUE_ENDS);
  let keyNullsAt = <usize>load<u32>(KEY_NULLS);
  let valueNullsAt = <usize>load<u32>(VALUE_NULLS);
  let offsets = <usize>load<u32>(OFFSETS);
  let timestamps = <usize>load<u32>(TIMESTAMPS);
  let headers = <usize>load<u32>(HEADERS);
  let keyEnd = keys;
  let valueEnd = values;
  let keyNulls: i32 = 0;
  let valueNulls: i32 = 0;
  let rows: i32 = 0;
  let previousDelta: i32 = -1;
  position = section;

  for (let record: i32 = 0; record < recordCount; record++) {
    const length = readInt32();
    if (position === 0) return wrong(OVERLONG_LENGTH, record, 0, 0);
    const left = <i32>(limit - position);
    if (length < MIN_RECORD_BYTES - 1 || length > left) return wrong(WRONG_LENGTH, record, length, left);
    const next = position + <usize>length;

    position++; // attributes: none are defined
    const timestampDelta = readInt64();
    if (position === 0) return wrong(OVERLONG_TIMESTAMP, record, 0, 0);
    const offsetDelta = readInt32();
    if (position === 0) return wrong(OVERLONG_OFFSET, record, 0, 0);
    if (offsetDelta <= previousDelta || offsetDelta > lastOffsetDelta) {
      return wrong(WRONG_DELTA, record, offsetDelta, previousDelta);
    }
    previousDelta = offsetDelta;
    if (offsetDelta < firstDelta || offsetDelta >= endDelta) {
      position = next;
      continue;
    }

    const keyLength = readInt32();
    if (position === 0) return wrong(OVERLONG_KEY, record, 0, 0);
    if (keyLength < -1 || keyLength > <i32>(next - position)) {
      return wrong(WRONG_KEY, record, keyLength, <i32>(next - position));
    }
    if (wantsKeys) store<u8>(keyNullsAt++, keyLength < 0 ? 1 : 0);
    if (keyLength > 0) {
      if (wantsKeys) {
        copyApart(keyEnd, position, keyLength);
        keyEnd += keyLength;
      }
      position += keyLength;
    } else if (keyLength < 0) {
      keyNulls++;
    }

    const valueLength = readInt32();
    if (position === 0) return wrong(OVERLONG_VALUE, record, 0, 0);
    if (valueLength < -1 || valueLength > <i32>(next - position)) {
      return wrong(WRONG_VALUE, record, valueLength, <i32>(next - position));
    }
    if (wantsValues) store<u8>(valueNullsAt++, valueLength < 0 ? 1 : 0);
    if (valueLength > 0) {
      if (wantsValues) {
        copyApart(valueEnd, position, valueLength);
        valueEnd += valueLength;
      }
      position += valueLength;
    } else if (valueLength < 0) {
      valueNulls++;
    }

    if (wantsHeaders) {
      store<u32>(headers, <u32>(position - section));
      store<u32>(headers + 4, <u32>(next - section));
      store<i32>(headers + 8, record);
      headers += 12;
    } else if (position >= next) {
      return wrong(WRONG_END, record, <i32>(next - section), <i32>(position - section));
    }

    store<i64>(offsets, baseOffset + <i64>offsetDelta);
    offsets += 8;
    if (wantsTimestamps) {
      store<i64>(timestamps, usesDeltas ? baseTimestamp + timestampDelta : baseTimestamp);
      timestamps += 8;
    }
    if (wantsKeys) {
      store<i32>(keyEnds, keyBase + <i32>keyEnd);
      keyEnds += 4;
    }
    if (wantsValues) {
      store<i32>(valueEnds, valueBase + <i32>valueEnd);
      valueEnds += 4;
    }
    rows++;
    position = next;
  }
  if (position !== limit) return wrong(BYTES_LEFT, recordCount, <i32>(limit - position), 0);
  store<i32>(ROWS, rows);
  store<i32>(KEY_BYTES, <i32>(keyEnd - keys));
  store<i32>(VALUE_BYTES, <i32>(valueEnd - values));
  store<i32>(KEY_NULL_COUNT, keyNulls);
  store<i32>(VALUE_NULL_COUNT, valueNulls);
  return FINE;
}
