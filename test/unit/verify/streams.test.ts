import { beforeEach, describe, expect, test } from 'vitest';
import { listOwnFiles } from '../../../src/sinks/localFiles.ts';
import type { VerifyReport } from '../../../src/verify/types.ts';
import { verify } from '../../../src/verify/verify.ts';
import { MemoryDisk } from '../../helpers/memoryDisk.ts';
import { type Group, type ProcessOptions, StreamProcess } from '../../helpers/streamProcess.ts';
import { kindsOf } from './folders.ts';

const ROOT = '/target';
const CHAIN = `${ROOT}/_kafkaload/streams/nightly`;
let disk: MemoryDisk;
let group: Group;
let options: ProcessOptions;

beforeEach(() => {
  disk = new MemoryDisk();
  disk.makeFolders(ROOT);
  group = new Map();
  options = { fs: disk, root: ROOT, group, foldEntries: 3 };
});

function look(path = ROOT): Promise<VerifyReport> {
  const job = { path, deep: false, report: 'json', verbose: false, notes: [], saved: null } as const;
  return verify(job, new AbortController().signal, disk);
}

async function write(path: string, text: string | Buffer): Promise<void> {
  const file = await disk.open(path, 'w');
  await file.write(Buffer.from(text), 0, Buffer.from(text).length, null);
}

async function dataFiles(): Promise<string[]> {
  return (await disk.readdir(ROOT)).filter((name) => name.endsWith('.txt')).map((name) => `${ROOT}/${name}`);
}

/** Two processes, eight entries, six of them folded. */
async function eightEntries(): Promise<void> {
  const one = await StreamProcess.start(options, [0]);
  const two = await StreamProcess.start(options, [1]);
  for (let end = 2; end <= 8; end += 2) {
    await one.write({ 0: end });
    await two.write({ 1: end });
  }
  await one.close();
  await two.close();
}

const range = (partition: number, startOffset: number, endOffset: number) => ({
  topic: 'orders',
  partition,
  startOffset,
  endOffset,
});

describe('is clean', () => {
  test('of two processes that share a group, folded or not', async () => {
    await eightEntries();
    expect((await disk.readdir(`${CHAIN}/folded`)).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      '1-3.jsonl.gz',
      '4-6.jsonl.gz',
    ]);
    expect(await look()).toMatchObject({
      findings: [],
      remarks: [],
      configs: [
        {
          config: 'group nightly',
          isStream: true,
          runs: 8,
          files: 8,
          rows: 16,
          ranges: [range(0, 0, 8), range(1, 0, 8)],
        },
      ],
    });
  });

  test('of an exact file', async () => {
    const process = await StreamProcess.start({ ...options, file: 'all.txt' }, [0]);
    for (const end of [2, 4, 6, 8, 9]) await process.write({ 0: end });
    for (const path of [ROOT, `${ROOT}/all.txt`]) {
      expect(await look(path)).toMatchObject({ findings: [], remarks: [], configs: [{ files: 1, rows: 9 }] });
    }
    await write(`${ROOT}/all.txt`, 'other\n');
    expect(kindsOf(await look())).toEqual(['damaged-file']);
  });

  test.each([
    {
      to: 1,
      said: /the group's offset of orders\/0, 4, was set to 1 by hand .*offsets 1 to 3 of orders\/0 may be there twice/,
    },
    { to: 6, said: /the group's offset of orders\/0, 4, was set to 6 by hand .*lack offsets 4 to 5 of orders\/0/ },
  ])('of a group that a person set to $to, which it tells', async ({ to, said }) => {
    const process = await StreamProcess.start(options, [0]);
    await process.write({ 0: 2 });
    await process.write({ 0: 4 });
    group.set(0, to);
    await process.take([0]);
    await process.write({ 0: 8 });
    const report = await look();
    expect(report.findings).toEqual([]);
    expect(report.remarks.join()).toMatch(said);
  });

  test('of an entry that is not published yet, which it tells', async () => {
    const onStep = (name: string): void => {
      if (name === 'publish.begun') throw new Error('died');
    };
    const process = await StreamProcess.start({ ...options, onStep }, [0]);
    await expect(process.write({ 0: 2 })).rejects.toThrow('died');
    expect(await look()).toMatchObject({ findings: [], remarks: [expect.stringContaining('not visible yet')] });
    await StreamProcess.start(options, [0]);
    expect(await look()).toMatchObject({ findings: [], remarks: [] });
  });
});

describe('tells', () => {
  const entry = (number: number): string => `${CHAIN}/${number}.json`;

  test.each<{ what: string; act: () => Promise<void>; kinds: string[] }>([
    { what: 'an entry that is missing', act: () => disk.unlink(entry(7)), kinds: ['missing-entry', 'unnamed-file'] },
    { what: 'the last entry that is missing', act: () => disk.unlink(entry(8)), kinds: ['unnamed-file'] },
    {
      what: 'an entry that is none',
      act: () => write(entry(7), '{'),
      kinds: ['damaged-entry', 'missing-entry', 'unnamed-file'],
    },
    {
      what: 'an entry that was changed',
      act: async () => write(entry(7), (await disk.readFile(entry(7))).toString().replace('1970', '1971')),
      kinds: ['damaged-entry'],
    },
    {
      what: 'a pack that is missing',
      act: () => disk.unlink(`${CHAIN}/folded/4-6.jsonl.gz`),
      kinds: ['hole', 'missing-entry', 'unnamed-file'],
    },
    {
      what: 'a pack that is damaged',
      act: () => write(`${CHAIN}/folded/1-3.jsonl.gz`, 'x'),
      kinds: ['damaged-entry', 'missing-entry', 'unnamed-file'],
    },
    {
      what: 'a checkpoint that was changed',
      act: async () => {
        const path = `${CHAIN}/checkpoint.6.json`;
        await write(path, (await disk.readFile(path)).toString().replace('"next":6', '"next":5'));
      },
      kinds: ['damaged-entry'],
    },
    {
      what: 'a file that is gone',
      act: async () => disk.unlink((await dataFiles())[3] ?? ''),
      kinds: ['missing-file'],
    },
    {
      what: 'a file that was changed',
      act: async () => write((await dataFiles())[3] ?? '', '0:0\n'),
      kinds: ['damaged-file'],
    },
    {
      what: 'a file that is there twice',
      act: async () => write(`${ROOT}/copy.txt`, await disk.readFile((await dataFiles())[3] ?? '')),
      kinds: ['doubled-file'],
    },
  ])('$what', async ({ act, kinds }) => {
    await eightEntries();
    await act();
    expect(kindsOf(await look())).toEqual(kinds);
  });
});

test('files of a stream are not taken for those of a stranger, nor replaced', async () => {
  await eightEntries();
  expect(await listOwnFiles(disk, ROOT, 'orders')).toEqual([]);
  await write(`${ROOT}/stranger.txt`, '');
  await expect(listOwnFiles(disk, ROOT, 'orders')).rejects.toThrow('stranger.txt was not written by kafkaload');
});
