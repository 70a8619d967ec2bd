/**
 * `kafkaload verify`: shows that what runs and streams recorded is there, once. Looks only: takes no lock, opens no run, finishes
 * nothing, makes nothing.
 *
 *     manifests -> order of the runs -> offsets they account for -> files -> with --deep: rows, messages
 *
 * A run may be alive meanwhile: where something does not fit and the folder has changed since it was read, all is read
 * again. Where it changes each time, what is found by two looks in a row is so: a run shows in the folder before it saves
 * its offsets, and the second look at the folder comes after the first at what is saved.
 */
import { basename, dirname } from 'node:path';
import type { VerifyJob } from '../config/job.ts';
import { ioError, OffloadError } from '../errors.ts';
import { type FileSystem, nodeFileSystem, unlessAbsent } from '../io.ts';
import { Cluster } from '../kafka/cluster.ts';
import { listVisibleFiles } from '../sinks/localFiles.ts';
import { chainRuns, elsewhereOf } from './chain.ts';
import { checkStrangers, liveFiles } from './files.ts';
import { type FolderState, readFolder } from './readFolder.ts';
import { readSaved } from './readSaved.ts';
import type { Finding, VerifiedConfig, VerifyReport } from './types.ts';
import { verifyConfig } from './verifyConfig.ts';

/** Runs that end one after the other while a large folder is read. */
const MOST_LOOKS = 5;

interface Target {
  readonly root: string;
  /** Relative to the root: the one file that is meant. */
  readonly file: string | null;
}

/**
 * @returns What was found; damage is no error.
 * @throws OffloadError TARGET_UNSUITABLE where no run has written; IO_FAILED; broker errors and SAVED_OFFSETS_INVALID with
 *   `--config`.
 */
export async function verify(
  job: VerifyJob,
  signal: AbortSignal,
  fs: FileSystem = nodeFileSystem,
): Promise<VerifyReport> {
  const cluster = job.saved ? new Cluster(job.saved.kafka.connection, signal) : null;
  try {
    const target = await findTarget(fs, job.path);
    let before: ReadonlySet<string> = new Set();
    for (let looks = 1; ; looks++) {
      const folder = await readFolder(fs, target.root);
      const report = await look(job, target, folder, cluster, fs, signal);
      // What is saved is read later than the folder.
      const isClean = report.findings.length === 0 && job.saved === null;
      if (isClean || (await readFolder(fs, target.root)).mark === folder.mark) return report;
      if (looks === MOST_LOOKS) return confirmed(report, before);
      before = new Set(report.findings.map((finding) => JSON.stringify(finding)));
    }
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof OffloadError || !(error instanceof Error && 'syscall' in error)
      ? error
      : ioError('verify', job.path, error);
  } finally {
    cluster?.close();
  }
}

/** @param before What the look before has found, each as JSON. */
function confirmed(report: VerifyReport, before: ReadonlySet<string>): VerifyReport {
  const findings = report.findings.filter((finding) => before.has(JSON.stringify(finding)));
  const left = report.findings.length - findings.length;
  const remark =
    `runs ended while it was read, each of ${MOST_LOOKS} times; findings that may be of a run under way, and are left ` +
    `out: ${left}; verify again when fewer runs end`;
  return { ...report, findings, remarks: left > 0 ? [...report.remarks, remark] : report.remarks };
}

/** A folder that holds `_kafkaload/`, or one file in it, which may be gone. */
async function findTarget(fs: FileSystem, path: string): Promise<Target> {
  const info = await unlessAbsent(fs.stat(path));
  if (info?.isDirectory()) return { root: path, file: null };
  const root = dirname(path);
  const { manifests, chains } = await readFolder(fs, root);
  const runs = [...[...manifests.values()].flat(), ...chains.flatMap((chain) => chain.runs)].map(
    ({ manifest }) => manifest,
  );
  if (runs.some(({ target }) => target.kind === 'file' && target.path === basename(path))) {
    return { root, file: basename(path) };
  }
  const isOneOfMany = runs.some(({ files }) => files.some((file) => file.path === basename(path)));
  throw unsuitable(
    path,
    isOneOfMany ? `it is one file of a folder; verify ${root}` : info ? NO_RUN : 'it is not there',
  );
}

const NO_RUN =
  'no run of kafkaload has written there; name the folder that holds _kafkaload, or the file of --write-coalesce 1';

async function look(
  job: VerifyJob,
  { root, file }: Target,
  folder: FolderState,
  cluster: Cluster | null,
  fs: FileSystem,
  signal: AbortSignal,
): Promise<VerifyReport> {
  const only = job.saved?.config ?? null;
  const state = job.saved && cluster ? await readSaved(job.saved, cluster, signal) : null;
  const known = [...new Set([...folder.manifests.keys(), ...folder.damaged.map(({ config }) => config)])].sort(
    (a, b) => (a < b ? -1 : 1),
  );
  const streams = new Map(folder.chains.map((chain) => [chain.owner, chain]));
  const ownStreams = [...streams.values()].filter(({ configs }) => only === null || configs.includes(only));
  const names = only === null ? known : [only];
  const visible = file === null ? await listVisibleFiles(fs, root) : [];
  if (known.length + streams.size === 0 && !visible.some((path) => NAME_OF_A_RUN.test(path)) && !state?.previousRun) {
    throw unsuitable(job.path, NO_RUN);
  }
  const configs: VerifiedConfig[] = [];
  const findings: Finding[] = [];
  const remarks: string[] = [];
  const chains = new Map<string, Awaited<ReturnType<typeof chainRuns>>>();
  for (const config of known) {
    chains.set(config, await chainRuns(folder.manifests.get(config) ?? [], elsewhereOf(fs, root, config)));
  }
  for (const { owner, runs } of streams.values()) chains.set(owner, runs);
  const here = [...chains.values()].flat().filter(({ isHere }) => isHere);
  const live = liveFiles(root, here);
  // Of a config that has streamed alone, runs of batch are not missed.
  const isStreamOnly = only !== null && !known.includes(only) && ownStreams.length > 0 && !state?.previousRun;
  for (const config of [...(isStreamOnly ? [] : names), ...ownStreams.map(({ owner }) => owner)]) {
    signal.throwIfAborted();
    const result = await verifyConfig({
      ...{ config, root, file, folder, live, fs, signal, deep: job.deep },
      runs: chains.get(config) ?? [],
      stream: streams.get(config) ?? null,
      saved:
        job.saved && state && cluster && !streams.has(config) ? { state, cluster, fetch: job.saved.kafka.fetch } : null,
    });
    configs.push(result.report);
    findings.push(...result.findings);
    remarks.push(...result.remarks);
  }
  const strangers = await checkStrangers(
    fs,
    visible.filter((path) => !live.has(path)),
    live,
    folder.pending,
  );
  const isOwn = (config: string | null): boolean =>
    only === null || config === null || config === only || ownStreams.some(({ owner }) => owner === config);
  findings.push(...strangers.findings.filter(({ config }) => isOwn(config)));
  const [other] = strangers.others;
  if (other !== undefined) {
    const more = strangers.others.length > 1 ? ` and ${strangers.others.length - 1} more` : '';
    remarks.push(`${other}${more} was not written by kafkaload, and was not looked at`);
  }
  for (const { config, run } of folder.pending) {
    if (only !== null && config !== only) continue;
    remarks.push(
      `run ${run} of ${config} has staged its files and not ended: it still runs, or the next run finishes it`,
    );
  }
  return { path: job.path, deep: job.deep, configs, findings, remarks: [...new Set(remarks)] };
}

const NAME_OF_A_RUN = /-\d{8}T\d{6}Z-[0-9a-f]{8}\.[^/]+$/;

function unsuitable(path: string, why: string): OffloadError {
  return new OffloadError('TARGET_UNSUITABLE', `cannot verify ${path}: ${why}`, { context: { path } });
}
