/**
 * Processes of a stream interleaved in every order, breadth first. Between their operations the group may be rebalanced,
 * which a process learns when the broker refuses it; a process may die; a person may set the group; the power may go.
 * A process that is not scheduled sleeps.
 */
import { type Limits, type Result, showOperation } from '../explore.ts';
import { Machine, violationOf } from '../machine.ts';
import { StateTable } from '../stateTable.ts';
import { judgeChain } from './judge.ts';
import { setPower } from './operations.ts';
import { CHAIN } from './process.ts';
import type { ChainActor, ChainRules } from './rules.ts';
import { apply, chainOf, emptyWorld, type Names, type World } from './world.ts';

const DEAD = -1;

export function exploreChain(rules: ChainRules, limits: Limits): Result {
  setPower(rules.losses > 0);
  const actors = Array.from({ length: rules.processes }, (_, index): ChainActor => {
    return { process: index + 1, rules, isJudge: false };
  });
  const machine = new Machine(CHAIN, actors);
  const table = new StateTable(1 + actors.length);
  const state = new Int32Array(1 + actors.length);
  const child = new Int32Array(1 + actors.length);
  let judged = 0;

  const expand = (take: (line: () => string) => void): string | null => {
    const world = state[0] ?? 0;
    const now = machine.worldAt(world);
    for (const [index, actor] of actors.entries()) {
      const place = state[1 + index] ?? DEAD;
      if (place === DEAD) continue;
      if (!machine.isEnd(place)) {
        const found = violationOf(() => {
          for (const { answer, world: after } of machine.transitions(place, world)) {
            child.set(state);
            child[0] = after;
            child[1 + index] = machine.move(place, answer);
            take(() => {
              const said = JSON.stringify(machine.answerAt(answer));
              return `${actor.process}: ${showOperation(machine.operationAt(place))} -> ${said}`;
            });
          }
        });
        if (found !== null)
          return `${actor.process}: ${showOperation(machine.operationAt(place))}: VIOLATION: ${found}`;
      }
      if (now.dead.length >= rules.crashes) continue;
      child.set(state);
      child[0] = machine.numberOfWorld({ ...now, dead: [...now.dead, actor.process].sort((a, b) => a - b) });
      child[1 + index] = DEAD;
      take(() => `${actor.process} dies`);
    }
    for (const [line, after] of acts(now, rules)) {
      child.set(state);
      child[0] = machine.numberOfWorld(after);
      if (after.losses > now.losses) child.fill(DEAD, 1);
      take(() => line);
    }
    return null;
  };
  const traceTo = (number: number): string[] => {
    const path = [number];
    for (let at = number; table.parentOf(at) >= 0; at = table.parentOf(at)) path.unshift(table.parentOf(at));
    const target = new Int32Array(state.length);
    return path.slice(1).map((next, index) => {
      table.read(path[index] ?? 0, state);
      table.read(next, target);
      let line = '';
      expand((say) => {
        if (line === '' && child.every((word, position) => word === target[position])) line = say();
      });
      return line;
    });
  };
  const result = (reached: Result['reached'], trace: readonly string[] = []): Result => {
    return { states: table.count, worlds: machine.worlds, reached, trace };
  };

  state[0] = machine.numberOfWorld(emptyWorld(rules.owners));
  for (const index of actors.keys()) state[1 + index] = machine.start(index);
  table.add(state, -1);
  for (let at = 0; at < table.count; at++) {
    table.read(at, state);
    const found = expand(() => table.add(child, at));
    if (found !== null) return result('violation', [...traceTo(at), found]);
    while (judged < machine.worlds) {
      const wrong = violationOf(() => judgeChain(machine.worldAt(judged), rules));
      if (wrong !== null) {
        const number = stateWithWorld(table, child, judged);
        return result('violation', [...traceTo(number), `all die: VIOLATION: ${wrong}`]);
      }
      judged += 1;
    }
    if (table.count > limits.states || (at % 1024 === 0 && Date.now() > limits.untilMs)) return result('limit');
  }
  return result('all');
}

function stateWithWorld(table: StateTable, scratch: Int32Array, world: number): number {
  for (let number = 0; number < table.count; number++) {
    table.read(number, scratch);
    if (scratch[0] === world) return number;
  }
  return table.count - 1;
}

/** What happens around the processes. */
function* acts(world: World, rules: ChainRules): Generator<readonly [line: string, world: World]> {
  if (world.rebalances < rules.rebalances) {
    for (const owners of assignments(world, rules)) {
      yield [`the group is rebalanced: ${owners}`, { ...rebalance(world, owners), rebalances: world.rebalances + 1 }];
    }
  }
  if (world.wishes.length < rules.wishes) {
    for (const wish of settings(world, rules)) {
      const group = world.group.map((offset, partition) => (partition === wish.partition ? wish.offset : offset));
      const after = chainOf(world).filter(({ moves }) => moves.some(({ partition }) => partition === wish.partition));
      const wishes = [...world.wishes, { ...wish, after: after.length }];
      // A group with members cannot be set: they all join again.
      for (const owners of assignments(world, rules)) {
        const again = rebalance(world, owners, true);
        yield [
          `a person sets partition ${wish.partition} to ${wish.offset}, then: ${owners}`,
          { ...again, group, wishes },
        ];
      }
    }
  }
  if (world.losses < rules.losses) {
    const dead = Array.from({ length: rules.processes }, (_, index) => index + 1);
    for (const names of remains(world)) {
      yield [
        `power is lost; left: ${names.entries.map(({ number }) => number)}, checkpoints ${names.checkpoints}`,
        { ...world, ...names, lasting: names, unsynced: [], dead, losses: world.losses + 1 },
      ];
    }
  }
}

/** Every way to share two partitions among those alive, but the one there is. */
function* assignments(world: World, { processes, messages }: ChainRules): Generator<readonly number[]> {
  const alive = Array.from({ length: processes }, (_, index) => index + 1).filter((own) => !world.dead.includes(own));
  for (const first of alive) {
    for (const second of (messages[1] ?? 0) > 0 ? alive : [0]) yield [first, second];
  }
}

function rebalance(world: World, owners: readonly number[], isNew = false): World {
  const generation = world.generation + 1;
  const ownedSince = owners.map((owner, partition) => {
    return !isNew && owner === world.owners[partition] ? (world.ownedSince[partition] ?? 0) : generation;
  });
  return { ...world, generation, owners, ownedSince };
}

/** Not what the last entry begins or ends with, which nobody can tell from a commit. */
function* settings(world: World, { messages }: ChainRules): Generator<{ partition: number; offset: number }> {
  const partition = 0;
  const last = chainOf(world).findLast(({ moves }) => moves.some((move) => move.partition === partition));
  const move = last?.moves.find((own) => own.partition === partition);
  for (let offset = 0; offset <= (messages[partition] ?? 0); offset++) {
    if (move && offset !== move.start && offset !== move.next && offset !== world.group[partition])
      yield { partition, offset };
  }
}

/** Each change that was not synced is there or not. */
function* remains({ lasting, unsynced }: World): Generator<Names> {
  for (let choice = 0; choice < 2 ** unsynced.length; choice++) {
    yield unsynced.filter((_, index) => Math.floor(choice / 2 ** index) % 2 === 1).reduce(apply, lasting);
  }
}
