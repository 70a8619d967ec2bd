/** Streams into tables: what is in them, read by psql and by another process of DuckDB, whatever happens on the way. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { queryFile } from '../helpers/duckdbReaders.ts';
import {
  expectedRows,
  FIELDS,
  MESSAGES,
  messageOf,
  type Row,
  rowsOfFile,
  rowsOfServer,
  textOf,
  useTables,
} from '../helpers/tableRows.ts';
import { type Group, TableStream, type TableStreamOptions } from '../helpers/tableStream.ts';

const bootstrapServers = inject('bootstrapServers');
const tables = useTables();

/** Of one of the two databases: how a stream is told of it, and how its rows are read. */
interface Database {
  readonly name: string;
  options(table: string): Pick<TableStreamOptions, 'options' | 'server'>;
  rows(table: string): Promise<Row[]>;
  query<Result>(sql: string): Promise<Result[]>;
}

const pathOf = (table: string): string => join(tables().folder, `${table.split('.').at(-1)}.duckdb`);

const DATABASES: readonly Database[] = [
  {
    name: 'PostgreSQL',
    options: (table) => ({
      options: { streamingToTable: table, connectionRef: 'pg' },
      server: tables().server.options,
    }),
    rows: (table) => rowsOfServer(tables().server, table),
    query: (sql) => tables().server.rows(sql),
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
    const { folder, topic } = tables();
    const base = { folder, bootstrapServers, topic, group, fields: FIELDS };
    return TableStream.open({ ...base, ...options(table), ...more }, partitions);
  };

  it('has every row as it was sent, also between micro-batches, and goes on in another process', async () => {
    const group: Group = new Map();
    const stream = await open('shop.rows', group);
    expect(await stream.write({ 0: 20, 1: 25 })).toMatchObject({ kind: 'written', rows: 45, isGroupCommitted: false });
    const { topic } = tables();
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
    expect(await query(sql)).toEqual(
      Array.from({ length: 5 }, (_, offset) => {
        const { key, value } = messageOf(0, offset);
        return {
          o: String(offset),
          key: textOf(key),
          none: String(offset < 3),
          value: offset < 3 ? null : textOf(value),
        };
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
      `the group's offset of ${tables().topic}/0 was set to 15 by hand, where the table is at 20: it is obeyed, so rows of offsets 15 to 19 may come twice`,
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
    expect(await readdir(tables().staging)).toEqual([]);
  });
});
