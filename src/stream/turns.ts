/** Who may touch positions: the loop, or the group that takes partitions away; never both. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #abandon: AbortController | null = null;

  /** Runs `act` when all that came before has ended. @param act Is given a signal that asks it to leave what it does. */
  take<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => {
      const controller = new AbortController();
      this.#abandon = controller;
      try {
        return await act(controller.signal);
      } finally {
        if (this.#abandon === controller) this.#abandon = null;
      }
    };
    const result = this.#last.then(run);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Asks whoever is at it to leave it. Nothing is under way: does nothing. */
  abandon(reason: unknown): void {
    this.#abandon?.abort(reason);
  }
}
