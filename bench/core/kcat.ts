import { spawnSync } from 'node:child_process';
import { measure } from './measure.ts';
import { CONTENDERS } from './names.ts';
import type { Contender } from './rounds.ts';
import type { BenchTopic } from './topic.ts';
import type { Workspace } from './workspace.ts';

/** @returns Versions of kcat and of its librdkafka; null where it is not installed. */
export function kcatVersion(): string | null {
  const { status, stdout } = spawnSync('kcat', ['-V'], { encoding: 'utf8' });
  if (status !== 0) return null;
  const [, own = 'unknown'] = /Version (\S+)/.exec(stdout) ?? [];
  const [, library = 'unknown'] = /librdkafka (\S+)/.exec(stdout) ?? [];
  return `${own}, librdkafka ${library}`;
}

/** Reads a topic to nowhere: what fetching alone takes with librdkafka. */
export function kcatContender({ bootstrapServers, folder }: Workspace, { topic }: BenchTopic): Contender {
  const args = ['-b', bootstrapServers, '-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-f', ''];
  return {
    name: CONTENDERS.kcat,
    isOurs: false,
    run: async () => ({ measured: await measure('kcat', args, { cwd: folder }) }),
  };
}
