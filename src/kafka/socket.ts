/** A TCP or TLS connection as frames: a length of four bytes, then so many bytes. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TlsSettings } from '../config/kafkaSettings.ts';

export interface FrameHandlers {
  /** One whole frame without its length; a buffer of its own, until it is given back with `recycle`. */
  onFrame(frame: Buffer): void;
  /** Called once, when the connection has ended for whatever reason. */
  onEnd(error: Error): void;
}

/** Reused for every read of a plain connection: a chunk is copied into its frame at once and never kept. */
const READ_BUFFER_BYTES = 512 * 1024;
const LENGTH_BYTES = 4;
/** The largest answer: what was asked for may be exceeded by one record batch (KIP-74), which has at most this many bytes. */
const MAX_FRAME_BYTES = 1024 ** 3;
/** One answer is read while another arrives; larger ones, of a single huge batch, are not worth keeping. */
const MIN_RECYCLED_BYTES = 64 * 1024;
const MAX_SPARES = 2;
const MAX_SPARE_BYTES = 64 * 1024 ** 2;
/** Answers to one request differ by a few bytes: memory for one shall do for the next. */
const FRAME_STEP_BYTES = 64 * 1024;

/**
 * New memory for every answer costs page faults, and collections that external memory brings on. Shared by all connections
 * of a thread: it reads from one broker at a time, and each would keep its own.
 */
const spares: ArrayBufferLike[] = [];

export class FrameSocket {
  readonly #handlers: FrameHandlers;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthRead = 0;
  #frame: Buffer | null = null;
  #frameRead = 0;
  #socket: Socket | null = null;
  #ended = false;
  #onEnd: FrameHandlers['onEnd'] | null;

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
    this.#onEnd = (error) => handlers.onEnd(error);
  }

  /** Resolves when connected, after the TLS handshake where there is one; rejects with the system's error. */
  connect(host: string, port: number, tls: TlsSettings | null, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = tls ? this.#openTls(host, port, tls) : this.#openPlain(host, port);
      this.#socket = socket;
      const timer = setTimeout(() => {
        socket.destroy(Object.assign(new Error(`no connection within ${timeoutMs} ms`), { code: 'ETIMEDOUT' }));
      }, timeoutMs);
      socket.setNoDelay(true);
      socket.once(tls ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.on('error', (error) => {
        clearTimeout(timer);
        reject(error);
        this.#end(error);
      });
      socket.on('close', () => {
        clearTimeout(timer);
        const error = new Error('the connection was closed');
        reject(error);
        this.#end(error);
      });
    });
  }

  /** Pieces go out together, and must not change until the other side has answered or the connection has ended. */
  write(pieces: readonly Buffer[]): void {
    this.#socket?.cork();
    for (const piece of pieces) this.#socket?.write(piece);
    this.#socket?.uncork();
  }

  destroy(): void {
    this.#socket?.destroy();
  }

  /** Takes back the memory of a frame, which nobody may look at any more; `view` is any part of it. */
  recycle(view: Buffer): void {
    const { buffer } = view;
    if (buffer.byteLength < MIN_RECYCLED_BYTES || buffer.byteLength > MAX_SPARE_BYTES) return;
    spares.push(buffer);
    spares.sort((a, b) => a.byteLength - b.byteLength);
    // The smallest goes: at the end of a range an answer is short, and the next range begins with large ones.
    if (spares.length > MAX_SPARES) spares.shift();
  }

  #allocate(length: number): Buffer {
    if (length < MIN_RECYCLED_BYTES) return Buffer.allocUnsafeSlow(length);
    const index = spares.findIndex((spare) => spare.byteLength >= length);
    const [spare] = index < 0 ? [] : spares.splice(index, 1);
    if (spare) return Buffer.from(spare, 0, length);
    return Buffer.allocUnsafeSlow(Math.ceil(length / FRAME_STEP_BYTES) * FRAME_STEP_BYTES).subarray(0, length);
  }

  #openPlain(host: string, port: number): Socket {
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
      callback: (bytes: number, buffer: Uint8Array): boolean => {
        this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
        return true;
      },
    };
    return connectTcp({ host, port, onread });
  }

  #openTls(host: string, port: number, tls: TlsSettings): Socket {
    const socket = connectTls({
      host,
      port,
      // A name for SNI; an address is none (RFC 6066, section 3).
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
      ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
      rejectUnauthorized: tls.verify,
      ...(tls.checkHostName ? {} : { checkServerIdentity: () => undefined }),
    });
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    return socket;
  }

  #take(chunk: Buffer): void {
    for (let position = 0; position < chunk.length && !this.#ended; ) {
      if (this.#frame === null) {
        position += this.#takeLength(chunk, position);
      } else {
        const bytes = Math.min(chunk.length - position, this.#frame.length - this.#frameRead);
        chunk.copy(this.#frame, this.#frameRead, position, position + bytes);
        this.#frameRead += bytes;
        position += bytes;
      }
      if (this.#frame !== null && this.#frameRead === this.#frame.length) {
        const frame = this.#frame;
        this.#frame = null;
        this.#handlers.onFrame(frame);
      }
    }
  }

  #takeLength(chunk: Buffer, position: number): number {
    const bytes = Math.min(chunk.length - position, LENGTH_BYTES - this.#lengthRead);
    chunk.copy(this.#length, this.#lengthRead, position, position + bytes);
    this.#lengthRead += bytes;
    if (this.#lengthRead === LENGTH_BYTES) {
      const length = this.#length.readInt32BE(0);
      this.#lengthRead = 0;
      if (length < 0 || length > MAX_FRAME_BYTES) {
        this.#socket?.destroy(new Error(`an answer claims ${length} bytes; at most ${MAX_FRAME_BYTES} are accepted`));
        this.#ended = true;
        return chunk.length;
      }
      this.#frame = this.#allocate(length);
      this.#frameRead = 0;
    }
    return bytes;
  }

  #end(error: Error): void {
    this.#ended = true;
    const tell = this.#onEnd;
    this.#onEnd = null;
    tell?.(error);
  }
}
