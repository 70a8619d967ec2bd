const BUCKETS = 20;

/** How much came a second, over a window that slides. Holds a fixed number of sums, however often it is told. */
export class SlidingRate {
  readonly #bucketMs: number;
  readonly #startMs: number;
  readonly #sums = new Float64Array(BUCKETS);
  /** Number of the newest bucket, counted from the start. */
  #newest = 0;

  /** @param nowMs Of a clock that does not jump, here and in all calls. */
  constructor(windowMs: number, nowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
    this.#startMs = nowMs;
  }

  add(amount: number, nowMs: number): void {
    this.#moveTo(nowMs);
    const at = this.#newest % BUCKETS;
    this.#sums[at] = (this.#sums[at] ?? 0) + amount;
  }

  /** @returns A mean; of the time since the start while that is shorter than the window, a second at least. */
  perSecond(nowMs: number): number {
    this.#moveTo(nowMs);
    // The newest bucket is not over: what was counted spans it in part.
    const oldestMs = Math.max(0, this.#newest - BUCKETS + 1) * this.#bucketMs;
    const spanMs = Math.max(1000, nowMs - this.#startMs - oldestMs);
    return (this.#sums.reduce((sum, each) => sum + each, 0) * 1000) / spanMs;
  }

  #moveTo(nowMs: number): void {
    const bucket = Math.floor((nowMs - this.#startMs) / this.#bucketMs);
    if (bucket - this.#newest >= BUCKETS) this.#sums.fill(0);
    else for (let each = this.#newest + 1; each <= bucket; each++) this.#sums[each % BUCKETS] = 0;
    this.#newest = Math.max(this.#newest, bucket);
  }
}
