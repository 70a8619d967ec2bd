/** All that is looked at of one config. */
import { resolve } from 'node:path';
import type { VisibleState } from '../commit/session.ts';
import type { FetchSettings } from '../config/kafkaSettings.ts';
import type { FileSystem } from '../io.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { offsetKey } from '../plan/places.ts';
import type { GapCounts } from '../tasks.ts';
import { NO_GAPS } from '../tasks.ts';
import type { ChainedRun } from './chain.ts';
import { type Coverage, walkRuns } from './coverage.ts';
import { mergeRanges } from './coveredRanges.ts';
import { checkExactFiles } from './exactFiles.ts';
import { checkFile, type LiveFile } from './files.ts';
import type { FoundChain } from './readChain.ts';
import type { FolderState } from './readFolder.ts';
import { type ComparedRows, compareRows } from './rows.ts';
import { compareSaved } from './saved.ts';
import type { Finding, VerifiedConfig } from './types.ts';

export interface ConfigToVerify {
  readonly config: string;
  readonly root: string;
  /** Relative to the root: the one file that is meant; null: all. */
  readonly file: string | null;
  readonly folder: FolderState;
  /** In the order in which they followed one another. */
  readonly runs: readonly ChainedRun[];
  /** Null: runs of batch. */
  readonly stream: FoundChain | null;
  /** Of all configs, by absolute path. */
  readonly live: ReadonlyMap<string, LiveFile>;
  readonly deep: boolean;
  /** Null: without `--config`. */
  readonly saved: { readonly state: VisibleState; readonly cluster: Cluster; readonly fetch: FetchSettings } | null;
  readonly fs: FileSystem;
  readonly signal: AbortSignal;
}

export interface ConfigResult {
  readonly report: VerifiedConfig;
  readonly findings: readonly Finding[];
  readonly remarks: readonly string[];
}

export async function verifyConfig(input: ConfigToVerify): Promise<ConfigResult> {
  const { config, root, file, folder, stream, live, saved, fs, signal } = input;
  const damaged = folder.damaged.filter((entry) => entry.config === config).map(({ run }) => run);
  const coverage = walkRuns(config, input.runs, new Set(damaged), file);
  const counted = new Set(coverage.runs.map(({ manifest }) => manifest.run));
  const findings = [...checkManifests(input, counted), ...(stream?.findings ?? []), ...coverage.findings];
  const remarks = [...coverage.remarks];
  if (saved) {
    const isHere = (folderOfRun: string): boolean => resolve(folderOfRun) === resolve(root);
    const compared = compareSaved(config, saved.state, folder, coverage.ends, isHere);
    findings.push(...compared.findings);
    remarks.push(...compared.remarks);
  }
  const exact = checkExactFiles(root, coverage.runs);
  findings.push(...exact.findings);
  remarks.push(...exact.remarks);
  const files = [...live.values()].filter((entry) => entry.config === config && counted.has(entry.run.run));
  const whole: LiveFile[] = [];
  for (const entry of files) {
    signal.throwIfAborted();
    const unpublished = stream?.unpublished.get(entry.path);
    if (unpublished !== undefined) {
      remarks.push(
        `entry ${unpublished} of ${config} counts, and is not visible yet: it is published just now, or at the next start`,
      );
      continue;
    }
    const finding = await checkFile(fs, entry, folder.pending);
    if (finding) findings.push(finding);
    else whole.push(entry);
  }
  const compared = input.deep ? await compareRows(config, coverage.runs, whole, signal) : null;
  if (compared) {
    findings.push(...compared.findings);
    remarks.push(...compared.remarks);
  }
  const topic = compared && saved ? await compareMessages(input, coverage, compared, saved) : null;
  if (topic) {
    findings.push(...topic.findings);
    remarks.push(...topic.remarks);
  }
  return {
    report: {
      config,
      isStream: stream !== null,
      runs: coverage.runs.length,
      uncommittedRuns: coverage.runs.filter(({ manifest }) => !manifest.committed).length,
      files: files.length,
      rows: countRows(files, coverage.runs),
      bytes: files.reduce((sum, { recorded }) => sum + recorded.bytes, 0),
      ranges: mergeRanges(coverage.ranges),
      gaps: sumGaps(coverage),
      comparedRows: compared?.rows ?? null,
      comparedMessages: topic?.messages ?? null,
    },
    findings,
    remarks,
  };
}

/** Manifests that cannot be read, or are not those that the next run saw. */
function checkManifests({ config, runs, folder }: ConfigToVerify, counted: ReadonlySet<string>): Finding[] {
  const found: Finding[] = folder.damaged
    .filter((entry) => entry.config === config)
    .map(({ run, path }) => {
      const message = `the manifest ${path} is damaged: what run ${run} wrote cannot be checked`;
      return { kind: 'damaged-manifest', config, message, run, path };
    });
  for (const [index, { manifest, link }] of runs.entries()) {
    const before = runs[index - 1]?.manifest.run ?? '';
    if (link.kind !== 'linked' || !link.wasChanged || !(counted.has(manifest.run) && counted.has(before))) continue;
    const message = `the manifest of run ${before} was changed: it is not the one that run ${manifest.run} followed`;
    found.push({ kind: 'damaged-manifest', config, message, run: before });
  }
  return found;
}

/** Formats other than Parquet record the new rows of an exact file alone. */
function countRows(files: readonly LiveFile[], runs: readonly ChainedRun[]): number {
  return files.reduce((sum, { recorded, run }) => {
    if (run.target.kind === 'folder' || run.content?.output.format === 'parquet') return sum + recorded.rows;
    const own = runs.filter(({ manifest }) => manifest.target.path === run.target.path);
    return sum + own.reduce((rows, { manifest }) => rows + (manifest.files[0]?.rows ?? 0), 0);
  }, 0);
}

function sumGaps({ runs }: Coverage): GapCounts {
  const sum = { ...NO_GAPS };
  const causes = Object.keys(sum) as (keyof GapCounts)[];
  for (const { manifest } of runs) {
    if (!manifest.committed) continue;
    for (const gap of manifest.gaps) for (const cause of causes) sum[cause] += gap[cause];
  }
  return sum;
}

async function compareMessages(
  { config, runs }: ConfigToVerify,
  coverage: Coverage,
  compared: ComparedRows,
  { cluster, fetch }: NonNullable<ConfigToVerify['saved']>,
) {
  const { compareWithTopic } = await import('./topicRows.ts');
  const covered = coverage.ranges.filter(({ run }) => compared.runs.has(run));
  const ranges = mergeRanges(covered);
  const bad = new Map<string, number>();
  for (const { gaps, ...range } of covered) {
    bad.set(offsetKey(range), (bad.get(offsetKey(range)) ?? 0) + gaps.bad);
  }
  const topicIds = runs.findLast(({ manifest }) => manifest.committed)?.manifest.topicIds ?? {};
  return compareWithTopic(config, cluster, fetch, { ranges, bad }, compared.counts, topicIds);
}
