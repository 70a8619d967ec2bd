/** How the broker is found that keeps the state of a transactional id or of a consumer group. */
import type { Api } from './protocol.ts';
import { WireWriter } from './wire.ts';

/** Kinds of coordinators, with their numbers in the protocol. */
const KEY_TYPES = { group: 0, 'transactional id': 1 } as const;

export interface CoordinatorKey {
  readonly kind: keyof typeof KEY_TYPES;
  readonly id: string;
}

export interface Coordinator {
  readonly errorCode: number;
  /** The broker's own words, or null. */
  readonly errorMessage: string | null;
  readonly host: string;
  readonly port: number;
}

export const findCoordinatorApi: Api<CoordinatorKey, Coordinator> = {
  name: 'FindCoordinator',
  key: 10,
  minVersion: 1,
  maxVersion: 2,
  flexibleFrom: 3,
  encode: ({ kind, id }) => new WireWriter().string(id).int8(KEY_TYPES[kind]),
  parse(reader) {
    reader.int32(); // throttle_time_ms
    const errorCode = reader.int16();
    const errorMessage = reader.nullableString();
    reader.int32(); // node_id
    return { errorCode, errorMessage, host: reader.string(), port: reader.int32() };
  },
};
