/**
 * Who a run is, and whether that process can still be there. A process of this host that is gone is dead at once; in
 * every other case its record is watched (`takeOverAfterMs`), and no two clocks are ever compared.
 */
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { OffloadError } from '../errors.ts';

export interface Owner {
  readonly run: string;
  readonly host: string;
  /** Boot and process-id namespace: containers may share a host name, not their process ids. Null where unknown. */
  readonly hostInstance: string | null;
  readonly pid: number;
  /** Start time of the process in ticks since boot: tells a pid apart that was used again. Null where unknown. */
  readonly processStart: string | null;
  /** Absolute path of the run's staging folder. */
  readonly stagingPath: string;
}

/** Runs of this process that have not ended: a session that was dropped must not look alive because its pid is. */
const runsHere = new Set<string>();

export async function describeOwner(run: string, stagingPath: string): Promise<Owner> {
  return {
    run,
    host: hostname(),
    hostInstance: await hostInstance(),
    pid: process.pid,
    processStart: await ownStart(),
    stagingPath,
  };
}

export function markRunning(run: string): void {
  runsHere.add(run);
}

export function markEnded(run: string): void {
  runsHere.delete(run);
}

/** True only when it is certain: the run was on this host, and its process is gone or has ended the run. */
export async function isKnownDead(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname() || owner.hostInstance !== (await hostInstance())) return false;
  const found = await findProcess(owner.pid);
  if (!found.there) return true;
  if (owner.processStart === null || found.start === null) return false;
  if (owner.processStart !== found.start) return true;
  return owner.pid === process.pid && !runsHere.has(owner.run);
}

/** `host (pid 123)`, for messages. */
export function formatOwner(owner: Pick<Owner, 'host' | 'pid'> | null): string {
  return owner ? `host ${owner.host} (pid ${owner.pid})` : 'an unknown host';
}

export function parseOwner(value: unknown): Owner | null {
  const owner = value as Partial<Record<keyof Owner, unknown>> | null;
  if (typeof owner !== 'object' || owner === null) return null;
  const { run, host, hostInstance: instance, pid, processStart, stagingPath } = owner;
  if (typeof run !== 'string' || typeof host !== 'string' || typeof stagingPath !== 'string') return null;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return null;
  return {
    run,
    host,
    hostInstance: typeof instance === 'string' ? instance : null,
    pid,
    processStart: typeof processStart === 'string' ? processStart : null,
    stagingPath,
  };
}

export function aliveError(config: string, other: { run: string; owner: Owner | null }, why: string): OffloadError {
  return new OffloadError(
    'RUN_ALIVE',
    `cannot start: run ${other.run} of config ${config} ${why} on ${formatOwner(other.owner)}; ` +
      'nothing was read or changed; start again when it has ended',
    { context: { config, run: other.run, host: other.owner?.host ?? null, pid: other.owner?.pid ?? null } },
  );
}

let knownStart: Promise<string | null> | null = null;

function ownStart(): Promise<string | null> {
  knownStart ??= findProcess(process.pid).then(({ start }) => start);
  return knownStart;
}

let knownInstance: Promise<string | null> | null = null;

function hostInstance(): Promise<string | null> {
  knownInstance ??= readHostInstance();
  return knownInstance;
}

async function readHostInstance(): Promise<string | null> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    return `${boot}/${await readlink('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

/** `start` is null where the system does not show it. A zombie is a process that has ended. */
async function findProcess(pid: number): Promise<{ there: boolean; start: string | null }> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return { there: answersSignal(pid), start: null };
  }
  // "PID (COMMAND) STATE ...": the command may hold blanks and brackets. Field 22 is the start time, proc(5).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const state = fields[0] ?? '';
  return { there: state !== 'Z' && state !== 'X', start: fields[19] ?? null };
}

function answersSignal(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
