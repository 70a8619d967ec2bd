/**
 * One set-up at a time in one checkout.
 *
 * A holder is an empty file `lock.HOST.PID.START.TOKEN`, its name made once and never again: removing that of a dead
 * process can therefore not hit that of a live one. Who wants the lock makes its file first and looks at the others
 * afterwards; of two that do so together at least one sees the other and withdraws.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const HEARTBEAT_MS = 5_000;
/** How long a holder on another host (a container, a network folder) may show no heartbeat before it counts as dead. */
const FOREIGN_TIMEOUT_MS = 20_000;
const HOST = hostname().replace(/[^A-Za-z0-9-]/g, '-');

/**
 * Waits until nobody else holds the lock of `folder`, then holds it.
 *
 * @param folder Made when absent; ignored by git through a `.gitignore` of its own.
 * @param onWait Called about every 15 s with the process id and host of a holder.
 * @returns `adopt(pid)` holds the lock for a child as well, so that one that outlives us is waited for; it returns the
 *   function that ends this. `release()` ends all of it.
 */
export async function acquireLock(folder, onWait) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, '.gitignore'), '*\n');
  const watched = new Map();
  let lastSaidMs = 0;
  for (;;) {
    const own = makeHolder(folder, process.pid);
    const other = liveHolders(folder, watched).find((holder) => holder.name !== own);
    if (other === undefined) return held(folder, own);
    remove(folder, own);
    if (Date.now() - lastSaidMs >= 15_000) {
      onWait(other);
      lastSaidMs = Date.now();
    }
    await sleep(200 + Math.random() * 800);
  }
}

function held(folder, own) {
  const names = new Set([own]);
  const heartbeat = setInterval(() => {
    for (const name of names) renew(join(folder, name));
  }, HEARTBEAT_MS).unref();
  return {
    adopt(pid) {
      const name = makeHolder(folder, pid);
      names.add(name);
      return () => {
        names.delete(name);
        remove(folder, name);
      };
    },
    release() {
      clearInterval(heartbeat);
      for (const name of names) remove(folder, name);
    },
  };
}

function renew(path) {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

function makeHolder(folder, pid) {
  const name = ['lock', HOST, pid, startTimeOf(pid) ?? '', randomBytes(6).toString('hex')].join('.');
  writeFileSync(join(folder, name), '', { flag: 'wx' });
  return name;
}

function liveHolders(folder, watched) {
  const holders = [];
  for (const name of readdirSync(folder)) {
    const [kind, host, pid, start] = name.split('.');
    if (kind !== 'lock' || pid === undefined) continue;
    const alive = host === HOST ? isAlive(Number(pid), start) : isBeating(folder, name, watched);
    if (alive) holders.push({ name, host, pid: Number(pid) });
    else remove(folder, name);
  }
  return holders;
}

/** A process id is given out again after a while: the start time tells the old owner from the new one. */
function isAlive(pid, start) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
  const now = startTimeOf(pid);
  return now === undefined || start === '' || now === start;
}

/** No clocks are compared: a holder lives as long as we see its modification time change. */
function isBeating(folder, name, watched) {
  const seen = statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs;
  if (seen === undefined) return false;
  const before = watched.get(name);
  if (before?.mtimeMs === seen) return Date.now() - before.sinceMs < FOREIGN_TIMEOUT_MS;
  watched.set(name, { mtimeMs: seen, sinceMs: Date.now() });
  return true;
}

/** Field 22 of /proc/PID/stat, counted behind the command name, which may hold spaces; undefined off Linux. */
function startTimeOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function remove(folder, name) {
  rmSync(join(folder, name), { force: true });
}
