/** How streams reach a PostgreSQL server that asks for TLS: what is checked of it, and what it checks of us. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { ProgramResult } from '../helpers/cache.ts';
import { type Certificate, issueCertificate, makeAuthority } from '../helpers/certificates.ts';
import { runCommand } from '../helpers/command.ts';
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts';
import { randomName } from '../helpers/topics.ts';
import { Workspace } from '../helpers/workspace.ts';

const MESSAGES = 5;
const ROLE = 'shipper';

let workspace: Workspace;
let server: PostgresServer;
let topic: string;
let authority: Certificate;
let other: Certificate;
let client: Certificate;

beforeAll(async () => {
  workspace = await Workspace.open(inject('bootstrapServers'));
  [authority, other] = (await Promise.all(['ours', 'other'].map((name) => makeAuthority(workspace.path, name)))) as [
    Certificate,
    Certificate,
  ];
  const own = await issueCertificate(authority, workspace.path, 'server', { subjectAltName: 'IP:127.0.0.1' });
  client = await issueCertificate(authority, workspace.path, ROLE);
  server = await startPostgres({ authority, server: own, roles: [ROLE] });
  await server.query(`CREATE ROLE ${ROLE} LOGIN SUPERUSER`);
  topic = await workspace.topics.create('tls');
  await workspace.send(topic, MESSAGES);
});

afterAll(async () => {
  await server.stop();
  await workspace.close();
});

/** A stream that takes all there is. @param options Over those of the server. */
async function run(table: string, options: Readonly<Record<string, string>>): Promise<ProgramResult> {
  const path = join(workspace.path, `${table}.json`);
  const kafka = {
    serverOptions: { 'bootstrap.servers': inject('bootstrapServers') },
    topics: {
      orders: { topicName: topic, fields: ['value as STRING'], accessOptions: { 'group.id': randomName('tls') } },
    },
  };
  const pg = { type: 'JDBC', options: { ...server.options, ...options } };
  await writeFile(path, JSON.stringify({ kafka, connections: { pg } }));
  const args = ['--conf', path, '--config', 'orders', '--stream', '--streaming-to-table', table];
  return runCommand([...args, '--connectionRef', 'pg'], { cwd: workspace.path });
}

const rowsOf = async (table: string): Promise<number> => Number(await server.query(`SELECT count(*) FROM ${table}`));
const urlFor = (host: string) => ({ url: `jdbc:postgresql://${host}:${server.port}/postgres` });

test('a server is checked, by its authority and its name, or is not where it is said so', async () => {
  const cases: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    by_name: { sslmode: 'verify-full', sslrootcert: authority.certificate },
    by_authority: { sslmode: 'verify-ca', sslrootcert: authority.certificate, ...urlFor('localhost') },
    unchecked: { sslmode: 'require' },
  };
  for (const [table, options] of Object.entries(cases)) {
    const { code, stderr } = await run(table, options);
    expect([table, code, stderr.includes('cannot')]).toEqual([table, 0, false]);
    expect(await rowsOf(table)).toBe(MESSAGES);
  }
});

test('one of another authority or name, and a way without TLS, are refused in one line that says what to do', async () => {
  const cases = [
    [
      { sslmode: 'verify-full', sslrootcert: other.certificate },
      /its certificate is not trusted \(\w+\); name its authority in connections\.pg\.options\.sslrootcert\n$/,
    ],
    [
      { sslmode: 'verify-full', sslrootcert: authority.certificate, ...urlFor('localhost') },
      /its certificate is for another host \(it names IP Address:127\.0\.0\.1\); use one of its names as host, or set connections\.pg\.options\.sslmode to verify-ca\n$/,
    ],
    [
      { sslmode: 'disable' },
      /cannot log in in postgres on 127\.0\.0\.1:\d+ .*no pg_hba\.conf entry for host .*no encryption\n$/,
    ],
  ] as const;
  for (const [options, message] of cases) {
    const { code, stderr } = await run('refused', options);
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  }
});

test('a role that must show a certificate gets in with it alone', async () => {
  const checked = { sslmode: 'verify-full', sslrootcert: authority.certificate, user: ROLE };
  const without = await run('mutual', checked);
  expect([without.code, without.stderr]).toEqual([1, expect.stringMatching(/cannot log in .*certificate/)]);
  const { code, stderr } = await run('mutual', { ...checked, sslcert: client.certificate, sslkey: client.key });
  expect([code, stderr.includes('cannot')]).toEqual([0, false]);
  expect(await rowsOf('mutual')).toBe(MESSAGES);
});
