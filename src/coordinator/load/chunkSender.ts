import type { MessagePort } from 'node:worker_threads';
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import { toPlainError } from '../../errors.ts';
import { bytesOf, type CreditMessage, type UnitEnd, type UnitMessage } from './chunks.ts';

/** The worker's end of a unit. */
export class ChunkSender {
  readonly #port: MessagePort;
  #credit: number;
  #wake: (() => void) | null = null;

  constructor(port: MessagePort, credit: number) {
    this.#port = port;
    this.#credit = credit;
    port.on('message', (message: CreditMessage) => {
      this.#credit += message.credit;
      this.#wake?.();
    });
  }

  /** Waits until the coordinator takes one more chunk, and hands it over: the bytes are gone afterwards. */
  async send(batches: readonly EncodedRecordBatch[], rows: number, next: number): Promise<void> {
    while (this.#credit === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#credit -= 1;
    this.#post(
      { kind: 'chunk', chunk: { batches, rows, bytes: bytesOf(batches), next } },
      batches.map(({ bytes }) => bytes.buffer),
    );
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
