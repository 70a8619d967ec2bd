import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${type()} ${release()}`,
  };
}

/** Of the command under test and what runs it. */
export function ownVersions(root: string): Record<string, string> {
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string };
  return { kafkaload: version, node: process.version };
}

/** One line: what the figures below it were measured on. */
export function formatMachine({ cpu, cores, memoryBytes, system }: Machine): string {
  return `${cores} cores (${cpu}), ${Math.round(memoryBytes / 1024 ** 3)} GiB, ${system}`;
}
