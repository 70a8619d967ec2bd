import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';

/** A header as it is sent: values are hexadecimal text, null is a header without a value. */
export type ScriptHeader = readonly [key: string, value: string | null];

/** One message of a script. Keys and values are hexadecimal text; null is absent, '' is empty. */
export interface ScriptMessage {
  /** -1: the client places the message. */
  readonly partition: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly ScriptHeader[];
}

/**
 * Writes what a producer shall do, as lines of JSON that the Java and the Python producer both carry out
 * (java/RecordingProducer.java, python/recording_producer.py). Messages are numbered from `firstNumber`; the producers
 * record the acknowledgement of each by this number, so what was produced is known without reading the topic.
 */
export class ScriptWriter {
  readonly #stream;
  #number: number;
  #buffered = '';

  constructor(path: string, firstNumber = 0) {
    this.#stream = createWriteStream(path);
    this.#number = firstNumber;
  }

  /** Number the next message gets. */
  get nextNumber(): number {
    return this.#number;
  }

  /** @param batchBytes Size at which a record batch is closed; 1 gives a batch for each message. */
  open(producer: string, transactional: boolean, batchBytes: number): void {
    this.#write({ op: 'open', producer, transactional, batchBytes });
  }

  begin(producer: string): void {
    this.#write({ op: 'begin', producer });
  }

  send(producer: string, message: ScriptMessage): void {
    this.#write({ op: 'send', producer, n: this.#number++, ...message });
  }

  flush(producer: string): void {
    this.#write({ op: 'flush', producer });
  }

  commit(producer: string): void {
    this.#write({ op: 'commit', producer });
  }

  abort(producer: string): void {
    this.#write({ op: 'abort', producer });
  }

  /** Waits until the file takes more; call it now and then in long scripts. */
  async drain(): Promise<void> {
    const text = this.#buffered;
    this.#buffered = '';
    if (text !== '' && !this.#stream.write(text)) await once(this.#stream, 'drain');
  }

  async close(): Promise<void> {
    await this.drain();
    this.#stream.end();
    await finished(this.#stream);
  }

  #write(action: object): void {
    this.#buffered += `${JSON.stringify(action)}\n`;
  }
}

export function toHex(text: string): string {
  return Buffer.from(text, 'utf8').toString('hex');
}
