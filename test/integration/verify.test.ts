import { appendFile, copyFile, mkdir, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { runCommand } from '../helpers/command.ts';
import { type OffloadJob, OFFSETS_MODES, Workspace } from '../helpers/workspace.ts';

/** `kafkaload verify` on what real runs have left, whole and damaged. */

const bootstrapServers = inject('bootstrapServers');
let work: Workspace;

beforeAll(async () => {
  work = await Workspace.open(bootstrapServers);
});

afterAll(async () => {
  await work.close();
});

interface Report {
  readonly ok: boolean;
  readonly configs: readonly {
    readonly config: string;
    readonly runs: number;
    readonly uncommittedRuns: number;
    readonly files: number;
    readonly rows: number;
    readonly ranges: readonly { partition: number; startOffset: number; endOffset: number }[];
    readonly comparedRows: number | null;
    readonly comparedMessages: number | null;
  }[];
  readonly findings: readonly { readonly kind: string; readonly message: string; readonly path?: string }[];
  readonly remarks: readonly string[];
}

/** What `verify` says of the target of a job; its exit status must agree. */
async function verify(job: OffloadJob, path = job.out, ...more: string[]): Promise<Report> {
  const args = ['verify', '--path', path, '--conf', job.confPath, '--report', 'json', ...more];
  const result = await runCommand(args, { cwd: job.folder });
  expect([0, 3], result.stderr).toContain(result.code);
  const report = JSON.parse(result.stdout) as Report;
  expect(result.code).toBe(report.ok ? 0 : 3);
  expect(report.ok).toBe(report.findings.length === 0);
  return report;
}

/** With everything that can be compared. */
function verifyAll(job: OffloadJob, path = job.out): Promise<Report> {
  return verify(job, path, '--config', job.config, '--deep');
}

function kinds({ findings }: Report): string[] {
  return [...new Set(findings.map(({ kind }) => kind))].sort();
}

async function manifests(folder: string): Promise<string[]> {
  const path = join(folder, '_kafkaload', 'manifests', 'orders');
  return (await readdir(path)).sort().map((name) => join(path, name));
}

async function threeRuns(mode: 'STREAM' | 'FILE', ...args: string[]): Promise<OffloadJob> {
  const topic = await work.topics.create('verify', { partitions: 2 });
  const job = await work.job({ topic, mode });
  for (let run = 0; run < 3; run++) {
    await work.send(topic, 100, [0, 1]);
    await job.report(...args);
  }
  return job;
}

describe.each(OFFSETS_MODES)('offsets in mode %s', (mode) => {
  test('three Append runs', async () => {
    const job = await threeRuns(mode);
    const report = await verifyAll(job);
    console.log(JSON.stringify(report, null, 1));
    expect(report).toMatchObject({ ok: true });
  });
});
