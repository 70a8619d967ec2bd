/** How busy the cores of this machine are, whoever uses them. Linux only: reads /proc/stat. */
import { readFileSync } from 'node:fs';

/** Milliseconds since 1970, and cores in use since the sample before. */
export type CoreSample = readonly [atMs: number, cores: number];

const SAMPLE_MS = 50;
/** A tick of /proc/stat, proc(5). */
const TICKS_PER_SECOND = 100;

/** Samples until it is told to stop. @returns Stops it, and gives the samples. */
export function watchCores(): () => CoreSample[] {
  const samples: CoreSample[] = [];
  let last = { atMs: now(), busy: busyTicks() };
  const timer = setInterval(() => {
    const next = { atMs: now(), busy: busyTicks() };
    const seconds = (next.atMs - last.atMs) / 1000;
    samples.push([next.atMs, (next.busy - last.busy) / TICKS_PER_SECOND / seconds]);
    last = next;
  }, SAMPLE_MS);
  return () => {
    clearInterval(timer);
    return samples;
  };
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/** All but idle and iowait of the line for all cores together. */
function busyTicks(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.trim().split(/\s+/).slice(1).map(Number);
  return user + nice + system + irq + softirq;
}
