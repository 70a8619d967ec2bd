import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from './broker.ts';
import { mustRun, runProgram, say } from './cache.ts';
import type { Certificate } from './certificates.ts';
import { waitFor } from './wait.ts';

export interface PostgresServer {
  readonly port: number;
  /** `connections.NAME.options` of it. */
  readonly options: Readonly<Record<string, string>>;
  /** Runs SQL with psql, which shares no code with us. @returns Its output: a line for each row, columns parted by `|`. */
  query(sql: string): Promise<string>;
  /** Ends every session of ours, at once: for a step of a run, which does not wait. */
  endSessions(): void;
  /** The rows of a query, as PostgreSQL itself makes JSON of them. */
  rows<Row>(sql: string): Promise<Row[]>;
  /** Ends it as a crash does. */
  crash(): Promise<void>;
  /** Starts it again after a crash, on its old port and data. */
  start(): Promise<void>;
  /** Ends it and removes its data. Safe to call twice. */
  stop(): Promise<void>;
}

const USER = 'loader';

export interface PostgresTls {
  /** Whose certificates of clients it accepts. */
  readonly authority: Certificate;
  readonly server: Certificate;
  /** Roles that must show a certificate with their name. */
  readonly roles: readonly string[];
}

/**
 * Starts PostgreSQL on a free loopback port with its data in a temporary folder. It does not outlive this process: a shell
 * waits for the end of a pipe from here, and then ends the server.
 *
 * @param tls With it nobody gets in without TLS.
 */
export async function startPostgres(tls: PostgresTls | null = null): Promise<PostgresServer> {
  const programs = await postgresPrograms();
  const owner = await serverUser();
  const folder = await mkdtemp(join(tmpdir(), 'kafkaload-postgres-'));
  if (owner) await chown(folder, owner.uid, owner.gid);
  const data = join(folder, 'data');
  await runAs(owner, join(programs, 'initdb'), [
    '-D',
    data,
    '-U',
    USER,
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '-N',
  ]);
  const secured = tls === null ? {} : await secure(data, tls, owner);
  const [port = 0] = await freePorts(1);
  const client = ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', String(port), '-U', USER, '-c'];
  const psql = async (sql: string): Promise<string> => {
    return (await mustRun(join(programs, 'psql'), [...client, sql, 'postgres'])).trimEnd();
  };
  let shell: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    const settings = { listen_addresses: '127.0.0.1', port, unix_socket_directories: folder, fsync: 'off', ...secured };
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
    const server = `"${join(programs, 'postgres')}" -D "${data}" ${options.join(' ')}`;
    // QUIT is an immediate shutdown: what a crash leaves.
    const script = `${server} </dev/null >>"${folder}/log" 2>&1 & pid=$!; cat; kill -QUIT $pid; wait $pid`;
    shell = spawn('sh', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore'], ...(owner ?? {}) });
    await waitFor('PostgreSQL to answer', async () => {
      const found = await runProgram(join(programs, 'pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]);
      return found.code === 0;
    });
  };
  const crash = async (): Promise<void> => {
    const running = shell;
    shell = null;
    if (running === null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.stdin?.end();
    await ended;
  };
  await start();
  return {
    port,
    options: { url: `jdbc:postgresql://127.0.0.1:${port}/postgres`, user: USER, password: 'opensesame' },
    query: psql,
    rows: async (sql) => {
      // psql 15 leaves some characters out of what it prints, U+10FFFE for one.
      const text = `encode(convert_to(coalesce(json_agg(r), '[]')::text, 'UTF8'), 'base64')`;
      return JSON.parse(Buffer.from(await psql(`SELECT ${text} FROM (${sql}) AS r`), 'base64').toString('utf8'));
    },
    endSessions: () => {
      const sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kafkaload'";
      execFileSync(join(programs, 'psql'), [...client, sql, 'postgres']);
    },
    crash,
    start,
    stop: async () => {
      await crash();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @returns Settings of the server. */
async function secure(data: string, tls: PostgresTls, owner: { uid: number; gid: number } | null) {
  const files = {
    ssl_ca_file: tls.authority.certificate,
    ssl_cert_file: tls.server.certificate,
    ssl_key_file: tls.server.key,
  };
  for (const [name, file] of Object.entries(files)) {
    const copy = join(data, name);
    await copyFile(file, copy);
    await chmod(copy, 0o600);
    if (owner) await chown(copy, owner.uid, owner.gid);
  }
  const rules = [...tls.roles.map((role) => `hostssl all ${role} all cert`), 'hostssl all all all trust'];
  await writeFile(join(data, 'pg_hba.conf'), `${rules.join('\n')}\n`);
  return { ssl: 'on', ...Object.fromEntries(Object.keys(files).map((name) => [name, name])) };
}

/** Folder of `postgres`, `initdb` and `psql`; Debian's package is installed where they are missing and we may. */
async function postgresPrograms(): Promise<string> {
  const found = await findPrograms();
  if (found !== null) return found;
  say('installing PostgreSQL for the tests (apt-get install postgresql, once)');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const installed = await runProgram('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql'], { env });
  const programs = await findPrograms();
  if (programs !== null) return programs;
  throw new Error(`PostgreSQL is missing, and apt-get install postgresql failed:\n${installed.stderr.slice(-2000)}`);
}

async function findPrograms(): Promise<string | null> {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? (await readdir(root)).map(Number).sort((a, b) => b - a) : [];
  const folders = versions.map((version) => join(root, String(version), 'bin'));
  return [...folders, '/usr/local/bin', '/usr/bin'].find((folder) => existsSync(join(folder, 'initdb'))) ?? null;
}

/** The server refuses to run as root: then the user that the package made. */
async function serverUser(): Promise<{ uid: number; gid: number } | null> {
  if (process.getuid?.() !== 0) return null;
  const [uid, gid] = await Promise.all(['-u', '-g'].map((option) => mustRun('id', [option, 'postgres'])));
  return { uid: Number(uid), gid: Number(gid) };
}

async function runAs(user: { uid: number; gid: number } | null, file: string, args: readonly string[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: tmpdir(), ...(user ?? {}) });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`${file} ended with ${code}: ${stderr}`)),
    );
  });
}
