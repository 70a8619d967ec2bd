/** What passes on one connection of Kafka's protocol, as frames: which answer belongs to which request. */

/** Numbers of requests that tests name (https://kafka.apache.org/protocol#protocol_api_keys). */
export const API = {
  produce: 0,
  fetch: 1,
  listOffsets: 2,
  metadata: 3,
  offsetCommit: 8,
  offsetFetch: 9,
  findCoordinator: 10,
  joinGroup: 11,
  heartbeat: 12,
  leaveGroup: 13,
  syncGroup: 14,
  apiVersions: 18,
  createTopics: 19,
  initProducerId: 22,
  addPartitionsToTxn: 24,
  endTxn: 26,
} as const;

export interface SeenRequest {
  readonly api: number;
  readonly version: number;
  /** Requests of this kind on this connection, this one included. */
  readonly count: number;
}

/** An answer of the proxy's own, with this error code: `endTxn` only. */
export interface ForgedError {
  readonly errorCode: number;
}

/** What a request meets: it is let through, or the connection is cut or an error answered before the broker has it. */
export type RequestFate = 'pass' | 'cut' | ForgedError;

/**
 * What an answer meets: `withhold` drops it and keeps the connection; `cut` ends the connection in its place; an error
 * comes in its place.
 */
export type AnswerFate = 'pass' | 'cut' | 'withhold' | { readonly truncateTo: number } | ForgedError;

interface Frame {
  readonly request: SeenRequest;
  readonly correlationId: number;
  /** Its length included. */
  readonly bytes: Buffer;
}

const LENGTH_BYTES = 4;
/** An answer to a request that was never seen: there is none in the protocol. */
const UNASKED: SeenRequest = { api: -1, version: -1, count: 0 };

export class Frames {
  readonly #asked = new Map<number, SeenRequest>();
  readonly #counts = new Map<number, number>();
  readonly #requests = new FrameCutter();
  readonly #answers = new FrameCutter();

  /** Takes what the client sent; gives the requests that are whole by now. */
  requests(chunk: Buffer): Frame[] {
    return this.#requests.take(chunk).map((bytes) => {
      const api = bytes.readInt16BE(LENGTH_BYTES);
      const count = (this.#counts.get(api) ?? 0) + 1;
      this.#counts.set(api, count);
      const request = { api, version: bytes.readInt16BE(LENGTH_BYTES + 2), count };
      const correlationId = bytes.readInt32BE(LENGTH_BYTES + 4);
      this.#asked.set(correlationId, request);
      return { request, correlationId, bytes };
    });
  }

  /** Takes what the broker sent; gives the answers that are whole by now. */
  answers(chunk: Buffer): Frame[] {
    return this.#answers.take(chunk).map((bytes) => {
      const correlationId = bytes.readInt32BE(LENGTH_BYTES);
      const request = this.#asked.get(correlationId) ?? UNASKED;
      this.#asked.delete(correlationId);
      return { request, correlationId, bytes };
    });
  }
}

/** The answer to EndTxn that a broker would give with this error (versions 0 to 2 of the message: no tagged fields). */
export function forgeError({ request, correlationId }: Omit<Frame, 'bytes'>, { errorCode }: ForgedError): Buffer {
  if (request.api !== API.endTxn || request.version > 2) {
    throw new RangeError(`no answer to request ${request.api}, version ${request.version}, can be forged`);
  }
  const throttleMs = 0;
  const bytes = Buffer.alloc(LENGTH_BYTES + 10);
  bytes.writeInt32BE(bytes.length - LENGTH_BYTES, 0);
  bytes.writeInt32BE(correlationId, LENGTH_BYTES);
  bytes.writeInt32BE(throttleMs, LENGTH_BYTES + 4);
  bytes.writeInt16BE(errorCode, LENGTH_BYTES + 8);
  return bytes;
}

class FrameCutter {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the frame that is arriving, its length included. */
  #wanted = LENGTH_BYTES;

  take(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    while (this.#bytes >= this.#wanted) {
      const all = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      this.#chunks = [all];
      this.#wanted = LENGTH_BYTES + all.readInt32BE(0);
      if (this.#bytes < this.#wanted) break;
      frames.push(all.subarray(0, this.#wanted));
      this.#chunks = [all.subarray(this.#wanted)];
      this.#bytes -= this.#wanted;
      this.#wanted = LENGTH_BYTES;
    }
    return frames;
  }
}
