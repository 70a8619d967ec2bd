/**
 * A broker of the tests that keeps one topic and speaks just enough to be read: ApiVersions, Metadata, ListOffsets and
 * Fetch. It is honest until `hostility` says otherwise.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { WireReader, WireWriter } from '../../src/kafka/wire.ts';
import { API } from './proxyFrames.ts';

export const HOSTILE_TOPIC = 'orders';

export interface FetchAnswer {
  readonly topic?: string;
  readonly partition?: number;
  readonly throttleMs?: number;
  readonly errorCode?: number;
  readonly highWatermark?: number;
  readonly lastStableOffset?: number;
  readonly preferredReadReplica?: number;
  readonly records?: Buffer;
}

export interface Hostility {
  /** Of the partition, or of the whole answer where it knows none (ApiVersions); by request. */
  readonly errorCodes?: Readonly<Record<number, number>>;
  /** Fetch: of the whole answer. */
  readonly fetchError?: number;
  /** So many answers with these error codes, then honest ones; default: all. */
  readonly errorTimes?: number;
  readonly brokers?: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[];
  readonly partitions?: readonly { readonly partition: number; readonly leader: number }[];
  /** What ListOffsets says for a partition and time; null leaves the partition out. */
  readonly listOffset?: (partition: number, timestampMs: number) => number | null;
  readonly fetch?: (fetchOffset: number, version: number) => FetchAnswer;
  /** The body of an answer, behind its correlation id. */
  readonly body?: (api: number, body: Buffer) => Buffer;
  /** A whole answer, its length included; null: none is given. */
  readonly frame?: (api: number, frame: Buffer) => Buffer | null;
}

const VERSIONS = [
  [API.fetch, 4, 11],
  [API.listOffsets, 2, 4],
  [API.metadata, 7, 7],
  [API.apiVersions, 0, 0],
] as const;

export class HostileBroker {
  hostility: Hostility = {};
  /** Answers given, by request. */
  readonly answers = new Map<number, number>();
  readonly #server = createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  readonly #batches: readonly { readonly nextOffset: number; readonly bytes: Buffer }[];
  readonly #endOffset: number;
  #errors = 0;

  private constructor(batches: readonly Buffer[]) {
    this.#batches = batches.map((bytes) => ({
      nextOffset: Number(bytes.readBigInt64BE(0)) + bytes.readInt32BE(23) + 1,
      bytes,
    }));
    this.#endOffset = this.#batches.at(-1)?.nextOffset ?? 0;
  }

  /** @param batches The log of each partition, from offset 0. */
  static async start(batches: readonly Buffer[], hostility: Hostility = {}): Promise<HostileBroker> {
    const broker = new HostileBroker(batches);
    broker.hostility = hostility;
    broker.#server.listen(0, '127.0.0.1');
    await once(broker.#server, 'listening');
    return broker;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let received = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const end = 4 + received.readInt32BE(0);
        this.#answer(new WireReader(received.subarray(4, end)), socket);
        received = received.subarray(end);
      }
    });
  }

  #answer(request: WireReader, socket: Socket): void {
    const api = request.int16();
    const version = request.int16();
    const correlationId = request.int32();
    request.string(); // client id
    this.answers.set(api, (this.answers.get(api) ?? 0) + 1);
    const honest = this.#body(api, version, request).toBuffer();
    const body = this.hostility.body?.(api, honest) ?? honest;
    const head = new WireWriter()
      .int32(4 + body.length)
      .int32(correlationId)
      .toBuffer();
    const frame = Buffer.concat([head, body]);
    const { frame: alter } = this.hostility;
    const sent = alter ? alter(api, frame) : frame;
    if (sent && !socket.destroyed) socket.write(sent);
  }

  #errorOf(code: number | undefined): number {
    if (code === undefined || this.#errors >= (this.hostility.errorTimes ?? Number.POSITIVE_INFINITY)) return 0;
    this.#errors += 1;
    return code;
  }

  #body(api: number, version: number, request: WireReader): WireWriter {
    const answer = new WireWriter();
    const errorCode = this.#errorOf(this.hostility.errorCodes?.[api]);
    switch (api) {
      case API.apiVersions:
        return answer
          .int16(errorCode)
          .array(VERSIONS, ([key, least, most]) => answer.int16(key).int16(least).int16(most));
      case API.metadata:
        return this.#metadata(answer, errorCode);
      case API.listOffsets:
        return this.#listOffsets(answer, version, request, errorCode);
      case API.fetch:
        return this.#fetch(answer, version, request, errorCode);
      default:
        throw new Error(`the hostile broker knows no request ${api}`);
    }
  }

  #metadata(answer: WireWriter, errorCode: number): WireWriter {
    const brokers = this.hostility.brokers ?? [{ nodeId: 1, host: '127.0.0.1', port: this.port }];
    const partitions = this.hostility.partitions ?? [{ partition: 0, leader: 1 }];
    answer.int32(0);
    answer.array(brokers, ({ nodeId, host, port }) => answer.int32(nodeId).string(host).int32(port).int16(-1));
    answer.int16(-1).int32(1); // no cluster id, controller
    answer.int32(1).int16(errorCode).string(HOSTILE_TOPIC).boolean(false);
    return answer.array(partitions, ({ partition, leader }) => {
      answer.int16(0).int32(partition).int32(leader).int32(0).int32(0).int32(0).int32(0);
    });
  }

  #listOffsets(answer: WireWriter, version: number, request: WireReader, errorCode: number): WireWriter {
    request.view(4 + 1 + 4); // replica, isolation level, one topic
    request.string();
    const asked = request.array(() => {
      const partition = request.int32();
      if (version >= 4) request.int32();
      return { partition, timestampMs: request.int64() };
    });
    const listed = asked.flatMap(({ partition, timestampMs }) => {
      const honest = timestampMs === -2 ? 0 : this.#endOffset;
      const offset = this.hostility.listOffset ? this.hostility.listOffset(partition, timestampMs) : honest;
      return offset === null ? [] : [{ partition, offset }];
    });
    answer.int32(0).int32(1).string(HOSTILE_TOPIC);
    return answer.array(listed, ({ partition, offset }) => {
      answer.int32(partition).int16(errorCode).int64(-1).int64(offset);
      if (version >= 4) answer.int32(-1);
    });
  }

  #fetch(answer: WireWriter, version: number, request: WireReader, errorCode: number): WireWriter {
    request.view(4 + 4 + 4 + 4 + 1); // replica, wait, least and most bytes, isolation level
    if (version >= 7) request.view(4 + 4);
    request.view(4);
    request.string();
    request.view(4 + 4); // one partition, its number
    if (version >= 9) request.int32();
    const fetchOffset = request.int64();
    const told = this.hostility.fetch?.(fetchOffset, version) ?? {};
    const kept = this.#batches.filter(({ nextOffset }) => nextOffset > fetchOffset).slice(0, 2);
    const records = told.records ?? (errorCode === 0 ? Buffer.concat(kept.map(({ bytes }) => bytes)) : Buffer.alloc(0));
    const highWatermark = told.highWatermark ?? this.#endOffset;
    answer.int32(told.throttleMs ?? 0);
    if (version >= 7) answer.int16(this.#errorOf(this.hostility.fetchError)).int32(0);
    answer
      .int32(1)
      .string(told.topic ?? HOSTILE_TOPIC)
      .int32(1)
      .int32(told.partition ?? 0);
    answer.int16(told.errorCode ?? errorCode).int64(highWatermark);
    answer.int64(told.lastStableOffset ?? highWatermark);
    if (version >= 5) answer.int64(0);
    answer.int32(0); // aborted transactions
    if (version >= 11) answer.int32(told.preferredReadReplica ?? -1);
    return answer.bytes(records);
  }
}
