/** Waits for a state that others change, and say so. */
export class Condition {
  /** Ends every wait. */
  readonly #signal: AbortSignal;
  #waiting: (() => void)[] = [];

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.changed());
  }

  changed(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  /** @returns False: the time was up before it held, or the signal has ended the wait. */
  async until(holds: () => boolean, timeoutMs?: number): Promise<boolean> {
    let isLate: boolean = false;
    const expire = (): void => {
      isLate = true;
      this.changed();
    };
    const timer = timeoutMs === undefined ? null : setTimeout(expire, timeoutMs);
    try {
      while (!holds()) {
        if (isLate || this.#signal.aborted) return false;
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
      return true;
    } finally {
      if (timer) clearTimeout(timer);
    }
  }

  /** A wait that the signal ends. */
  async pause(ms: number): Promise<void> {
    await this.until(() => false, ms);
  }
}
