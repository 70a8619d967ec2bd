import { expect, it } from 'vitest';
import type { PostgresSettings } from '../../../../src/config/databaseSettings.ts';
import { OffloadError } from '../../../../src/errors.ts';
import { duckdbError } from '../../../../src/stream/table/duckdb/errors.ts';
import { postgresError } from '../../../../src/stream/table/postgres/errors.ts';

const SETTINGS = { where: 'connections.pg', host: 'db', port: 5432, database: 'shop', password: 'opensesame' };

it.each([
  ['57P03', 'DATABASE_UNREACHABLE', true],
  ['57P01', 'DATABASE_UNREACHABLE', true],
  ['08006', 'DATABASE_UNREACHABLE', true],
  ['53300', 'DATABASE_BUSY', true],
  ['53100', 'DATABASE_BUSY', true],
  ['40001', 'DATABASE_BUSY', true],
  ['40P01', 'DATABASE_BUSY', true],
  ['55P03', 'DATABASE_BUSY', true],
  ['28P01', 'NOT_AUTHORIZED', false],
  ['42501', 'NOT_AUTHORIZED', false],
  ['3D000', 'DATABASE_REFUSED', false],
  ['22P02', 'DATABASE_REFUSED', false],
])('SQLSTATE %s is %s', (code, ours, retriable) => {
  const given = Object.assign(new Error('the server says so'), {
    code,
    severity: 'ERROR',
    where: 'COPY t, line 3\nmore',
  });
  const error = postgresError('append rows to "t"', SETTINGS as PostgresSettings, given);
  expect({ code: error.code, retriable: error.retriable, message: error.message }).toEqual({
    code: ours,
    retriable,
    message: 'cannot append rows to "t" in shop on db:5432 (connections.pg): the server says so; COPY t, line 3',
  });
  expect(JSON.stringify(error.context)).not.toContain('opensesame');
});

it.each([
  [Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' }), 'DATABASE_UNREACHABLE'],
  [Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' }), 'DATABASE_UNREACHABLE'],
  [new Error('Connection terminated unexpectedly'), 'DATABASE_UNREACHABLE'],
  [new Error('timeout expired'), 'DATABASE_UNREACHABLE'],
  [new Error('self-signed certificate'), 'DATABASE_REFUSED'],
  [new OffloadError('ROW_INVALID', 'ours'), 'ROW_INVALID'],
])('what %s is', (given, code) => {
  expect(postgresError('log in', SETTINGS as PostgresSettings, given).code).toBe(code);
});

it.each([
  [
    'IO Error: Could not set lock on file "/d/x.db": Conflicting lock is held in /usr/bin/python3.11 (PID 7) by user u. See also https://x',
    'DATABASE_BUSY',
    'cannot read positions in /d/x.db: /usr/bin/python3.11 (PID 7) has the file open; a stream needs it for a moment at each micro-batch',
  ],
  [
    'IO Error: Could not write file "/d/x.db": No space left on device',
    'DATABASE_BUSY',
    'cannot read positions in /d/x.db: Could not write file "/d/x.db": No space left on device',
  ],
  [
    'IO Error: The file "/d/x.db" exists, but it is not a valid DuckDB database file!',
    'DATABASE_REFUSED',
    'cannot read positions in /d/x.db: The file "/d/x.db" exists, but it is not a valid DuckDB database file!',
  ],
])('DuckDB says: %s', (said, code, message) => {
  const error = duckdbError('read positions', '/d/x.db', new Error(said));
  expect({ code: error.code, message: error.message }).toEqual({ code, message });
});
