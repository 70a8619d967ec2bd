/** @returns The middle value; the mean of the two in the middle for an even number; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1] ?? Number.NaN, sorted[Math.floor(middle)] ?? Number.NaN];
  return (low + high) / 2;
}

/** How far the lowest value lies below the highest, as a share of the highest; NaN for none. */
export function spread(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : 1 - Math.min(...values) / Math.max(...values);
}
