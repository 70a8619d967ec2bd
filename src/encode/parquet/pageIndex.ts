/**
 * The page index of a column chunk: where its pages lie and with which rows they begin (OffsetIndex), and their bounds
 * (ColumnIndex), by which readers leave pages out.
 *
 * @see https://github.com/apache/parquet-format/blob/master/PageIndex.md
 */
import { decodeStruct, encodeStruct } from './compactThrift.ts';
import type { Bounds } from './flat/bounds.ts';
import { BOUNDARY_ORDER, COLUMN_INDEX, OFFSET_INDEX, PAGE_LOCATION } from './format.ts';
import { physicalOrder } from './statistics.ts';
import { binary, bool, integer, list, numberField, struct, structsField, WIRE, withFields } from './thrift.ts';

/** A data page. */
export interface PageSummary {
  readonly rows: number;
  /** Those that are null among them; in a list, each element counts, and a list without elements as one null. */
  readonly values: number;
  readonly nulls: number;
  /** Of its values. */
  readonly bounds: Bounds;
}

/** A data page in a file. */
export interface PlacedPage extends PageSummary {
  readonly position: number;
  /** With its header. */
  readonly bytes: number;
}

const NO_BYTES = new Uint8Array(0);

/**
 * @param physicalType Of the column; its values are in the order of that type.
 * @returns The ColumnIndex; undefined where a page that has values lacks a bound, for then the format wants none.
 */
export function columnIndex(pages: readonly PageSummary[], physicalType: number): Uint8Array | undefined {
  const minimums: Buffer[] = [];
  const maximums: Buffer[] = [];
  const ofPages = pages.map(({ values, nulls, bounds: { min, max } }) => {
    if (nulls === values) return { isNull: true, min: NO_BYTES, max: NO_BYTES };
    if (!min || !max) return undefined;
    minimums.push(bufferOf(min.bytes));
    maximums.push(bufferOf(max.bytes));
    return { isNull: false, min: min.bytes, max: max.bytes };
  });
  const known = ofPages.filter((page) => page !== undefined);
  if (known.length < pages.length) return undefined;
  return encodeStruct(
    struct({
      [COLUMN_INDEX.NULL_PAGES]: list(
        WIRE.TRUE,
        known.map(({ isNull }) => bool(isNull ? WIRE.TRUE : WIRE.FALSE)),
      ),
      [COLUMN_INDEX.MIN_VALUES]: list(
        WIRE.BINARY,
        known.map(({ min }) => binary(min)),
      ),
      [COLUMN_INDEX.MAX_VALUES]: list(
        WIRE.BINARY,
        known.map(({ max }) => binary(max)),
      ),
      [COLUMN_INDEX.BOUNDARY_ORDER]: integer(WIRE.I32, boundaryOrder(minimums, maximums, physicalType)),
      [COLUMN_INDEX.NULL_COUNTS]: list(
        WIRE.I64,
        pages.map(({ nulls }) => integer(WIRE.I64, nulls)),
      ),
    }),
  );
}

/** The OffsetIndex. */
export function offsetIndex(pages: readonly PlacedPage[]): Uint8Array {
  let firstRow = 0;
  const locations = pages.map(({ position, bytes, rows }) => {
    const location = struct({
      [PAGE_LOCATION.OFFSET]: integer(WIRE.I64, position),
      [PAGE_LOCATION.COMPRESSED_PAGE_SIZE]: integer(WIRE.I32, bytes),
      [PAGE_LOCATION.FIRST_ROW_INDEX]: integer(WIRE.I64, firstRow),
    });
    firstRow += rows;
    return location;
  });
  return encodeStruct(struct({ [OFFSET_INDEX.PAGE_LOCATIONS]: list(WIRE.STRUCT, locations) }));
}

/** The OffsetIndex of the same pages, `delta` bytes further on. */
export function movedOffsetIndex(index: Uint8Array, delta: number): Uint8Array {
  if (delta === 0) return index;
  const { struct: parsed } = decodeStruct(index);
  const locations = structsField(parsed, OFFSET_INDEX.PAGE_LOCATIONS).map((location) =>
    withFields(location, {
      [PAGE_LOCATION.OFFSET]: integer(WIRE.I64, (numberField(location, PAGE_LOCATION.OFFSET) ?? 0) + delta),
    }),
  );
  return encodeStruct(withFields(parsed, { [OFFSET_INDEX.PAGE_LOCATIONS]: list(WIRE.STRUCT, locations) }));
}

/** Both bounds must follow that order; pages without values do not count. */
function boundaryOrder(minimums: readonly Buffer[], maximums: readonly Buffer[], physicalType: number): number {
  const compare = physicalOrder(physicalType);
  if (!compare) return BOUNDARY_ORDER.UNORDERED;
  let [ascends, descends] = [true, true];
  for (const bounds of [minimums, maximums]) {
    for (let page = 1; page < bounds.length; page++) {
      const order = compare(bounds[page] as Buffer, bounds[page - 1] as Buffer);
      if (order < 0) ascends = false;
      if (order > 0) descends = false;
    }
  }
  if (ascends) return BOUNDARY_ORDER.ASCENDING;
  return descends ? BOUNDARY_ORDER.DESCENDING : BOUNDARY_ORDER.UNORDERED;
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
