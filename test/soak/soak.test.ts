import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { runCommand } from '../helpers/command.ts';
import { type SteppedCommand, type StepTarget, startStepped, targetsOf } from '../helpers/steps.ts';
import { delay } from '../helpers/wait.ts';
import { type OffloadJob, query, Workspace } from '../helpers/workspace.ts';
import { type Figures, formatFigures, STRETCHES, stretchOf, type Verdict } from './figures.ts';

/**
 * `npm run soak`. Messages arrive all the time; configs of every layout and offset mode take turns to offload them, half of
 * the runs are killed, at a random moment or at a step between prepare and commit, which takes no time to speak of; some
 * come in pairs. What is in the files at the end is compared with what was sent.
 */
const MINUTES = Number(process.env.KAFKALOAD_SOAK_MINUTES ?? '1');
const PARTITIONS = 4;
const MESSAGES_AT_ONCE = 400;
const PADDING = 100;
/** Of runs that are neither left alone nor alone. */
const KILLED_SHARE = 0.5;
/** Of those that are killed: at a step, not at a random moment. */
const AIMED_SHARE = 0.4;
const PAIRED_SHARE = 0.15;

const LAYOUTS = [
  { name: 'folder', args: [] },
  { name: 'one-file', args: ['--write-coalesce', '1'], file: 'all.parquet' },
  { name: 'three-files', args: ['--write-coalesce', '3'] },
  { name: 'partitioned', args: ['--write-partition-by', 'partition'] },
] as const;

interface SoakedJob {
  readonly job: OffloadJob;
  readonly args: readonly string[];
  /** All Parquet files of the target, for DuckDB. */
  readonly glob: string;
  /** How long runs take that nobody kills, in milliseconds: what kills are spread over. */
  usualMs: number;
  /** Steps between prepare and commit, of a run that nobody killed. */
  targets: readonly StepTarget[];
}

/** What ends a run early: so many milliseconds, or a step. */
type Kill = { readonly afterMs: number } | { readonly at: StepTarget };

let work: Workspace;
const running = new Set<SteppedCommand>();

beforeAll(async () => {
  work = await Workspace.open(inject('bootstrapServers'));
});

afterAll(async () => {
  for (const { child } of running) child.kill('SIGKILL');
  await work.close();
});

async function makeJobs(topic: string): Promise<SoakedJob[]> {
  const jobs: SoakedJob[] = [];
  for (const mode of ['FILE', 'STREAM'] as const) {
    for (const layout of LAYOUTS) {
      const job = await work.job({ topic, mode, config: `${layout.name}-${mode}` });
      const target = 'file' in layout ? `${job.out}/${layout.file}` : job.out;
      const args = job.args(['--write-path', target, '--report', 'json', ...layout.args]);
      jobs.push({ job, args, glob: `${job.out}/**/*.parquet`, usualMs: 3_000, targets: [] });
    }
  }
  return jobs;
}

async function run(soaked: SoakedJob, figures: Figures, kill: Kill | null): Promise<void> {
  const began = performance.now();
  const stop = kill && 'at' in kill ? { ...kill.at, signal: 'SIGKILL' as const } : undefined;
  const started = startStepped(soaked.args, soaked.job.folder, stop);
  running.add(started);
  figures.runs += 1;
  const afterMs = kill && 'afterMs' in kill ? kill.afterMs : null;
  const timer = afterMs === null ? undefined : setTimeout(() => started.child.kill('SIGKILL'), afterMs);
  const { result, steps } = await started.ended;
  const { code, signal, stdout, stderr } = result;
  clearTimeout(timer);
  running.delete(started);
  if (signal === 'SIGKILL') {
    figures.killed[stretchOf(steps)] += 1;
    if (stop) figures.killedAtStep += 1;
  } else if (code === 0) {
    figures.finished += 1;
    figures.recovered += (JSON.parse(stdout) as { recovered: readonly unknown[] }).recovered.length;
    soaked.usualMs = (soaked.usualMs + performance.now() - began) / 2;
    const targets = targetsBetween(steps);
    if (targets.length > 0) soaked.targets = targets;
  } else {
    // Whatever a run was stopped by, there is no other reason to end with an error here.
    expect(stderr, `status ${code}`).toMatch(/run \S+ .*(on host|was taken over by another)/);
    expect(code).toBe(1);
    figures.stoodBack += 1;
  }
}

/** Steps of a whole run between prepare and commit; none if it found nothing new. */
function targetsBetween(steps: readonly string[]): StepTarget[] {
  const after = 'open.cleaned';
  return targetsOf(steps, after).filter(({ name, nth }) => {
    const at = steps.map((step, index) => (step === name ? index : -1)).filter((index) => index > steps.indexOf(after));
    return stretchOf(steps.slice(0, (at[nth - 1] ?? -1) + 1)) === 'between prepare and commit';
  });
}

function anyKill({ targets, usualMs }: SoakedJob): Kill {
  const target = targets[Math.floor(Math.random() * targets.length)];
  if (target === undefined || Math.random() >= AIMED_SHARE) return { afterMs: Math.random() * 1.2 * usualMs };
  const { name, nth } = target;
  // Not only of its own: those of a run that it finishes count as well, half of the time.
  return { at: Math.random() < 0.5 ? target : { name, nth } };
}

async function turn(soaked: SoakedJob, figures: Figures): Promise<void> {
  const chance = Math.random();
  // One that is left alone first shows which steps there are.
  if (soaked.targets.length === 0) await run(soaked, figures, null);
  else if (chance < KILLED_SHARE) await run(soaked, figures, anyKill(soaked));
  else if (chance < KILLED_SHARE + PAIRED_SHARE) {
    figures.pairs += 1;
    const second = Math.random() < 0.5 ? anyKill(soaked) : null;
    await Promise.all([run(soaked, figures, null), run(soaked, figures, second)]);
  } else await run(soaked, figures, null);
}

async function judge({ job, glob }: SoakedJob, sent: number): Promise<Verdict> {
  const [found] = await query(
    `SELECT count(*)::INTEGER AS rows, count(DISTINCT value)::INTEGER AS values,
       count(*) FILTER (NOT regexp_matches(value, '^value \\d+ ') OR split_part(value, ' ', 2)::BIGINT >= ${sent})::INTEGER AS strange
     FROM read_parquet('${glob}', hive_partitioning = false)`,
  );
  const { rows, values, strange } = found as { rows: number; values: number; strange: number };
  expect([job.config, strange]).toEqual([job.config, 0]);
  return { config: job.config, rows, doubled: rows - values, lost: sent - values };
}

test(
  'every row is there once, whatever was killed',
  async () => {
    const began = performance.now();
    const killed = Object.fromEntries(STRETCHES.map((stretch) => [stretch, 0])) as Figures['killed'];
    const figures: Figures = { runs: 0, finished: 0, killed, killedAtStep: 0, stoodBack: 0, recovered: 0, pairs: 0 };
    const topic = await work.topics.create('soak', { partitions: PARTITIONS });
    const jobs = await makeJobs(topic);
    const isOver = (): boolean => performance.now() - began > MINUTES * 60_000;
    let sent = 0;
    const send = async (): Promise<void> => {
      const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
      sent += (await work.send(topic, MESSAGES_AT_ONCE, partitions, PADDING)).length;
    };
    await send();
    const producing = (async () => {
      while (!isOver()) {
        await send();
        await delay(500);
      }
    })();
    producing.catch(() => {});
    for (let next = 0; !isOver(); next++) await turn(jobs[next % jobs.length] as SoakedJob, figures);
    await producing;

    const verdicts: Verdict[] = [];
    for (const soaked of jobs) {
      const { job, args } = soaked;
      const last = await runCommand(args, { cwd: job.folder });
      figures.runs += 1;
      expect(last.code, last.stderr).toBe(0);
      figures.finished += 1;
      figures.recovered += (JSON.parse(last.stdout) as { recovered: readonly unknown[] }).recovered.length;
      verdicts.push(await judge(soaked, sent));
      const verify = ['verify', '--path', job.out, '--conf', job.confPath, '--config', job.config];
      const verified = await runCommand(verify, { cwd: job.folder });
      expect(verified.code, `${job.config}: ${verified.stdout}${verified.stderr}`).toBe(0);
      expect(await job.staged()).toEqual([]);
    }
    const seconds = (performance.now() - began) / 1000;
    process.stdout.write(`\n${formatFigures({ seconds, messages: sent }, figures, verdicts)}\n`);
    for (const { config, doubled, lost } of verdicts)
      expect({ config, doubled, lost }).toEqual({ config, doubled: 0, lost: 0 });
  },
  MINUTES * 60_000 + 600_000,
);
