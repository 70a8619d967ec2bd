/** Streams into tables: what is in them, read by psql and by another process of DuckDB, whatever happens on the way. */
import { spawn } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { mustRun } from '../helpers/cache.ts';
import { runCommand, startCommand, temporaryFolder } from '../helpers/command.ts';
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts';
import { sendMessages } from '../helpers/producers.ts';
import type { ScriptMessage } from '../helpers/script.ts';
import { startStepped } from '../helpers/steps.ts';
import { type Group, TableStream, type TableStreamOptions } from '../helpers/tableStream.ts';
import { randomName, TestTopics } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';

const bootstrapServers = inject('bootstrapServers');
const topics = new TestTopics(bootstrapServers);
/** In each of two partitions. */
const MESSAGES = 60;
const DUCKDB = fileURLToPath(new URL('../../node_modules/@duckdb/node-api', import.meta.url));

let server: PostgresServer;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let topic: string;

beforeAll(async () => {
  [server, folder, topic] = await Promise.all([
    startPostgres(),
    temporaryFolder(),
    topics.create('tables', { partitions: 2 }),
  ]);
  const messages = Array.from({ length: 2 * MESSAGES }, (_, n) => messageOf(n % 2, Math.floor(n / 2)));
  await sendMessages({ bootstrapServers, topic, folder: folder.path }, messages);
});
afterAll(async () => {
  await server.stop();
  await folder.remove();
  await topics.cleanUp();
});

/** Nulls, empty values, and texts that quoting would spoil. */
function messageOf(partition: number, offset: number): ScriptMessage {
  const hex = (text: string): string => Buffer.from(text).toString('hex');
  const value = `{"n":${offset},"text":"ü€😀\\\\N\\t,\\"'"}`;
  return {
    partition,
    timestamp: 1_700_000_000_123 + offset,
    key: offset % 5 === 0 ? null : offset % 5 === 1 ? '' : hex(`key ${partition}/${offset}`),
    value: offset % 7 === 0 ? null : offset % 7 === 1 ? '' : hex(value),
    headers:
      offset % 3 === 0
        ? []
        : [
            ['trace', hex(`t${offset}`)],
            ['trace', null],
          ],
  };
}

const FIELDS = ['partition', 'offset', 'key as STRING', 'value', 'timestamp', 'headers'];

interface Row {
  readonly place: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly ms: string;
  readonly headers: readonly { readonly key: string; readonly value: string | null }[];
}

/** Rows of all messages below these offsets, as the readers below give them. */
function expectedRows(ends: readonly number[]): Row[] {
  const text = (hex: string | null): string | null => (hex === null ? null : Buffer.from(hex, 'hex').toString());
  return ends.flatMap((end, partition) =>
    Array.from({ length: end }, (_, offset) => {
      const { key, value, timestamp, headers } = messageOf(partition, offset);
      const base64 = (hex: string | null): string | null => hex && Buffer.from(hex, 'hex').toString('base64');
      return {
        place: `${partition}/${String(offset).padStart(3, '0')}`,
        key: text(key),
        value,
        ms: String(timestamp),
        headers: headers.map(([name, bytes]) => ({ key: name, value: base64(bytes) })),
      };
    }),
  );
}

const PLACE = `partition || '/' || lpad("offset"::text, 3, '0')`;

function rowsOfServer(table: string): Promise<Row[]> {
  return server.rows(
    `SELECT ${PLACE} AS place, key, encode(value, 'hex') AS value, headers,
            (extract(epoch FROM timestamp) * 1000)::bigint::text AS ms
       FROM ${table} ORDER BY 1`,
  );
}

/** A process of its own, which opens the file as any reader does. */
async function queryFile<Result>(path: string, sql: string): Promise<Result[]> {
  const script = `
    const { DuckDBInstance } = require(${JSON.stringify(DUCKDB)});
    (async () => {
      const instance = await DuckDBInstance.create(${JSON.stringify(path)}, { access_mode: 'READ_ONLY' });
      const reader = await (await instance.connect()).runAndReadAll(${JSON.stringify(sql)});
      console.log(JSON.stringify(reader.getRowObjectsJson()));
    })().catch((error) => { console.error(error.message); process.exitCode = 1; });`;
  return JSON.parse(await mustRun(process.execPath, ['-e', script]));
}

function rowsOfFile(path: string, table: string): Promise<Row[]> {
  return queryFile(
    path,
    `SELECT ${PLACE} AS place, key, lower(hex(value)) AS value, epoch_ms(timestamp)::VARCHAR AS ms,
            list_transform(headers, h -> {'key': h.key, 'value': to_base64(h.value)}) AS headers
       FROM ${table} ORDER BY 1`,
  );
}

/** Of one of the two databases: how a stream is told of it, and how its rows are read. */
interface Database {
  readonly name: string;
  options(table: string): Pick<TableStreamOptions, 'options' | 'server'>;
  rows(table: string): Promise<Row[]>;
  query<Result>(sql: string): Promise<Result[]>;
}

const pathOf = (table: string): string => join(folder.path, `${table.split('.').at(-1)}.duckdb`);

const DATABASES: readonly Database[] = [
  {
    name: 'PostgreSQL',
    options: (table) => ({ options: { streamingToTable: table, connectionRef: 'pg' }, server: server.options }),
    rows: rowsOfServer,
    query: (sql) => server.rows(sql),
  },
  {
    name: 'DuckDB',
    options: (table) => ({ options: { streamingToTable: table, writeOptions: `database=${pathOf(table)}` } }),
    rows: (table) => rowsOfFile(pathOf(table), table),
    query: (sql) => queryFile(pathOf(/FROM ([\w.]+)/.exec(sql)?.[1] ?? ''), sql),
  },
];

describe.each(DATABASES)('a table in $name', ({ options, rows, query }) => {
  const open = (table: string, group: Group, more: Partial<TableStreamOptions> = {}, partitions = [0, 1]) => {
    const base = { folder: folder.path, bootstrapServers, topic, group, fields: FIELDS };
    return TableStream.open({ ...base, ...options(table), ...more }, partitions);
  };

  it('has every row as it was sent, also between micro-batches, and goes on in another process', async () => {
    const group: Group = new Map();
    const stream = await open('shop.rows', group);
    expect(await stream.write({ 0: 20, 1: 25 })).toMatchObject({ kind: 'written', rows: 45, isGroupCommitted: false });
    await stream.commit([
      { topic, partition: 0, offset: 20 },
      { topic, partition: 1, offset: 25 },
    ]);
    expect(await rows('shop.rows')).toEqual(expectedRows([20, 25]));
    expect(await stream.move({ 0: 40 })).toBe('written');
    await stream.close();
    const next = await open('shop.rows', group);
    expect([...next.positions]).toEqual([
      [0, 40],
      [1, 25],
    ]);
    expect(await next.move({ 0: MESSAGES, 1: MESSAGES })).toBe('written');
    await next.close();
    expect(await rows('shop.rows')).toEqual(expectedRows([MESSAGES, MESSAGES]));
  });

  it('gets the columns it lacks, and takes no values that would not fit', async () => {
    const group: Group = new Map();
    const first = await open('grown', group, { fields: ['offset', 'key as STRING'] }, [0]);
    await first.move({ 0: 3 });
    await first.close();
    const second = await open(
      'grown',
      group,
      { fields: ['key as STRING', 'offset', 'timestamp', 'value as STRING'] },
      [0],
    );
    await second.move({ 0: 5 });
    await second.close();
    const sql = `SELECT "offset"::text AS o, key, (timestamp IS NULL)::text AS none, value FROM grown ORDER BY 1`;
    const text = (hex: string | null): string | null => (hex === null ? null : Buffer.from(hex, 'hex').toString());
    expect(await query(sql)).toEqual(
      Array.from({ length: 5 }, (_, offset) => {
        const { key, value } = messageOf(0, offset);
        return { o: String(offset), key: text(key), none: String(offset < 3), value: offset < 3 ? null : text(value) };
      }),
    );
    await expect(open('grown', group, { fields: ['offset as STRING'] }, [0])).rejects.toThrow(
      /cannot write the column offset to .*grown.*: it is (bigint|BIGINT) there, and its values are (text|VARCHAR) \(Utf8\)/,
    );
  });

  it('takes a micro-batch once, whoever else has written it meanwhile', async () => {
    const group: Group = new Map();
    const stream = await open('once', group);
    await stream.move({ 0: 10 });
    // The rows are in; the group was not told.
    await stream.write({ 0: 20, 1: 5 });
    await stream.close();
    const next = await open('once', group);
    expect([...next.positions]).toEqual([
      [0, 20],
      [1, 5],
    ]);
    await next.move({ 0: 30 });
    await next.close();
    expect(await rows('once')).toEqual(expectedRows([30, 5]));
  });

  it('goes on where a person set the group, in either direction', async () => {
    const group: Group = new Map();
    const stream = await open('set', group, {}, [0]);
    await stream.move({ 0: 10 });
    await stream.move({ 0: 20 });
    await stream.close();
    group.set(0, 15);
    const back = await open('set', group, {}, [0]);
    expect(back.log.filter((line) => line.includes('by hand'))).toEqual([
      `the group's offset of ${topic}/0 was set to 15 by hand, where the table is at 20: it is obeyed, so rows of offsets 15 to 19 may come twice`,
    ]);
    await back.move({ 0: 22 });
    await back.close();
    group.set(0, 50);
    const forth = await open('set', group, {}, [0]);
    await forth.move({ 0: 52 });
    await forth.close();
    const read = (await rows('set')).map(({ place }) => Number(place.slice(2)));
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
    expect(read).toEqual([...range(0, 22), ...range(15, 20), ...range(50, 52)].sort((a, b) => a - b));
  });

  it('is not taken for that of a topic that was made again', async () => {
    const group: Group = new Map();
    const stream = await open('again', group, { topicId: 'one' }, [0]);
    await stream.move({ 0: 10 });
    await stream.close();
    group.delete(0);
    await expect(open('again', group, { topicId: 'two' }, [0])).rejects.toThrow(/was made again .*set failOnDataLoss/);
    const accessOptions = { 'group.id': 'g', failOnDataLoss: 'false' };
    const next = await open('again', group, { topicId: 'two', more: { accessOptions } }, [0]);
    expect(next.positions.get(0)).toBe(0);
    await next.move({ 0: 4 });
    await next.close();
    expect((await rows('again')).length).toBe(14);
  });

  it('keeps nothing of a micro-batch that was abandoned', async () => {
    const group: Group = new Map();
    const stream = await open('dropped', group, {}, [0]);
    const controller = new AbortController();
    const abandon = (message: unknown): void => {
      if ((message as { name: string }).name === 'table.offsetsMoved') controller.abort(new Error('revoked'));
    };
    subscribe('kafkaload:step', abandon);
    try {
      await expect(stream.write({ 0: 10 }, controller.signal)).rejects.toThrow('revoked');
    } finally {
      unsubscribe('kafkaload:step', abandon);
    }
    expect(await rows('dropped')).toEqual([]);
    await stream.move({ 0: 5 });
    await stream.close();
    expect(await rows('dropped')).toEqual(expectedRows([5]));
  });
});

describe('processes of one group, in PostgreSQL', () => {
  const open = (table: string, group: Group, partitions: readonly number[], port = server.port) =>
    TableStream.open(
      {
        ...{ folder: folder.path, bootstrapServers, topic, group, fields: FIELDS },
        options: { streamingToTable: table, connectionRef: 'pg' },
        server: { ...server.options, url: `jdbc:postgresql://127.0.0.1:${port}/postgres` },
      },
      partitions,
    );

  it('write the same partitions, and one of them is overtaken', async () => {
    // One sleeps: what the group holds for it is what it knew then.
    const [slept, awake]: [Group, Group] = [new Map(), new Map()];
    const [one, two] = [await open('raced', slept, [0, 1]), await open('raced', awake, [0, 1])];
    for (const end of [10, 20, 30]) {
      const kinds = await Promise.all([one.move({ 0: end, 1: end }), two.move({ 1: end, 0: end })]);
      expect(kinds.toSorted()).toEqual(['overtaken', 'written']);
      expect([one.positions, two.positions].map((positions) => [...positions.values()])).toEqual([
        [end, end],
        [end, end],
      ]);
    }
    // Half of what it moves has been moved by the other: none of it counts.
    await two.move({ 1: 35 });
    expect(await one.move({ 0: 40, 1: 40 })).toBe('overtaken');
    await Promise.all([one.close(), two.close()]);
    expect(await rowsOfServer('raced')).toEqual(expectedRows([30, 35]));
  });

  it('make the table at the same time, and write their own partitions at the same time', async () => {
    const group: Group = new Map();
    const [one, two] = await Promise.all([open('fresh.both', group, [0]), open('fresh.both', group, [1])]);
    for (const end of [20, 40, MESSAGES]) {
      expect(await Promise.all([one.move({ 0: end }), two.move({ 1: end })])).toEqual(['written', 'written']);
    }
    await Promise.all([one.close(), two.close()]);
    expect(await rowsOfServer('fresh.both')).toEqual(expectedRows([MESSAGES, MESSAGES]));
  });

  it.each(['table.begun', 'table.offsetsMoved', 'table.rowsCopied'])(
    'lose the connection at %s and go on',
    async (step) => {
      const group: Group = new Map();
      const table = step.replace('.', '_').toLowerCase();
      const stream = await open(table, group, [0]);
      let isLost = false;
      const lose = (message: unknown): void => {
        if ((message as { name: string }).name !== step || isLost) return;
        isLost = true;
        server.endSessions();
      };
      subscribe('kafkaload:step', lose);
      try {
        expect(await stream.move({ 0: 10 })).toBe('written');
      } finally {
        unsubscribe('kafkaload:step', lose);
      }
      expect(isLost).toBe(true);
      await stream.close();
      expect(await rowsOfServer(table)).toEqual(expectedRows([10]));
    },
  );

  it('learn that a commit counts whose answer was lost', async () => {
    const proxy = await answersLost();
    const group: Group = new Map();
    const stream = await open('doubt', group, [0], proxy.port);
    proxy.loseNextCommit();
    expect(await stream.move({ 0: 10 })).toBe('written');
    expect(proxy.lost()).toBe(1);
    expect(await stream.move({ 0: 20 })).toBe('written');
    await stream.close();
    proxy.close();
    expect(await rowsOfServer('doubt')).toEqual(expectedRows([20]));
  });

  it('wait for a server that was ended and started again', async () => {
    const group: Group = new Map();
    const stream = await open('restarted', group, [0]);
    await stream.move({ 0: 10 });
    await server.crash();
    const [kind] = await Promise.all([stream.move({ 0: 20 }), server.start()]);
    expect(kind).toBe('written');
    await stream.close();
    expect(await rowsOfServer('restarted')).toEqual(expectedRows([20]));
  });

  it('leave no staged files behind', async () => {
    const left = (await readdir(process.env.TMPDIR ?? '/tmp')).filter((name) => /^kafkaload-\d{8}T/.test(name));
    expect(left).toEqual([]);
  });
});

describe('the command', () => {
  const STEPS = ['table.offsetsMoved', 'table.rowsCopied', 'table.committed'];

  /** A folder of its own for each: runs of one test share what they keep. */
  const command = async (table: string, database: 'pg' | 'file', access: object = {}) => {
    const own = await temporaryFolder();
    onTestFinished(own.remove);
    const config = {
      kafka: {
        serverOptions: { 'bootstrap.servers': bootstrapServers },
        topics: {
          orders: {
            topicName: topic,
            fields: FIELDS,
            // A member that was killed is out of the group sooner.
            accessOptions: {
              'group.id': randomName(table),
              'session.timeout.ms': 6000,
              maxOffsetsPerTrigger: 50,
              ...access,
            },
          },
        },
      },
      connections: { pg: { type: 'POSTGRESQL', options: server.options } },
    };
    await writeFile(join(own.path, 'kafkaload.json'), JSON.stringify(config));
    const place = database === 'pg' ? ['--connectionRef', 'pg'] : ['--write-options', `database=${table}.duckdb`];
    const args = ['--config', 'orders', '--stream', '--streaming-to-table', table, '--workers', '2', ...place];
    return { args, folder: own.path, path: join(own.path, `${table}.duckdb`) };
  };

  it.each(STEPS)('killed at %s leaves each row in PostgreSQL once', async (step) => {
    const table = `killed_${step.replace('.', '_').toLowerCase()}`;
    const { args, folder: cwd } = await command(table, 'pg');
    const killed = await startStepped(args, cwd, { name: step, nth: 2, signal: 'SIGKILL' }).ended;
    expect(killed.isStopped).toBe(true);
    const { code, stderr } = await runCommand(args, { cwd });
    expect([code, stderr.includes('by hand')]).toEqual([0, false]);
    expect(await rowsOfServer(table)).toEqual(expectedRows([MESSAGES, MESSAGES]));
  });

  it.each(['table.rowsCopied', 'table.committed'])('killed at %s leaves each row in DuckDB once', async (step) => {
    const { args, folder: cwd, path } = await command('killed', 'file');
    const killed = await startStepped(args, cwd, { name: step, nth: 2, signal: 'SIGKILL' }).ended;
    expect(killed.isStopped).toBe(true);
    expect((await runCommand(args, { cwd })).code).toBe(0);
    expect(await rowsOfFile(path, 'killed')).toEqual(expectedRows([MESSAGES, MESSAGES]));
    // What the killed one had staged is gone, and what this one had, too.
    expect(await readdir(join(cwd, '_kafkaload', 'staging'))).toEqual([]);
  });

  it('refuses a database file that another stream has, and goes on when a reader lets go of it', async () => {
    const { args, folder: cwd, path } = await command('busy', 'file');
    const endless = [...args, '--streaming-trigger', 'ProcessingTime', '--streaming-trigger-option', '1 second'];
    const first = startCommand(endless, { cwd });
    const count = async (): Promise<number> => {
      const rows = await queryFile<{ n: string }>(path, 'SELECT count(*) AS n FROM busy').catch(() => []);
      return Number(rows[0]?.n ?? -1);
    };
    await waitFor('all rows to be there', async () => (await count()) === 2 * MESSAGES);
    const second = await runCommand(args, { cwd });
    expect([second.code, second.stderr]).toEqual([
      1,
      expect.stringMatching(
        /cannot write to \S+busy\.duckdb: \S+node \(PID \d+\) streams to it, and a database file of DuckDB serves one process/,
      ),
    ]);
    const reader = holdFile(path);
    await reader.held;
    await sendMessages({ bootstrapServers, topic: topic, folder: cwd }, [messageOf(0, MESSAGES)]);
    await waitFor('the stream to say that it waits', () => /has the file open/.test(first.output().stderr));
    reader.release();
    await waitFor('the row to be there', async () => (await count()) === 2 * MESSAGES + 1);
    first.child.kill('SIGTERM');
    expect((await first.result).code).toBe(0);
  });
});

/** A reader that keeps the file open until it is told to let go. */
function holdFile(path: string) {
  const script = `
    const { DuckDBInstance } = require(${JSON.stringify(DUCKDB)});
    (async () => {
      for (;;) {
        try {
          const instance = await DuckDBInstance.create(${JSON.stringify(path)}, { access_mode: 'READ_ONLY' });
          // One that nobody refers to is collected, and closes the file.
          globalThis.kept = await instance.connect();
          break;
        } catch {}
      }
      console.log('held');
      setInterval(() => {}, 1000);
    })();`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { held: once(child.stdout, 'data'), release: () => child.kill('SIGKILL') };
}

/** A way to the server that can lose the answer to a commit, and the connection with it. */
async function answersLost() {
  let isDue = false;
  let lost = 0;
  const listener = createServer((client) => {
    const upstream = connect(server.port, '127.0.0.1');
    let isCommitting = false;
    client.on('data', (data) => {
      if (isDue && data.includes('COMMIT')) {
        isDue = false;
        isCommitting = true;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (!isCommitting) {
        client.write(data);
        return;
      }
      lost += 1;
      client.destroy();
      upstream.destroy();
    });
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  return {
    port: (listener.address() as { port: number }).port,
    loseNextCommit: () => {
      isDue = true;
    },
    lost: () => lost,
    close: () => listener.close(),
  };
}
