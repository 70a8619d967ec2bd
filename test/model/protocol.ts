/** The commit protocol as a machine runs it. */
import { FILE_PHASES } from './fileRun.ts';
import type { Next, Protocol } from './machine.ts';
import { type Operation, outcomesOf } from './operations.ts';
import type { Part } from './publish.ts';
import type { Actor } from './rules.ts';
import { STREAM_PHASES } from './streamRun.ts';
import { type World, worldKey } from './world.ts';

type Phase = (actor: Actor, ...args: readonly unknown[]) => Part<Next>;

const PHASES = { ...FILE_PHASES, ...STREAM_PHASES } as unknown as Record<string, Phase>;

export const COMMIT: Protocol<Actor, World> = {
  first: ({ rules }) => [rules.mode === 'FILE' ? 'fileOpen' : 'streamOpen'],
  begin: (actor, [name, ...args]) => {
    const phase = PHASES[name];
    if (!phase) throw new RangeError(`no phase ${name}`);
    return phase(actor, ...args);
  },
  outcomesOf: (world, operation) => outcomesOf(world, operation as Operation),
  keyOf: worldKey,
  // fsync is nothing while nothing is ever lost.
  isIdle: (_, { name }) => name === 'sync',
};
