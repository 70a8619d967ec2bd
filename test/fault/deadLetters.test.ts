import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts';
import { readTopicWithJava } from '../helpers/producers.ts';
import { type StepSignal, startStepped, targetsOf } from '../helpers/steps.ts';
import { waitFor } from '../helpers/wait.ts';
import { OFFSETS_MODES, type OffloadJob, type OffsetsMode, query, Workspace } from '../helpers/workspace.ts';

/** Dead letters of a run that is killed at each step of theirs: each record once, in a file or table or as a letter. */

const MESSAGES = 60;
const isBad = (id: number) => id % 7 === 0;

let work: Workspace;
let server: PostgresServer;

beforeAll(async () => {
  [work, server] = await Promise.all([Workspace.open(inject('bootstrapServers')), startPostgres()]);
});

afterAll(async () => {
  await work.close();
  await server.stop();
});

async function jobOf(
  mode: OffsetsMode,
  accessOptions: Readonly<Record<string, unknown>> = {},
): Promise<{ job: OffloadJob; topic: string; letters: string }> {
  const topic = await work.topics.create('dead');
  await send(topic, 0);
  const letters = work.topics.reserve('letters');
  const progressTopic = work.topics.reserve('progress');
  const entry = { fields: ['value as STRING', 'offset as LONG'], onBadRecord: `dlq:${letters}`, accessOptions };
  const connections = { pg: { type: 'POSTGRESQL', options: server.options } };
  return { job: await work.job({ topic, mode, progressTopic, entry, connections }), topic, letters };
}

/** Ids are offsets. */
async function send(topic: string, firstId: number): Promise<void> {
  const values = Array.from({ length: MESSAGES }, (_, index) => {
    const id = firstId + index;
    return Buffer.concat([Buffer.from(`value ${id}`), Buffer.from(isBad(id) ? [0xff] : [])]);
  });
  await work.sendBytes(topic, values);
}

/** Of all of them, those that are bad are letters, once. @returns Ids of the others. */
async function expectLetters(letters: string, count = MESSAGES): Promise<number[]> {
  const found = await readTopicWithJava(work.bootstrapServers, letters);
  const offsets = found.map(({ headers }) => {
    return Number(headers.find(([name]) => name === 'kafkaload.error.offset')?.[1]?.toString());
  });
  const ids = Array.from({ length: count }, (_, id) => id);
  expect(offsets.toSorted((a, b) => a - b)).toEqual(ids.filter(isBad));
  return ids.filter((id) => !isBad(id));
}

async function expectOnce(job: OffloadJob, letters: string, saved: object = { 0: MESSAGES }): Promise<void> {
  const good = await expectLetters(letters);
  expect(await job.values()).toHaveLength(good.length);
  expect(await job.saved()).toEqual(saved);
  expect(await job.staged()).toEqual([]);
}

test.each(OFFSETS_MODES)('killed at each step of the dead letters, then run again (%s)', async (mode) => {
  const { job: whole, letters: wholeLetters } = await jobOf(mode);
  const run = await startStepped(whole.args(), whole.folder).ended;
  expect(run.result.code, run.result.stderr).toBe(0);
  await expectOnce(whole, wholeLetters);
  const own = run.steps.filter((name) => /^deadLetters\.|\.deadLetters/.test(name));
  const names = targetsOf(own).map(({ name }) => name);
  expect(new Set(names)).toEqual(
    new Set([
      ...['stage.deadLettersWritten', 'deadLetters.begun', 'deadLetters.othersFenced', 'deadLetters.progressRead'],
      ...['deadLetters.sent', 'deadLetters.committed', 'deadLetters.written'],
    ]),
  );
  const asked =
    mode === 'FILE'
      ? ['deadLetters.sent', 'deadLetters.committed']
      : ['stage.deadLettersWritten', 'deadLetters.othersFenced', 'deadLetters.written'];
  for (const name of asked) {
    const { job, letters } = await jobOf(mode);
    const killed = await startStepped(job.args(), job.folder, { name, nth: 1, signal: 'SIGKILL' }).ended;
    expect([name, killed.isStopped]).toEqual([name, true]);
    expect((await job.report()).rows).toBe(name === 'stage.deadLettersWritten' ? MESSAGES - 9 : 0);
    await expectOnce(job, letters);
  }
});

test('a run whose dead letters are written is not given back, and is finished by the next', async () => {
  const { job, letters } = await jobOf('STREAM');
  await startStepped(job.args(), job.folder, { name: 'deadLetters.committed', nth: 1, signal: 'SIGKILL' }).ended;
  const args = ['offsets', 'recover', '--discard', '--conf', job.confPath, '--config', job.config];
  const refused = await startStepped(args, job.folder).ended;
  expect(refused.result.code).toBe(1);
  await job.report();
  await expectOnce(job, letters);
});

test('a stream to files that is killed at each step of its dead letters', async () => {
  const session = { 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 1_000 };
  const streamOf = () => jobOf('FILE', { 'group.id': work.topics.reserve('group'), ...session });
  const names = ['chain.created', 'deadLetters.sent', 'deadLetters.committed', 'chain.deadLettersWritten'];
  for (const name of names) {
    const { job, letters } = await streamOf();
    const args = [...job.args(), '--stream'];
    const killed = await startStepped(args, job.folder, { name, nth: 1, signal: 'SIGKILL' }).ended;
    expect(killed.result.signal, `${name}: ${killed.result.stderr}`).toBe('SIGKILL');
    const next = await startStepped(args, job.folder).ended;
    expect(next.result.code, `${name}: ${next.result.stderr}`).toBe(0);
    // A stream saves no offsets of batch.
    await expectOnce(job, letters, {});
    expect((await job.files()).filter((file) => file.includes('/staging/'))).toEqual([]);
  }
});

/** A stream to a table: its command, and what is in the database. */
interface TableRun {
  readonly run: (...stops: readonly StepSignal[]) => ReturnType<typeof startStepped>;
  readonly rows: (sql: string) => Promise<Record<string, unknown>[]>;
}

function tableRun(job: OffloadJob, database: string, table: string): TableRun {
  const path = join(job.folder, 'rows.duckdb');
  const place = database === 'DuckDB' ? ['--write-options', `database=${path}`] : ['--connectionRef', 'pg'];
  const common = ['--conf', job.confPath, '--config', job.config, '--stream'];
  return {
    run: (...stops) =>
      startStepped([...common, '--streaming-to-table', `dead.${table}`, ...place], job.folder, ...stops),
    rows: (sql) =>
      database === 'DuckDB' ? query(`ATTACH '${path}' AS d (READ_ONLY); USE d; ${sql}`) : server.rows(sql),
  };
}

async function expectInTable({ rows }: TableRun, table: string, good: readonly number[]): Promise<void> {
  const found = await rows(`SELECT CAST("offset" AS INTEGER) AS id FROM dead.${table} ORDER BY 1`);
  expect(found.map(({ id }) => id)).toEqual(good);
  expect(await rows(`SELECT run FROM dead._kafkaload_dead_letters WHERE table_name = '${table}'`)).toEqual([]);
}

/** The first of a name is of letters that the process before has left, if it has; the second of its own. */
const KILLS = {
  PostgreSQL: [
    { name: 'table.deadLettersKept', nth: 1 },
    { name: 'table.committed', nth: 1 },
    { name: 'deadLetters.sent', nth: 1 },
    { name: 'deadLetters.committed', nth: 2 },
    { name: 'table.deadLettersWritten', nth: 1 },
    { name: 'table.deadLettersRemoved', nth: 2 },
  ],
  DuckDB: [
    { name: 'table.committed', nth: 1 },
    { name: 'deadLetters.sent', nth: 2 },
    { name: 'table.deadLettersWritten', nth: 1 },
  ],
} as const;

test.each(['PostgreSQL', 'DuckDB'] as const)(
  'a stream to a table in %s that is killed at one step of its dead letters after the other',
  async (database) => {
    // A static member takes the place of the one that was killed at once.
    const access = { 'group.id': work.topics.reserve('group'), 'group.instance.id': 'one' };
    const { job, topic, letters } = await jobOf('FILE', access);
    const table = tableRun(job, database, 'killed');
    let sent = MESSAGES;
    for (const kill of KILLS[database]) {
      const { result, isStopped } = await table.run({ ...kill, signal: 'SIGKILL' }).ended;
      expect([kill, isStopped], result.stderr).toEqual([kill, true]);
      await send(topic, sent);
      sent += MESSAGES;
    }
    const { result, steps } = await table.run().ended;
    expect(result.code, result.stderr).toBe(0);
    const own = steps.filter((name) => name.startsWith('table.deadLetters'));
    const names = ['table.deadLettersKept', 'table.deadLettersWritten', 'table.deadLettersRemoved'];
    expect(new Set(own)).toEqual(new Set(names));
    await expectInTable(table, 'killed', await expectLetters(letters, sent));
  },
);

test('one that slept over its dead letters writes none, as another has written them', async () => {
  const session = { 'session.timeout.ms': 6_000, 'heartbeat.interval.ms': 1_000 };
  const { job, letters } = await jobOf('FILE', { 'group.id': work.topics.reserve('group'), ...session });
  const table = tableRun(job, 'PostgreSQL', 'slept');
  const sleeper = table.run({ name: 'deadLetters.progressRead', nth: 1, signal: 'SIGSTOP' });
  await waitFor('one to sleep', () => sleeper.isSignalled());
  const { result } = await table.run().ended;
  expect(result.code, result.stderr).toBe(0);
  sleeper.child.kill('SIGCONT');
  const woken = await sleeper.ended;
  expect(woken.result.code, woken.result.stderr).toBe(0);
  expect(woken.steps).not.toContain('table.deadLettersWritten');
  await expectInTable(table, 'slept', await expectLetters(letters));
});
