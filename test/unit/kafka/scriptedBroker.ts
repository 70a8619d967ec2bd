import { type AddressInfo, createServer, type Socket } from 'node:net';
import { WireReader, WireWriter } from '../../../src/kafka/wire.ts';

export const API = {
  produce: 0,
  metadata: 3,
  findCoordinator: 10,
  apiVersions: 18,
  initProducerId: 22,
  add: 24,
  end: 26,
};

/** What is done with a request: answered with an error code, carried out without an answer (`lost`), or answered well. */
export type Fault = number | 'lost' | null;

export interface SeenBatch {
  readonly partition: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly bytes: Buffer;
}

export interface Seen {
  readonly api: number;
  /** Produce: one for each partition of the request. */
  readonly batches?: readonly SeenBatch[];
  /** EndTxn. */
  readonly committed?: boolean;
  /** InitProducerId: who asks, -1 for nobody yet. */
  readonly currentEpoch?: number;
  /** AddPartitionsToTxn. */
  readonly partitions?: readonly number[];
}

const TOPIC = 'orders';
const PARTITIONS = 16;
const PRODUCER_ID = 2 ** 40 + 5;

/**
 * A broker that keeps no log and answers as it is told: refusals and lost answers that a real one shows on no demand. It
 * leads all 16 partitions of the topic `orders`, and coordinates all transactions.
 */
export class ScriptedBroker {
  readonly seen: Seen[] = [];
  readonly #server = createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  readonly #faults = new Map<number, Fault[]>();
  /** By request and partition, in place of the error code of the whole. */
  readonly #partitionCodes = new Map<string, number>();
  #epoch = 0;

  static async start(): Promise<ScriptedBroker> {
    const broker = new ScriptedBroker();
    await new Promise<void>((resolve) => broker.#server.listen(0, '127.0.0.1', resolve));
    return broker;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The next requests of this kind meet these faults, one each. */
  script(api: number, ...faults: Fault[]): void {
    this.#faults.set(api, faults);
  }

  /** Produce or AddPartitionsToTxn: from now on this partition meets this error. */
  refusePartition(api: number, partition: number, errorCode: number): void {
    this.#partitionCodes.set(`${api}/${partition}`, errorCode);
  }

  of(api: number): Seen[] {
    return this.seen.filter((request) => request.api === api);
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let received = Buffer.alloc(0);
    socket.on('error', () => {});
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
    request.int16(); // version
    const correlationId = request.int32();
    request.string(); // client id
    if (api === API.initProducerId) request.skipTaggedFields();
    const fault = this.#faults.get(api)?.shift() ?? null;
    const body = this.#carryOut(api, request, typeof fault === 'number' ? fault : 0);
    if (fault === 'lost') {
      socket.destroy();
      return;
    }
    const head = new WireWriter().int32(correlationId);
    if (api === API.initProducerId) head.noTaggedFields();
    const frame = Buffer.concat([head.toBuffer(), body.toBuffer()]);
    socket.write(Buffer.concat([new WireWriter().int32(frame.length).toBuffer(), frame]));
  }

  #carryOut(api: number, request: WireReader, errorCode: number): WireWriter {
    const answer = new WireWriter();
    switch (api) {
      case API.apiVersions: {
        const versions = [
          [API.produce, 8],
          [API.metadata, 7],
          [API.findCoordinator, 2],
          [API.initProducerId, 4],
          [API.add, 2],
          [API.end, 2],
        ] as const;
        return answer.int16(0).array(versions, ([key, version]) => answer.int16(key).int16(0).int16(version));
      }
      case API.metadata:
        return this.#metadata(answer);
      case API.findCoordinator:
        this.seen.push({ api });
        answer.int32(0).int16(errorCode).int16(-1).int32(1);
        return answer.string('127.0.0.1').int32(this.port);
      case API.initProducerId: {
        request.string(true);
        request.int32(); // time-out
        request.int64();
        this.seen.push({ api, currentEpoch: request.int16() });
        if (errorCode === 0) this.#epoch += 1;
        return answer.int32(0).int16(errorCode).int64(PRODUCER_ID).int16(this.#epoch).noTaggedFields();
      }
      case API.add: {
        this.#identity(request);
        const partitions = request.array(() => [request.string(), request.array(() => request.int32())] as const);
        const added = partitions.flatMap(([, numbers]) => numbers);
        this.seen.push({ api, partitions: added });
        return this.#perPartition(api, answer.int32(0), added, errorCode, () => {});
      }
      case API.end:
        this.#identity(request);
        this.seen.push({ api, committed: request.boolean() });
        return answer.int32(0).int16(errorCode);
      case API.produce: {
        request.string(); // transactional id
        request.view(2 + 4); // acks, time-out
        const topics = request.array(() => {
          request.string();
          return request.array(() => readBatch(request.int32(), request.bytes()));
        });
        const batches = topics.flat();
        this.seen.push({ api, batches });
        const produced = batches.map(({ partition }) => partition);
        const rest = (): unknown => answer.int64(0).int64(-1).int64(0).int32(0).int16(-1);
        return this.#perPartition(api, answer, produced, errorCode, rest).int32(0);
      }
      default:
        throw new Error(`the scripted broker knows no request ${api}`);
    }
  }

  #identity(request: WireReader): void {
    request.string();
    request.view(8 + 2);
  }

  #perPartition(
    api: number,
    answer: WireWriter,
    partitions: readonly number[],
    errorCode: number,
    rest: () => unknown,
  ): WireWriter {
    answer.int32(1).string(TOPIC);
    return answer.array(partitions, (partition) => {
      answer.int32(partition).int16(this.#partitionCodes.get(`${api}/${partition}`) ?? errorCode);
      rest();
    });
  }

  #metadata(answer: WireWriter): WireWriter {
    answer.int32(0).int32(1).int32(1).string('127.0.0.1').int32(this.port).int16(-1); // one broker without a rack
    answer.int16(-1).int32(1).int32(1).int16(0).string(TOPIC).boolean(false);
    return answer.array([...Array(PARTITIONS).keys()], (partition) => {
      answer.int16(0).int32(partition).int32(1).int32(0).int32(0).int32(0).int32(0);
    });
  }
}

function readBatch(partition: number, bytes: Buffer): SeenBatch {
  return {
    partition,
    producerId: Number(bytes.readBigInt64BE(43)),
    producerEpoch: bytes.readInt16BE(51),
    baseSequence: bytes.readInt32BE(53),
    bytes: Buffer.from(bytes),
  };
}
