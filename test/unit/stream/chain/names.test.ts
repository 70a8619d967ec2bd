import { describe, expect, test } from 'vitest';
import {
  groupFolderName,
  parseCheckpointName,
  parseEntryName,
  parsePackName,
} from '../../../../src/sinks/chainNames.ts';

describe('the folder of a group', () => {
  test.each([
    { group: 'nightly-orders_v1.2', name: 'nightly-orders_v1.2' },
    { group: 'a/b', name: 'a%2Fb' },
    { group: 'a%2Fb', name: 'a%252Fb' },
    { group: '..', name: '%2E.' },
    { group: '.hidden', name: '%2Ehidden' },
    { group: 'Ångström 1', name: '%C3%85ngstr%C3%B6m%201' },
    { group: 'a~b', name: 'a%7Eb' },
    { group: '日本', name: '%E6%97%A5%E6%9C%AC' },
    { group: 'x'.repeat(150), name: 'x'.repeat(150) },
  ])('$group', ({ group, name }) => {
    expect(groupFolderName(group)).toBe(name);
  });

  test('of long ids the beginning is shown, and they stay apart', () => {
    const [one, other] = ['a', 'b'].map((end) => groupFolderName(`${'é'.repeat(200)}${end}`));
    expect(one).toMatch(/^(%C3%A9){16}%C3%~[0-9a-f]{64}$/);
    expect(other).not.toBe(one);
    expect(one?.length).toBe(165);
  });
});

test('only names as the chain makes them are its own', () => {
  expect(['1.json', '1000.json', '0.json', '01.json', 'x.json', '1.json.tmp', '-1.json'].map(parseEntryName)).toEqual([
    1,
    1000,
    null,
    null,
    null,
    null,
    null,
  ]);
  expect(['checkpoint.1000.json', 'checkpoint.json', 'checkpoint.0.json'].map(parseCheckpointName)).toEqual([
    1000,
    null,
    null,
  ]);
  expect(['1-1000.jsonl.gz', '5-4.jsonl.gz', '1-.jsonl.gz'].map(parsePackName)).toEqual([
    { first: 1, last: 1000 },
    null,
    null,
  ]);
});
