import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readTopicWithJava } from '../helpers/producers.ts';
import { startStepped, targetsOf } from '../helpers/steps.ts';
import { OFFSETS_MODES, type OffloadJob, type OffsetsMode, Workspace } from '../helpers/workspace.ts';

/** Dead letters of a run to files that is killed at each step of theirs: each record once, in a file or as a letter. */

const MESSAGES = 60;
const isBad = (id: number) => id % 7 === 0;

let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
});

afterAll(() => work.close());

async function jobOf(
  mode: OffsetsMode,
  accessOptions: Readonly<Record<string, unknown>> = {},
): Promise<{ job: OffloadJob; letters: string }> {
  const topic = await work.topics.create('dead');
  const values = Array.from({ length: MESSAGES }, (_, id) => {
    return Buffer.concat([Buffer.from(`value ${id}`), Buffer.from(isBad(id) ? [0xff] : [])]);
  });
  await work.sendBytes(topic, values);
  const letters = work.topics.reserve('letters');
  const progressTopic = work.topics.reserve('progress');
  const entry = { fields: ['value as STRING', 'offset as LONG'], onBadRecord: `dlq:${letters}`, accessOptions };
  return { job: await work.job({ topic, mode, progressTopic, entry }), letters };
}

async function expectOnce(job: OffloadJob, letters: string, saved: object = { 0: MESSAGES }): Promise<void> {
  const found = await readTopicWithJava(work.bootstrapServers, letters);
  const offsets = found.map(({ headers }) => {
    return Number(headers.find(([name]) => name === 'kafkaload.error.offset')?.[1]?.toString());
  });
  const ids = Array.from({ length: MESSAGES }, (_, id) => id);
  expect(offsets.toSorted((a, b) => a - b)).toEqual(ids.filter(isBad));
  expect(await job.values()).toHaveLength(ids.length - offsets.length);
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
