/** Sleeps that can be ended early. One that is woken while nobody sleeps does not sleep the next time. */
export class Waiter {
  #wake: (() => void) | null = null;
  #isWoken: boolean = false;

  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  /** Until the time is up, or something wakes it. Without a time: until something does. */
  async sleep(ms?: number): Promise<void> {
    if (!this.#isWoken) {
      await new Promise<void>((resolve) => {
        const timer = ms === undefined ? null : setTimeout(resolve, ms);
        this.#wake = () => {
          if (timer) clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#wake = null;
    this.#isWoken = false;
  }
}
