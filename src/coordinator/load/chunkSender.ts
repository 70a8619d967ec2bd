import type { MessagePort } from 'node:worker_threads';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import { OffloadError, toPlainError } from '../../errors.ts';
import { passStep } from '../../steps.ts';
import { bytesOf, type CreditMessage, type UnitEnd, type UnitMessage } from './chunks.ts';

/** The worker's end of a unit. */
export class ChunkSender {
  readonly #port: MessagePort;
  readonly #stop = new AbortController();
  #credit: number;
  #wake: (() => void) | null = null;

  constructor(port: MessagePort, credit: number) {
    this.#port = port;
    this.#credit = credit;
    port.on('message', (message: CreditMessage) => {
      if (message.kind === 'credit') this.#credit += message.credit;
      else this.#stop.abort(new OffloadError('INTERNAL', 'the run is stopping'));
      this.#wake?.();
    });
  }

  /** Aborts when the coordinator wants no more: the unit is to be left at once. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /**
   * Waits until the coordinator takes one more chunk, and hands it over: the bytes are gone afterwards.
   *
   * @throws The reason of `signal`.
   */
  async send(batches: readonly EncodedRecordBatch[], rows: number, next: number): Promise<void> {
    while (this.#credit === 0 && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.signal.throwIfAborted();
    this.#credit -= 1;
    this.#post(
      { kind: 'chunk', chunk: { batches, rows, bytes: bytesOf(batches), next } },
      batches.map(({ bytes }) => bytes.buffer),
    );
    passStep('load.chunkEncoded');
  }

  end(end: UnitEnd): void {
    this.#post({ kind: 'end', end });
  }

  fail(error: unknown): void {
    this.#post({ kind: 'failed', error: toPlainError(error) });
  }

  close(): void {
    this.#port.close();
  }

  #post(message: UnitMessage, buffers: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, buffers);
  }
}
