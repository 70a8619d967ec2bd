import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { ProgramResult } from '../helpers/cache.ts';
import { runCommand } from '../helpers/command.ts';
import { produce } from '../helpers/producers.ts';
import { ScriptWriter, toHex } from '../helpers/script.ts';
import { randomName } from '../helpers/topics.ts';
import { type OffloadJob, type OffsetsMode, slow, sorted, Workspace } from '../helpers/workspace.ts';

/** `kafkaload sample` by the compiled command on a real broker: which rows it shows, and that it changes nothing. */

interface Shown {
  readonly topics: readonly string[];
  readonly messages: number;
  readonly schema: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[];
  readonly rows: readonly Record<string, unknown>[];
}

const FIELDS = ['value as STRING', 'partition as INT', 'offset as LONG'];
let work: Workspace;
/** Ten messages in partition 0, two in partition 1, none in partition 2. */
let uneven: string;

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
  uneven = await work.topics.create('sample', { partitions: 3 });
  await send(uneven, (script) => {
    for (let id = 0; id < 12; id++) {
      const value = JSON.stringify({ id, name: `é "${id}"`, price: id / 2 });
      script.send('p', { ...MESSAGE, partition: id < 10 ? 0 : 1, value: toHex(value) });
    }
  });
});

afterAll(() => work.close());

const MESSAGE = { partition: 0, timestamp: 1_700_000_000_000, key: null, headers: [] };

async function send(
  topic: string,
  write: (script: ScriptWriter) => void,
  isTransactional = false,
  batchBytes = 20_000,
): Promise<void> {
  const path = join(work.path, randomName('script'));
  const script = new ScriptWriter(`${path}.jsonl`);
  script.open('p', isTransactional, batchBytes);
  write(script);
  await script.close();
  const { bootstrapServers } = work;
  const paths = { scriptPath: `${path}.jsonl`, recordPath: `${path}.csv` };
  await produce('librdkafka', { bootstrapServers, topic, codec: 'lz4', ...paths });
}

function jobOf(
  topic: string,
  entry: Readonly<Record<string, unknown>> = {},
  mode: OffsetsMode = 'FILE',
): Promise<OffloadJob> {
  return work.job({ topic, mode, entry: { fields: FIELDS, ...entry } });
}

function sample(job: OffloadJob, ...more: string[]): Promise<ProgramResult> {
  return runCommand(['sample', '--conf', job.confPath, '--config', job.config, ...more], { cwd: job.folder });
}

/** A sample that must exit 0, say nothing on stderr, and leave everything as it was. */
async function shown(job: OffloadJob, ...more: string[]): Promise<Shown> {
  const before = await job.snapshot();
  const { code, stdout, stderr } = await sample(job, '--report', 'json', ...more);
  expect([code, stderr]).toEqual([0, '']);
  expect(await job.snapshot()).toEqual(before);
  return JSON.parse(stdout) as Shown;
}

const offsetsOf = ({ rows }: Shown) => rows.map(({ partition, offset }) => `${partition}/${offset}`);

describe('which messages', () => {
  test('the last of each partition; what a short one has not goes to a longer one', async () => {
    const found = await shown(await jobOf(uneven, {}, 'STREAM'), '--limit', '7');
    expect(offsetsOf(found)).toEqual(['0/5', '0/6', '0/7', '0/8', '0/9', '1/0', '1/1']);
    expect(found.messages).toBe(7);
    expect(found.rows[0]?.value).toBe('{"id":5,"name":"é \\"5\\"","price":2.5}');
    expect(found.schema).toEqual([
      { name: 'value', type: 'VARCHAR', nullable: true },
      { name: 'partition', type: 'INTEGER', nullable: false },
      { name: 'offset', type: 'BIGINT', nullable: false },
    ]);
  });

  test('all where there are fewer; of the longest partition where there is room for one', async () => {
    const job = await jobOf(uneven, { maxRead: 1, accessOptions: { startingOffsets: 'latest' } });
    expect((await shown(job)).messages).toBe(12);
    expect(offsetsOf(await shown(job, '--limit', '1'))).toEqual(['0/9']);
  });

  test('those before aborted ones and markers of transactions, as far back as they are', async () => {
    const topic = await work.topics.create('sample-aborted', { partitions: 2 });
    const write = (script: ScriptWriter): void => {
      const transaction = (end: 'commit' | 'abort', partition: number, count: number): void => {
        script.begin('p');
        for (let row = 0; row < count; row++)
          script.send('p', { ...MESSAGE, partition, value: toHex(`${end} ${row}`) });
        script[end]('p');
      };
      transaction('commit', 0, 3);
      transaction('commit', 0, 1);
      for (const count of [300, 1, 40]) transaction('abort', 0, count);
      transaction('abort', 1, 5);
    };
    await send(topic, write, true, 1_000);
    const job = await jobOf(topic);
    const found = await shown(job, '--limit', '3');
    expect(offsetsOf(found)).toEqual(['0/1', '0/2', '0/4']);
    expect(found.rows.map(({ value }) => value)).toEqual(['commit 1', 'commit 2', 'commit 0']);
    // Of the 347 offsets behind them the last is a marker; partition 1 ends with one, too.
    const all = await shown(job, '--limit', '4', '--options', 'isolation.level=read_uncommitted');
    expect(all.rows.map(({ value }) => value)).toEqual(['abort 38', 'abort 39', 'abort 3', 'abort 4']);
  });

  test('of several topics, and of a topic without an entry', async () => {
    const other = await work.topics.create('sample-other');
    await work.send(other, 1);
    const subscribe = `subscribe="${sorted([uneven, other]).join(',')}"`;
    const fields = ['topic as STRING', 'partition as INT', 'offset as LONG'];
    const both = await sample(
      await jobOf(uneven, { fields }),
      '--limit',
      '3',
      '--report',
      'json',
      '--options',
      subscribe,
    );
    const found = JSON.parse(both.stdout) as Shown;
    expect(found.topics).toEqual(sorted([uneven, other]));
    expect(new Set(found.rows.map(({ topic, partition, offset }) => `${topic}/${partition}/${offset}`))).toEqual(
      new Set([`${uneven}/0/9`, `${uneven}/1/1`, `${other}/0/0`]),
    );
    const options = `kafka.bootstrap.servers="${work.bootstrapServers}",subscribe=${other}`;
    const alone = await runCommand(['sample', '--format', 'kafka', '--options', options], { cwd: work.path });
    expect(alone.stderr).toBe('');
    expect(alone.stdout).toContain(`1 row of the last 1 message in 1 partition of topic ${other}`);
  });

  test('of a topic without messages: its columns', async () => {
    const topic = await work.topics.create('sample-empty');
    const job = await jobOf(topic);
    const { code, stdout } = await sample(
      job,
      '--transform',
      'SELECT value::JSON->>\'id\' AS id, "offset" FROM messages',
    );
    expect(stdout).toBe(
      `orders: no messages in topic ${topic}; offsets were not saved\ncolumns\n  id      VARCHAR\n  offset  BIGINT\n`,
    );
    expect(code).toBe(0);
    expect(await shown(job)).toMatchObject({ messages: 0, rows: [], schema: { length: 3 } });
  });

  test('while a run is alive, which goes on', async () => {
    const topic = await work.topics.create('sample-alive');
    await work.send(topic, 400, [0], 5_000);
    const clientId = randomName('held');
    const job = await jobOf(topic, slow(clientId));
    const { run, release } = await work.startHeld(job, clientId);
    try {
      const before = await job.snapshot();
      const found = await sample(job, '--report', 'json', '--limit', '1', '--options', 'client.id=looks');
      expect(found.stderr).toBe('');
      expect(offsetsOf(JSON.parse(found.stdout) as Shown)).toEqual(['0/399']);
      expect((before as { saved: unknown }).saved).toEqual(await job.saved());
      expect(run.child.exitCode).toBeNull();
    } finally {
      await release();
    }
    expect((await run.result).code).toBe(0);
    expect(await job.saved()).toEqual({ 0: 400 });
  });
});

describe('which rows', () => {
  test('a table of the rows that SQL leaves, and its columns', async () => {
    const sql = `SELECT (value->>'id')::BIGINT AS id, value->>'name' AS name, (value->>'price')::DECIMAL(6,2) AS price
      FROM messages WHERE (value->>'id')::INT % 2 = 1`;
    const { code, stdout } = await sample(await jobOf(uneven), '--limit', '5', '--transform', sql);
    expect(code).toBe(0);
    expect(stdout).toBe(`┌────┬────────┬───────┐
│ id │ name   │ price │
├────┼────────┼───────┤
│ 7  │ é "7"  │ 3.50  │
│ 9  │ é "9"  │ 4.50  │
│ 11 │ é "11" │ 5.50  │
└────┴────────┴───────┘
orders: 3 rows of the last 5 messages in 2 partitions of topic ${uneven}; offsets were not saved
columns
  id     BIGINT
  name   VARCHAR
  price  DECIMAL(6,2)
`);
    const none = await sample(
      await jobOf(uneven),
      '--limit',
      '2',
      '--transform',
      'SELECT "offset" FROM messages WHERE false',
    );
    expect(none.stdout).toContain('0 rows of the last 2 messages in 2 partitions');
    expect(none.stdout).toContain('--limit reads more');
  });

  test('what a module makes of them, 64-bit numbers exact', async () => {
    const job = await jobOf(uneven);
    const source = `export default (table, { arrow, topic }) => new arrow.Table({
      big: arrow.vectorFromArray([...table.getChild('offset')].map((each) => each + 9007199254740993n), new arrow.Int64()),
      topic: arrow.vectorFromArray([...table.getChild('offset')].map(() => topic), new arrow.Utf8()),
    });`;
    await writeFile(join(job.folder, 'rows.mjs'), source);
    const { stdout } = await sample(job, '--report', 'json', '--limit', '2', '--transform', './rows.mjs');
    expect(stdout).toContain(`{"big":9007199254741002,"topic":"${uneven}"}`);
    expect((JSON.parse(stdout) as Shown).schema).toEqual([
      { name: 'big', type: 'BIGINT', nullable: true },
      { name: 'topic', type: 'VARCHAR', nullable: true },
    ]);
  });

  test('what a deserializer makes of them, with types that fit all rows shown', async () => {
    const topic = await work.topics.create('sample-packed', { partitions: 2 });
    await send(topic, (script) => {
      for (const [partition, price] of [
        [0, 2],
        [1, 2.5],
      ] as const) {
        script.send('p', { ...MESSAGE, partition, value: pack({ id: partition, price }).toString('hex') });
      }
    });
    const job = await jobOf(topic);
    await mkdir(join(job.folder, 'node_modules'));
    await symlink(join(process.cwd(), 'node_modules/msgpackr'), join(job.folder, 'node_modules/msgpackr'));
    await writeFile(
      join(job.folder, 'decode.mjs'),
      `import { unpack } from 'msgpackr';\nexport default (bytes) => (bytes === null ? null : unpack(bytes));\n`,
    );
    const conf = await work.conf({
      kafka: {
        serverOptions: { 'bootstrap.servers': work.bootstrapServers },
        customDeserializers: { unpack: './decode.mjs' },
        topics: { orders: { topicName: topic, fields: ['unpack(value) as value', 'partition as INT'] } },
      },
    });
    const found = await shown(job, '--conf', conf);
    expect(found.rows).toEqual([
      { value: { id: 0, price: 2 }, partition: 0 },
      { value: { id: 1, price: 2.5 }, partition: 1 },
    ]);
    expect(found.schema[0]?.type).toBe('STRUCT(id BIGINT, price DOUBLE)');
    const asText = await sample(await jobOf(topic, { invalidUtf8: 'replace' }));
    expect(asText.stderr).toContain('2 values were not UTF-8; invalidUtf8 is replace');
    expect(asText.stdout).toContain('2 rows of the last 2 messages in 2 partitions');
  });
});

describe('refused in the words of a run', () => {
  test.each([
    [2, 'a mistake in SQL', ['--transform', 'SELECT nope FROM messages'], null],
    [1, 'SQL that fails on a row', ['--transform', "SELECT (value->>'name')::INT AS id FROM messages"], null],
    [2, 'a module with nothing to call', ['--transform', './rows.mjs'], 'export const rows = 1;'],
    [1, 'a module that fails', ['--transform', './rows.mjs'], 'export default () => { throw new Error("no"); };'],
    [2, 'an unknown entry', ['--config', 'nobody'], null],
  ] as const)('%i, %s', async (code, _, args, module) => {
    const job = await jobOf(uneven, { accessOptions: { assign: `{"${uneven}":[1]}` } });
    if (module !== null) await writeFile(join(job.folder, 'rows.mjs'), module);
    // JSON: a run shows no progress then, which a slow one would leave on stderr.
    const [looked, ran] = await Promise.all([sample(job, ...args), job.run('--report', 'json', ...args)]);
    expect([looked.code, looked.stdout, ran.code]).toEqual([code, '', code]);
    expect(looked.stderr).toBe(ran.stderr);
  });
});
