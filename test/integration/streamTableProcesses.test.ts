/** Processes that stream into one table: members of a group, and the real command, killed or beside other processes. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { runCommand, startCommand, temporaryFolder } from '../helpers/command.ts';
import { holdFile, queryFile } from '../helpers/duckdbReaders.ts';
import { sendMessages } from '../helpers/producers.ts';
import { startStepped } from '../helpers/steps.ts';
import {
  expectedRows,
  FIELDS,
  MESSAGES,
  messageOf,
  rowsOfFile,
  rowsOfServer,
  useTables,
} from '../helpers/tableRows.ts';
import { type Group, TableStream } from '../helpers/tableStream.ts';
import { randomName } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';

const bootstrapServers = inject('bootstrapServers');
const tables = useTables();
const rowsOf = (table: string) => rowsOfServer(tables().server, table);

describe('processes of one group, in PostgreSQL', () => {
  const open = (table: string, group: Group, partitions: readonly number[], port?: number) => {
    const { folder, topic, server } = tables();
    const url = `jdbc:postgresql://127.0.0.1:${port ?? server.port}/postgres`;
    return TableStream.open(
      {
        ...{ folder, bootstrapServers, topic, group, fields: FIELDS },
        options: { streamingToTable: table, connectionRef: 'pg' },
        server: { ...server.options, url },
      },
      partitions,
    );
  };

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
    expect(await rowsOf('raced')).toEqual(expectedRows([30, 35]));
  });

  it('make the table at the same time, and write their own partitions at the same time', async () => {
    const group: Group = new Map();
    const [one, two] = await Promise.all([open('fresh.both', group, [0]), open('fresh.both', group, [1])]);
    for (const end of [20, 40, MESSAGES]) {
      expect(await Promise.all([one.move({ 0: end }), two.move({ 1: end })])).toEqual(['written', 'written']);
    }
    await Promise.all([one.close(), two.close()]);
    expect(await rowsOf('fresh.both')).toEqual(expectedRows([MESSAGES, MESSAGES]));
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
        tables().server.endSessions();
      };
      subscribe('kafkaload:step', lose);
      try {
        expect(await stream.move({ 0: 10 })).toBe('written');
      } finally {
        unsubscribe('kafkaload:step', lose);
      }
      expect(isLost).toBe(true);
      await stream.close();
      expect(await rowsOf(table)).toEqual(expectedRows([10]));
    },
  );

  it('learn that a commit counts whose answer was lost', async () => {
    const proxy = await answersLost(tables().server.port);
    const group: Group = new Map();
    const stream = await open('doubt', group, [0], proxy.port);
    proxy.loseNextCommit();
    expect(await stream.move({ 0: 10 })).toBe('written');
    expect(proxy.lost()).toBe(1);
    expect(await stream.move({ 0: 20 })).toBe('written');
    await stream.close();
    proxy.close();
    expect(await rowsOf('doubt')).toEqual(expectedRows([20]));
  });

  it('wait for a server that was ended and started again', async () => {
    const group: Group = new Map();
    const stream = await open('restarted', group, [0]);
    await stream.move({ 0: 10 });
    await tables().server.crash();
    const [kind] = await Promise.all([stream.move({ 0: 20 }), tables().server.start()]);
    expect(kind).toBe('written');
    await stream.close();
    expect(await rowsOf('restarted')).toEqual(expectedRows([20]));
  });

  it('leave no staged files behind', async () => {
    expect(await readdir(tables().staging)).toEqual([]);
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
            topicName: tables().topic,
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
      connections: { pg: { type: 'POSTGRESQL', options: tables().server.options } },
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
    expect(await rowsOf(table)).toEqual(expectedRows([MESSAGES, MESSAGES]));
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
    await sendMessages({ bootstrapServers, topic: tables().topic, folder: cwd }, [messageOf(0, MESSAGES)]);
    await waitFor('the stream to say that it waits', () => /has the file open/.test(first.output().stderr));
    reader.release();
    await waitFor('the row to be there', async () => (await count()) === 2 * MESSAGES + 1);
    first.child.kill('SIGTERM');
    expect((await first.result).code).toBe(0);
  });
});

/** A way to the server that can lose the answer to a commit, and the connection with it. */
async function answersLost(serverPort: number) {
  let isDue = false;
  let lost = 0;
  const listener = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
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
