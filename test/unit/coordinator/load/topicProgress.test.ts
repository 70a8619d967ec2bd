import { expect, test } from 'vitest';
import type { SavedState } from '../../../../src/commit/types.ts';
import {
  formatPartitionProgress,
  isOwnKey,
  partitionKey,
  resumedOffsets,
} from '../../../../src/coordinator/load/topicProgress.ts';

const OWNER = { config: 'orders', target: 'copy' };
const PLACE = { topic: 't', partition: 3 };
const IDS = { t: 'id-1' };

function saved(offset: number | null, lastRun: string | null): SavedState {
  return {
    offsets: offset === null ? [] : [{ ...PLACE, offset }],
    others: [],
    topicIds: {},
    previousRun: lastRun === null ? null : { run: lastRun, manifestCrc32c: 0, root: null },
  };
}

function resumed(state: SavedState, progress: { base: number | null; since: string | null; topicId?: string | null }) {
  const value = formatPartitionProgress({ next: 120, run: 'R2', topicId: 'id-1', ...progress });
  const records = new Map([[partitionKey(OWNER, PLACE), { value, mark: '0/1' }]]);
  return [...resumedOffsets(OWNER, state, IDS, records).values()].map(({ offset }) => offset);
}

test('a run that died before it raised the saved offsets is gone on with', () => {
  expect(resumed(saved(100, 'R1'), { base: 100, since: 'R1' })).toEqual([120]);
  expect(resumed(saved(null, null), { base: null, since: null })).toEqual([120]);
});

test('what is saved counts once it was raised, whatever a person made of it', () => {
  expect(resumed(saved(120, 'R2'), { base: 100, since: 'R1' })).toEqual([]);
  expect(resumed(saved(100, 'R2'), { base: 100, since: 'R1' })).toEqual([]);
  expect(resumed(saved(null, 'R2'), { base: null, since: null })).toEqual([]);
});

test('offsets set by a person, and a topic made again, count for more than progress', () => {
  expect(resumed(saved(50, 'R1'), { base: 100, since: 'R1' })).toEqual([]);
  expect(resumed(saved(100, 'R1'), { base: 100, since: 'R1', topicId: 'id-0' })).toEqual([]);
});

test('keys of another target of the same config are not its own', () => {
  const isOwn = isOwnKey(OWNER);
  expect(isOwn(partitionKey(OWNER, PLACE))).toBe(true);
  expect(isOwn(partitionKey({ ...OWNER, target: 'copy2' }, PLACE))).toBe(false);
});

test('progress that cannot be read is named', () => {
  const key = partitionKey(OWNER, PLACE);
  const records = new Map([[key, { value: '{"next":"x"}', mark: '0/1' }]]);
  expect(() => resumedOffsets(OWNER, saved(1, null), IDS, records)).toThrow(key);
});
