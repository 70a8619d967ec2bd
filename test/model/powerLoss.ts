/**
 * Loss of power: runs one after another, the machine stops at any operation of each, and of every folder any beginning
 * of what was not yet synced is kept. Transactions of the offsets topic are not lost: the broker is another machine.
 */

import type { Result } from './explore.ts';
import { showOperation } from './explore.ts';
import { judge } from './judge.ts';
import { runAlone, type Step, violationOf } from './machine.ts';
import { type Operation, type OperationName, outcomesOf } from './operations.ts';
import { COMMIT } from './protocol.ts';
import type { Actor, Command, Rules } from './rules.ts';
import { EMPTY_WORLD, type World, worldKey } from './world.ts';

/** The folder whose fsync makes an operation last; one run's own staging folder goes by its number. */
const FOLDERS: Partial<Record<OperationName, 'offsets' | 'staging' | 'own' | 'target' | 'manifests'>> = {
  write: 'offsets',
  remove: 'offsets',
  rename: 'offsets',
  append: 'offsets',
  prepare: 'offsets',
  commit: 'offsets',
  withdraw: 'offsets',
  makeStaging: 'staging',
  removeStaging: 'staging',
  moveStaging: 'staging',
  stage: 'own',
  stageItem: 'own',
  unstage: 'own',
  link: 'target',
  removeVisible: 'target',
  renameExact: 'target',
  placeManifest: 'manifests',
  removeManifest: 'manifests',
};

const LASTING: readonly OperationName[] = ['fenceOthers', 'transact', 'beat', 'readHighWatermark', 'nextMessage'];

function folderOf({ name, args }: Operation): string | number | null {
  const folder = FOLDERS[name];
  if (folder === undefined) return null;
  return folder === 'own' ? Number(args[0]) : folder;
}

interface Loss {
  readonly steps: number;
  readonly lost: readonly Operation[];
  readonly world: World;
}

/** Every world that can be found after the machine stopped somewhere in a run. */
function* losses(log: readonly Step<Operation, World>[]): Generator<Loss> {
  let base = log[0]?.world ?? EMPTY_WORLD;
  let pending: Operation[] = [];
  for (const [index, { operation, result }] of log.entries()) {
    if (operation.name === 'sync') {
      const isSynced = (other: Operation): boolean => folderOf(other) === operation.args[0];
      base = replay(base, pending.filter(isSynced));
      pending = pending.filter((other) => !isSynced(other));
    } else if (operation.name === 'moveManifest') {
      if (result === true) pending.push({ name: 'placeManifest', args: operation.args.slice(2) });
    } else if (folderOf(operation) !== null) {
      pending.push(operation);
    } else if (LASTING.includes(operation.name)) {
      base = replay(base, [operation]);
    } else if (index > 0) {
      continue;
    }
    for (const kept of beginnings(pending)) {
      const lost = pending.filter((other) => !kept.includes(other));
      yield {
        steps: index + 1,
        lost,
        world: replay(
          base,
          pending.filter((other) => kept.includes(other)),
        ),
      };
    }
  }
}

function replay(world: World, operations: readonly Operation[]): World {
  return operations.reduce((now, operation) => outcomesOf(now, operation)[0]?.[1] ?? now, world);
}

/** All ways to keep a beginning of each folder's operations. */
function beginnings(pending: readonly Operation[]): Operation[][] {
  const folders = [...new Set(pending.map(folderOf))];
  return folders.reduce<Operation[][]>(
    (ways, folder) => {
      const own = pending.filter((operation) => folderOf(operation) === folder);
      return ways.flatMap((way) =>
        Array.from({ length: own.length + 1 }, (_, kept) => [...way, ...own.slice(0, kept)]),
      );
    },
    [[]],
  );
}

/** Power is lost once in each of the runs, which come one after another. */
export function losePower(rules: Rules, commands: readonly Command[], untilMs: number): Result {
  const seen = new Set<string>();
  let isLimit = false;
  const follow = (world: World, position: number): string[] | null => {
    const command = commands[position];
    if (command === undefined) return null;
    const actor: Actor = { run: position + 1, command, rules, isJudge: false };
    const log: Step<Operation, World>[] = [];
    runAlone(COMMIT, actor, world, log);
    for (const { steps, lost, world: after } of losses(log)) {
      const key = `${position}/${worldKey(after)}`;
      if (seen.has(key)) continue;
      if (Date.now() > untilMs) isLimit = true;
      if (isLimit) return null;
      seen.add(key);
      const last = log[steps - 1];
      const line =
        `${actor.run}: ${steps} operations, the last ${last ? showOperation(last.operation) : '-'}; power is lost, and ` +
        `with it: ${lost.map(showOperation).join('; ') || 'nothing'}`;
      const wrong = violationOf(() => void judge(after, rules));
      if (wrong !== null) return [line, `VIOLATION: ${wrong}`];
      const highWatermark = Math.min(after.highWatermark + 1, rules.maxHighWatermark);
      const trace = follow({ ...after, highWatermark }, position + 1);
      if (trace) return [line, ...trace];
    }
    return null;
  };
  const trace = follow(EMPTY_WORLD, 0);
  const reached = trace ? 'violation' : isLimit ? 'limit' : 'all';
  return { states: seen.size, worlds: seen.size, reached, trace: trace ?? [] };
}
