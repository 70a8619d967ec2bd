/** Joins the statistics of pieces of one column into the statistics of the whole column chunk. */
import { PHYSICAL_TYPE, SCHEMA_ELEMENT, STATISTICS } from './format.ts';
import {
  binaryField,
  fieldOf,
  integer,
  numberField,
  struct,
  type ThriftNode,
  type ThriftStruct,
  WIRE,
} from './thrift.ts';

/** Orders two values as statistics store them. */
export type Comparator = (a: Buffer, b: Buffer) => number;

/** Converted types that change the order of their physical type: DECIMAL, and UINT_8 to UINT_64. */
const OTHER_ORDER = new Set([5, 11, 12, 13, 14]);

/**
 * The order in which a column's minimum and maximum are to be understood; undefined where it is none of the plain ones,
 * so that such a column goes without rather than with wrong bounds.
 *
 * @see ColumnOrder in parquet.thrift
 */
export function comparatorOf(element: ThriftStruct): Comparator | undefined {
  const convertedType = numberField(element, SCHEMA_ELEMENT.CONVERTED_TYPE);
  if (convertedType !== undefined && OTHER_ORDER.has(convertedType)) return undefined;
  return physicalOrder(numberField(element, SCHEMA_ELEMENT.TYPE));
}

/** The order of a physical type as such; undefined where it has none. */
export function physicalOrder(physicalType: number | undefined): Comparator | undefined {
  switch (physicalType) {
    case PHYSICAL_TYPE.BOOLEAN:
    case PHYSICAL_TYPE.BYTE_ARRAY:
      return (a, b) => a.compare(b);
    case PHYSICAL_TYPE.INT32:
      return (a, b) => a.readInt32LE() - b.readInt32LE();
    case PHYSICAL_TYPE.INT64:
      return (a, b) => Number(a.readBigInt64LE() - b.readBigInt64LE());
    case PHYSICAL_TYPE.FLOAT:
      return (a, b) => a.readFloatLE() - b.readFloatLE();
    case PHYSICAL_TYPE.DOUBLE:
      return (a, b) => a.readDoubleLE() - b.readDoubleLE();
    default:
      return undefined;
  }
}

/** Statistics of one piece and the number of its values, nulls included. */
export interface PieceStatistics {
  readonly statistics: ThriftStruct | undefined;
  readonly values: number;
}

/**
 * Bounds and number of nulls over all pieces. A bound is left out when a piece that has values lacks it; a bound cut
 * short by the writer is still a bound, and stays marked as inexact.
 */
export function mergeStatistics(
  pieces: readonly PieceStatistics[],
  compare: Comparator | undefined,
): ThriftStruct | undefined {
  const nullCounts = pieces.map(({ statistics }) => statistics && numberField(statistics, STATISTICS.NULL_COUNT));
  const nulls = nullCounts.reduce<number | undefined>(
    (sum, count) => (sum === undefined || count === undefined ? undefined : sum + count),
    0,
  );
  const valued = pieces.filter(({ values }, index) => nullCounts[index] !== values);
  const minimum = compare && bound(valued, STATISTICS.MIN_VALUE, STATISTICS.IS_MIN_VALUE_EXACT, compare);
  const maximum =
    compare && bound(valued, STATISTICS.MAX_VALUE, STATISTICS.IS_MAX_VALUE_EXACT, (a, b) => compare(b, a));
  if (nulls === undefined && !minimum && !maximum) return undefined;
  return struct({
    [STATISTICS.NULL_COUNT]: nulls === undefined ? undefined : integer(WIRE.I64, nulls),
    [STATISTICS.MAX_VALUE]: maximum?.value,
    [STATISTICS.MIN_VALUE]: minimum?.value,
    [STATISTICS.IS_MAX_VALUE_EXACT]: maximum?.exact,
    [STATISTICS.IS_MIN_VALUE_EXACT]: minimum?.exact,
  });
}

interface Bound {
  readonly value: ThriftNode;
  readonly exact: ThriftNode | undefined;
}

function bound(
  pieces: readonly PieceStatistics[],
  valueId: number,
  exactId: number,
  compare: Comparator,
): Bound | undefined {
  let first: { readonly bytes: Buffer; readonly bound: Bound } | undefined;
  for (const { statistics } of pieces) {
    const raw = statistics && binaryField(statistics, valueId);
    const value = statistics && fieldOf(statistics, valueId);
    if (!statistics || !raw || !value) return undefined;
    const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
    if (!first || compare(bytes, first.bytes) < 0)
      first = { bytes, bound: { value, exact: fieldOf(statistics, exactId) } };
  }
  return first?.bound;
}
