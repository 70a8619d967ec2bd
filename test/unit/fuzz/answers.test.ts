import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findCoordinatorApi } from '../../../src/kafka/coordinatorProtocol.ts';
import { fetchApi } from '../../../src/kafka/fetch.ts';
import {
  addOffsetsToTxnApi,
  offsetCommitApi,
  offsetFetchApi,
  txnOffsetCommitApi,
} from '../../../src/kafka/groupOffsetsProtocol.ts';
import {
  describeGroupsApi,
  heartbeatApi,
  joinGroupApi,
  leaveGroupApi,
  syncGroupApi,
} from '../../../src/kafka/groupProtocol.ts';
import { produceApi } from '../../../src/kafka/produce.ts';
import {
  type Api,
  apiVersionsApi,
  describeLogDirsApi,
  listOffsetsApi,
  metadataApi,
} from '../../../src/kafka/protocol.ts';
import { addPartitionsToTxnApi, endTxnApi, initProducerIdApi } from '../../../src/kafka/transactionProtocol.ts';
import { WireReader, WireWriter } from '../../../src/kafka/wire.ts';
import { amongNeighbours, HANG_MS, hostile, largestAllocation, outcomeOf, runs } from './hostile.ts';

const APIS: readonly Api<never, unknown>[] = [
  apiVersionsApi,
  metadataApi,
  listOffsetsApi,
  describeLogDirsApi,
  fetchApi,
  produceApi,
  findCoordinatorApi,
  initProducerIdApi,
  addPartitionsToTxnApi,
  endTxnApi,
  joinGroupApi,
  syncGroupApi,
  heartbeatApi,
  leaveGroupApi,
  describeGroupsApi,
  offsetFetchApi,
  offsetCommitApi,
  addOffsetsToTxnApi,
  txnOffsetCommitApi,
];

/** Answers as brokers write them: arrays with something in them, so that damage comes to all depths. */
const VALID: readonly Buffer[] = [
  metadata(7),
  metadata(12),
  offsets(),
  logDirs(),
  fetched(),
  produced(),
  versions(),
  new WireWriter().int32(0).int16(0).string('').int32(1).string('127.0.0.1').int32(9092).toBuffer(),
  new WireWriter().int32(0).int16(0).int64(4711).int16(3).noTaggedFields().toBuffer(),
  joined(),
  described(),
  groupOffsets(),
];

function versions(): Buffer {
  const writer = new WireWriter().int16(0);
  return writer.array([0, 1, 3, 18], (key) => writer.int16(key).int16(0).int16(9)).toBuffer();
}

function metadata(version: 7 | 12): Buffer {
  const flexible = version === 12;
  const writer = new WireWriter().int32(0);
  const end = (): WireWriter => (flexible ? writer.noTaggedFields() : writer);
  const broker = (id: number): void => {
    writer.int32(id).string('host', flexible).int32(9092).string('rack', flexible);
    end();
  };
  const partition = (id: number): void => {
    writer.int16(0).int32(id).int32(1).int32(0);
    for (let list = 0; list < 3; list++) writer.array([1, 2], (node) => writer.int32(node), flexible);
    end();
  };
  const topic = (name: string): void => {
    writer.int16(0).string(name, flexible);
    if (flexible) writer.nilUuid();
    writer.boolean(false).array([0, 1], partition, flexible);
    if (flexible) writer.int32(0);
    end();
  };
  if (flexible) writer.noTaggedFields();
  writer.array([1, 2], broker, flexible).string('cluster', flexible).int32(1).array(['a', 'b'], topic, flexible);
  return end().toBuffer();
}

function offsets(): Buffer {
  const writer = new WireWriter().int32(0);
  writer.array(['a'], (topic) => {
    writer.string(topic).array([0, 1], (partition) => {
      writer.int32(partition).int16(0).int64(-1).int64(12).int32(0);
    });
  });
  return writer.toBuffer();
}

function logDirs(): Buffer {
  const writer = new WireWriter().int32(0);
  writer.array(['/data'], (folder) => {
    writer.int16(0).string(folder);
    writer.array(['a'], (topic) => {
      writer.string(topic).array([0], (partition) => writer.int32(partition).int64(99).int64(0).boolean(false));
    });
  });
  return writer.toBuffer();
}

function fetched(): Buffer {
  const writer = new WireWriter().int32(0).int16(0).int32(0).int32(1).string('a').int32(1).int32(0).int16(0);
  writer.int64(10).int64(10).int64(0);
  writer.array([3, 4], (id) => writer.int64(id).int64(2));
  return writer.int32(-1).bytes(Buffer.from('no batch at all')).toBuffer();
}

function produced(): Buffer {
  const writer = new WireWriter();
  writer.array(['a'], (topic) => {
    writer.string(topic).array([0], (partition) => {
      writer.int32(partition).int16(2).int64(0).int64(0).int64(0);
      writer.array([0], (index) => writer.int32(index).string('why')).string('because');
    });
  });
  return writer.int32(0).toBuffer();
}

function joined(): Buffer {
  const writer = new WireWriter().int32(0).int16(0).int32(7).string('sticky').string('a').string('b');
  return writer
    .array(['a', 'b'], (id) => writer.string(id).nullableString(null).bytes(Buffer.from('topics')))
    .toBuffer();
}

function described(): Buffer {
  const writer = new WireWriter().int32(0).int32(1).int16(0);
  writer.string('group').string('Stable').string('consumer').string('range');
  return writer
    .array(['a', 'b'], (id) => {
      writer.string(id).string('client').string('/127.0.0.1').bytes(Buffer.from('x')).bytes(Buffer.alloc(0));
    })
    .toBuffer();
}

function groupOffsets(): Buffer {
  const writer = new WireWriter().int32(0);
  writer.array(
    ['a', 'b'],
    (topic) => {
      writer.string(topic, true);
      writer.array(
        [0, 1],
        (id) => writer.int32(id).int64(12).int32(-1).string('', true).int16(0).noTaggedFields(),
        true,
      );
      writer.noTaggedFields();
    },
    true,
  );
  return writer.int16(0).noTaggedFields().toBuffer();
}

/** The connection makes one clear error of it, and hangs up. */
const isDocumented = (error: unknown): boolean => error instanceof RangeError;

test(
  'any answer to any request, in any version we speak, is read within its bytes or refused',
  async () => {
    await fc.assert(
      fc.asyncProperty(hostile(...VALID), fc.constantFrom(...APIS), fc.nat(), async (bytes, api, any) => {
        const version = api.minVersion + (any % (api.maxVersion - api.minVersion + 1));
        const parse = (view: Buffer) => async () => {
          const reader = new WireReader(view);
          if (version >= api.flexibleFrom) reader.skipTaggedFields();
          return JSON.stringify(api.parse(reader, version), (_, value) => (value instanceof Map ? [...value] : value));
        };
        const [first, second] = [amongNeighbours(bytes, 0x00), amongNeighbours(bytes, 0xff)];
        let outcome: unknown;
        const largest = await largestAllocation(async () => {
          outcome = await outcomeOf(parse(first.view), isDocumented);
        });
        expect(largest).toBeLessThanOrEqual(bytes.length);
        expect(outcome).toEqual(await outcomeOf(parse(second.view), isDocumented));
        expect([first.areUntouched(), second.areUntouched()]).toEqual([true, true]);
      }),
      runs(5_000),
    );
  },
  HANG_MS,
);

test(
  'any order of reads stays within the bytes',
  async () => {
    type Read = (reader: WireReader) => unknown;
    const reads: readonly Read[] = [
      (reader) => reader.int8(),
      (reader) => reader.int16(),
      (reader) => reader.int32(),
      (reader) => reader.int64(),
      (reader) => reader.boolean(),
      (reader) => reader.uvarint(),
      (reader) => reader.nullableString(),
      (reader) => reader.string(true),
      (reader) => reader.bytes().toString('hex'),
      (reader) => reader.uuid(),
      (reader) => reader.array(() => reader.int8()),
      (reader) => reader.array(() => reader.string(true), true),
      (reader) => reader.skipTaggedFields(),
    ];
    await fc.assert(
      fc.asyncProperty(
        hostile(...VALID),
        fc.array(fc.constantFrom(...reads), { minLength: 1, maxLength: 8 }),
        async (bytes, order) => {
          const readAll = (neighbour: number) =>
            outcomeOf(() => {
              const reader = new WireReader(amongNeighbours(bytes, neighbour).view);
              return order.map((read) => [read(reader), reader.remaining]);
            }, isDocumented);
          expect(await readAll(0x00)).toEqual(await readAll(0xff));
        },
      ),
      runs(3_000),
    );
  },
  HANG_MS,
);
