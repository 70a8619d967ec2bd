/**
 * Runs of one config interleaved in every order, breadth first, so that the first violation found has a shortest trace.
 * A run that is never scheduled again has crashed; one that is scheduled much later was asleep. So each world that can be
 * reached is judged as well: everybody in it is taken for dead.
 */
import { setByHand } from './ideal.ts';
import { judge } from './judge.ts';
import { type AnyOperation, Machine, runAlone, type Step, violationOf } from './machine.ts';
import type { Operation } from './operations.ts';
import { COMMIT } from './protocol.ts';
import type { Actor, Command, Rules } from './rules.ts';
import { StateTable } from './stateTable.ts';
import { EMPTY_WORLD, intentOf, type World } from './world.ts';

export interface Exploration {
  readonly rules: Rules;
  readonly commands: readonly Command[];
  /** Order of run ids: a run that starts later need not have the higher one. */
  readonly order: 'rising' | 'falling';
  /** How often a person edits the saved offset of partition 0. */
  readonly hands: number;
  /** A run before all these, which was killed when it had just prepared; null: the world is new. */
  readonly killed: Command | null;
}

export interface Result {
  readonly states: number;
  readonly worlds: number;
  /** `all`: nothing is left to explore. */
  readonly reached: 'all' | 'limit' | 'violation';
  /** Each line says who did what; the last one what is wrong. */
  readonly trace: readonly string[];
}

export interface Limits {
  readonly states: number;
  /** Milliseconds since the epoch. */
  readonly untilMs: number;
  readonly onProgress?: (states: number, worlds: number) => void;
}

const NOT_STARTED = -1;
/** Run id of a run that was killed before all others. */
const KILLED = 1;
const PROGRESS_STATES = 2 ** 20;

export function explore({ rules, commands, order, hands, killed }: Exploration, limits: Limits): Result {
  const first = killed === null ? 1 : KILLED + 1;
  const runOf = (index: number): number => first + (order === 'rising' ? index : commands.length - 1 - index);
  const actors = commands.map((command, index): Actor => ({ run: runOf(index), command, rules, isJudge: false }));
  const machine = new Machine(COMMIT, actors);
  const table = new StateTable(1 + actors.length);
  const state = new Int32Array(1 + actors.length);
  const child = new Int32Array(1 + actors.length);
  let judged = 0;

  /** Gives every state that can follow to `take`, with a line that says what happened. */
  const expand = (take: (line: () => string) => void): string | null => {
    const world = state[0] ?? 0;
    for (const [index, actor] of actors.entries()) {
      const place = placeOf(index);
      if (place === null || machine.isEnd(place)) continue;
      const found = violationOf(() => {
        for (const { answer, world: after, alive } of machine.transitions(place, world)) {
          if (alive > 0 && !isAtWork(alive)) continue;
          child.set(state);
          child[0] = after;
          const then = machine.move(place, answer);
          child[1 + index] = then;
          take(() => {
            const ended = machine.isEnd(then) ? `  (${machine.whyEnded(then)})` : '';
            return `${actor.run}: ${showOperation(machine.operationAt(place))} -> ${showValue(machine.answerAt(answer))}${ended}`;
          });
        }
      });
      if (found !== null) return `${actor.run}: ${showOperation(machine.operationAt(place))}: VIOLATION: ${found}`;
    }
    const now = machine.worldAt(world);
    if (now.hands >= hands) return null;
    for (const offset of offsetsToSet(now)) {
      child.set(state);
      child[0] = machine.numberOfWorld(setByHand(now, offset));
      take(() => `a person sets partition 0 to ${offset}`);
    }
    return null;
  };
  /** Where a run stands that may go on; runs start in their order. */
  const placeOf = (index: number): number | null => {
    const place = state[1 + index] ?? NOT_STARTED;
    if (place !== NOT_STARTED) return place;
    return index > 0 && state[index] === NOT_STARTED ? null : machine.start(index);
  };
  const isAtWork = (run: number): boolean => {
    const place = state[1 + actors.findIndex((actor) => actor.run === run)] ?? NOT_STARTED;
    return place !== NOT_STARTED && !machine.isEnd(place);
  };
  const judgeNew = (): string | null => {
    while (judged < machine.worlds) {
      const found = violationOf(() => void judge(machine.worldAt(judged), rules));
      if (found !== null) return found;
      judged += 1;
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

  state.fill(NOT_STARTED);
  state[0] = machine.numberOfWorld(killed === null ? EMPTY_WORLD : preparedWorld(rules, killed));
  table.add(state, -1);
  let at = 0;
  const result = (reached: Result['reached'], trace: readonly string[] = []): Result => ({
    states: table.count,
    worlds: machine.worlds,
    reached,
    trace,
  });
  for (; at < table.count; at++) {
    table.read(at, state);
    const worldsBefore = machine.worlds;
    const found = expand(() => table.add(child, at));
    if (found !== null) return result('violation', [...traceTo(at), found]);
    if (machine.worlds > worldsBefore) {
      const wrong = judgeNew();
      if (wrong !== null) {
        const number = stateWithWorld(table, child, judged);
        return result('violation', [...traceTo(number), `all crash: VIOLATION: ${wrong}`]);
      }
    }
    if (at % PROGRESS_STATES === 0 && at > 0) limits.onProgress?.(table.count, machine.worlds);
    if (table.count > limits.states || (at % 1024 === 0 && Date.now() > limits.untilMs)) return result('limit');
  }
  return result('all');
}

function preparedWorld(rules: Rules, command: Command): World {
  const log: Step<Operation, World>[] = [];
  runAlone(COMMIT, { run: KILLED, command, rules, isJudge: false }, EMPTY_WORLD, log);
  const prepared = log.find(({ world }) => world.ideal.runs.includes(KILLED));
  if (!prepared) throw new RangeError(`a run of ${command} prepares nothing`);
  return prepared.world;
}

function stateWithWorld(table: StateTable, scratch: Int32Array, world: number): number {
  for (let number = table.count - 1; number >= 0; number--) {
    table.read(number, scratch);
    if (scratch[0] === world) return number;
  }
  return table.count - 1;
}

/** What a person may set: not what a prepared run moves from or to, which cannot be told from its own. */
function offsetsToSet(world: World): number[] {
  const pending = [world.intent, ...world.files.filter(({ kind }) => kind === 'intent').map(({ intent }) => intent)];
  const taken = pending
    .filter((number) => number >= 0)
    .flatMap((number) => {
      const { previous, next } = intentOf(number);
      return [previous[0], next[0]];
    });
  const all = Array.from({ length: world.highWatermark + 1 }, (_, offset) => offset);
  return all.filter((offset) => offset !== world.saved[0] && !taken.includes(offset));
}

export function showOperation({ name, args }: AnyOperation): string {
  return [name, ...args.map(showValue)].join(' ');
}

function showValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(showValue).join(' ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  if ('kind' in value && 'number' in value && 'run' in value) return `${value.kind}.${value.number}.${value.run}`;
  return JSON.stringify(value);
}
