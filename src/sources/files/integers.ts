import type { ColumnType } from '../../config/sparkSchema.ts';

const BITS: Readonly<Record<string, number>> = { TINYINT: 8, SMALLINT: 16, INTEGER: 32, BIGINT: 64, HUGEINT: 127 };

/** The least and the greatest integer of a type; null for types that hold no integers. */
export function integerRange(type: ColumnType): readonly [bigint, bigint] | null {
  if (typeof type !== 'string') return null;
  const unsigned = type.startsWith('U') ? type.slice(1) : '';
  const bits = BITS[type] ?? BITS[unsigned];
  if (bits === undefined) return null;
  // These two become decimals of 38 digits.
  if (bits > 64) return [-(10n ** 38n) + 1n, 10n ** 38n - 1n];
  return unsigned === '' ? [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n] : [0n, (1n << BigInt(bits)) - 1n];
}
