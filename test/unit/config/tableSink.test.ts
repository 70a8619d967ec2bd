import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Connection } from '../../../src/config/connections.ts';
import { readPostgres } from '../../../src/config/postgres.ts';
import { resolveTableSink } from '../../../src/config/tableSink.ts';
import { errorOf, makeWorkspace } from './workspace.ts';

const { folder, environment } = await makeWorkspace();

function postgres(options: Readonly<Record<string, unknown>>) {
  return { type: 'POSTGRESQL', name: 'pg', where: 'connections.pg.options', options } as const;
}

const SERVER = postgres({ host: 'db', database: 'shop', user: 'loader' });

const resolve = (name: string, options: Record<string, string> = {}, connection: Connection | null = null) =>
  resolveTableSink({ name, connection, options }, { config: 'orders' }, environment());

describe('a table of a database file', () => {
  it('lies where the path says, with templates', async () => {
    expect(await resolve('orders', { database: 'data/{{config}}.duckdb' })).toEqual({
      kind: 'table',
      database: { kind: 'duckdb', path: join(folder, 'data/orders.duckdb') },
      schema: null,
      table: 'orders',
      staging: join(folder, 'data/_kafkaload/staging'),
    });
    expect((await resolve('o', { DATABASE: '/x/y.db' })).database).toEqual({ kind: 'duckdb', path: '/x/y.db' });
  });

  it('is refused where something else stands', async () => {
    await mkdir(join(folder, 'folder'));
    await writeFile(join(folder, 'file'), '');
    expect(await errorOf(() => resolve('o', { database: 'folder' }))).toBe(
      `TARGET_UNSUITABLE: database in --write-options ${join(folder, 'folder')} is a folder; name a file`,
    );
    expect(await errorOf(() => resolve('o', { database: 'file/x.db' }))).toContain('a part of it is a file');
    expect(await errorOf(() => resolve('o', { database: ':memory:' }))).toContain('gone when the stream ends');
    expect(await errorOf(() => resolve('o', { database: 's3://b/x.db' }))).toContain('not a path on a local disk');
  });
});

describe('a table of a server', () => {
  it('is reached as the connection says', async () => {
    expect(await resolve('shop.orders', {}, SERVER)).toEqual({
      kind: 'table',
      database: {
        kind: 'postgresql',
        where: 'connections.pg',
        host: 'db',
        port: 5432,
        database: 'shop',
        user: 'loader',
        password: null,
        tls: null,
        connectTimeoutMs: 10_000,
        applicationName: 'kafkaload',
      },
      schema: 'shop',
      table: 'orders',
      staging: tmpdir(),
    });
    const request = { name: 'o', connection: SERVER, options: {} };
    const staged = await resolveTableSink(request, {}, environment({ KAFKALOAD_STAGING: 'spool' }));
    expect(staged.staging).toBe(join(folder, 'spool'));
  });
});

describe('the name of a table', () => {
  it.each([
    ['orders', null, 'orders'],
    ['shop.orders', 'shop', 'orders'],
    ['Größe.Aufträge "neu"', 'Größe', 'Aufträge "neu"'],
    ['shop.`orders.2026`', 'shop', 'orders.2026'],
    ['`a``b`.`c.d`', 'a`b', 'c.d'],
  ])('%s', async (name, schema, table) => {
    expect(await resolve(name, {}, SERVER)).toMatchObject({ schema, table });
  });

  it.each(['', '.', 'a.', '.b', 'a..b', 'a.b.c', 'a`b', '`a', 'a\0b', ' '])('%j is none', async (name) => {
    expect(await errorOf(() => resolve(name, {}, SERVER))).toMatch(/^USAGE: --streaming-to-table .* names no table/);
  });

  it('is not one that is taken, or longer than PostgreSQL keeps', async () => {
    expect(await errorOf(() => resolve('x._KAFKALOAD_offsets', {}, SERVER))).toContain('positions are kept in');
    expect(await errorOf(() => resolve('_kafkaload_dead_letters', {}, SERVER))).toContain('dead letters wait in');
    expect(await resolve('constructor', {}, SERVER)).toMatchObject({ table: 'constructor' });
    expect(await errorOf(() => resolve('ö'.repeat(32), {}, SERVER))).toContain('has 64 bytes, and PostgreSQL keeps 63');
    expect(await resolve('ö'.repeat(32), { database: 'x.db' })).toMatchObject({ table: 'ö'.repeat(32) });
  });
});

describe('the database of a table', () => {
  it('is one', async () => {
    expect(await errorOf(() => resolve('orders'))).toBe(
      'USAGE: --streaming-to-table orders needs a database: add --write-options database=FILE for a file of DuckDB, or ' +
        '--connectionRef NAME for a connection of type POSTGRESQL or JDBC',
    );
    expect(await errorOf(() => resolve('o', { database: 'x.db' }, SERVER))).toContain('name two databases');
    expect(await errorOf(() => resolve('o', { databse: 'x.db' }))).toContain(
      'unknown option databse in --write-options; known for a table: database; did you mean database?',
    );
    const kafka = { type: 'KAFKA', name: 'k', where: 'connections.k.options', properties: {} } as const;
    expect(await errorOf(() => resolve('o', {}, kafka))).toContain('--connectionRef k is of type KAFKA');
  });
});

describe('a connection to PostgreSQL', () => {
  const read = (options: Readonly<Record<string, unknown>>) => readPostgres(postgres(options), folder);

  it.each([
    [{ url: 'jdbc:postgresql://db:6543/shop', user: 'u', password: 'p' }],
    [{ url: 'jdbc:postgresql://db:6543/shop?user=u&password=p', driver: 'org.postgresql.Driver' }],
    [{ url: 'postgresql://u:p@db:6543/shop' }],
    [{ url: 'postgres://other:q@db:1/shop', USER: 'u', password: 'p', port: 6543 }],
    [{ host: 'db', port: '6543', dbname: 'shop', username: 'u', password: 'p' }],
  ])('%j', async (options) => {
    const reached = { host: 'db', port: 6543, database: 'shop', user: 'u', password: 'p', tls: null };
    expect(await read(options)).toMatchObject(reached);
  });

  it('decodes what a URL has escaped', async () => {
    expect(await read({ url: 'postgresql://u%40x:p%2F%3A@[::1]/a%20b?connect_timeout=3' })).toMatchObject({
      host: '::1',
      database: 'a b',
      user: 'u@x',
      password: 'p/:',
      connectTimeoutMs: 3000,
    });
  });

  it('encrypts as sslmode says', async () => {
    const server = { host: 'db', database: 'd', user: 'u' };
    const tls = async (options: object) => (await read({ ...server, ...options })).tls;
    expect(await tls({ sslmode: 'disable' })).toBeNull();
    expect(await tls({ ssl: 'false' })).toBeNull();
    expect(await tls({ sslmode: 'require' })).toEqual({ verify: false, checkHostName: false });
    expect(await tls({ sslmode: 'verify-ca' })).toEqual({ verify: true, checkHostName: false });
    expect(await tls({ ssl: true })).toEqual({ verify: true, checkHostName: true });
  });

  it.each([
    [{ url: 'jdbc:postgresql://a,b/d', user: 'u' }, 'names several hosts'],
    [{ url: 'jdbc:mysql://a/d', user: 'u' }, 'is no URL of PostgreSQL'],
    [{ url: 'postgresql://h:99999999/d' }, 'cannot be read'],
    [
      { url: 'postgresql://h', user: 'u' },
      'connections.pg.options.database is missing, and connections.pg.options.url does not',
    ],
    [{ host: 'h', database: 'd' }, 'connections.pg.options.user is missing'],
    [{ host: 'h', hots: 'x' }, 'unknown option connections.pg.options.hots'],
    [{ user: 'a', username: 'b' }, 'mean the same; keep one of them'],
    [{ url: 'postgresql://h/d?colour=red' }, 'unknown option colour in connections.pg.options.url'],
    [{ url: 'postgresql://u@h/d', driver: 'org.h2.Driver' }, 'only org.postgresql.Driver'],
    [{ url: 'postgresql://u@h/d', port: 'x' }, 'must be a whole number from 1 to 65535'],
    [{ url: 'postgresql://u@h/d', sslmode: 'prefer' }, 'must be one of disable, require, verify-ca, verify-full'],
    [{ url: 'postgresql://u@h/d', ssl: 'false', sslmode: 'require' }, 'contradict one another'],
    [{ url: 'postgresql://u@h/d', sslrootcert: 'x.pem' }, 'sslrootcert has no effect without TLS'],
    [{ url: 'postgresql://u@h/d', ssl: 'true', sslrootcert: 'none.pem' }, 'there is no such file'],
  ])('%j is refused', async (options, message) => {
    expect(await errorOf(() => read(options))).toContain(`CONFIG_INVALID: `);
    expect(await errorOf(() => read(options))).toContain(message);
  });

  it.each([
    'postgresql://u:opensesame@h:99999999/d',
    'jdbc:postgresql://h/d?user=u&password=opensesame&x=1',
    'jdbc:oracle://u:opensesame@h/d',
  ])('shows no secret of %s', async (url) => {
    expect(await errorOf(() => read({ url }))).not.toContain('opensesame');
  });
});
