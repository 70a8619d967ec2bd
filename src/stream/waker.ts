/** A sleep that others may end. */
export class Waker {
  #wake: (() => void) | null = null;
  #isDue: boolean = false;

  /** Ends the sleep that is under way, or the next one before it begins. */
  wake(): void {
    this.#isDue = true;
    this.#wake?.();
  }

  /** @returns True if it was ended early. */
  async sleep(ms: number): Promise<boolean> {
    if (!this.#isDue && ms > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = null;
    }
    const wasEarly = this.#isDue;
    this.#isDue = false;
    return wasEarly;
  }
}
