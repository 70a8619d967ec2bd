/**
 * Runs as machines: from where a run stands and what it was answered follows where it stands next. Places, operations,
 * answers and worlds are kept once each and named by small numbers, so that a state of the exploration is a few numbers,
 * and what an operation does to a world is worked out once.
 */

import { Violation } from './world.ts';

/** One indivisible act of a process. Arguments and results are plain data: they are compared by their JSON. */
export interface AnyOperation {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** What follows a phase: another with its arguments, or the end and how it ended. */
export type Next = readonly [phase: string, ...args: unknown[]];

/** A protocol: what its processes do, and what that does to the world. */
export interface Protocol<Actor, World> {
  first(actor: Actor): Next;
  begin(actor: Actor, phase: Next): Generator<AnyOperation, Next, unknown>;
  /** Every outcome there can be, the plain one first; none: it has to wait. */
  outcomesOf(world: World, operation: AnyOperation): readonly (readonly [result: unknown, world: World])[];
  /** Two worlds share it only if they are equal. */
  keyOf(world: World): string;
  /** Changes nothing and answers `true`. */
  isIdle(actor: Actor, operation: AnyOperation): boolean;
}

/** What a run did, when it was alone. */
export interface Step<Operation, World> {
  readonly operation: Operation;
  readonly result: unknown;
  /** Before it. */
  readonly world: World;
}

/**
 * A whole run with nobody else at work: the plain outcome of each operation.
 *
 * @returns How it ended, and the world it left.
 */
export function runAlone<Actor, World, Operation extends AnyOperation = AnyOperation>(
  protocol: Protocol<Actor, World>,
  actor: Actor,
  start: World,
  log?: Step<Operation, World>[],
): { readonly why: string; readonly world: World } {
  let world = start;
  for (let phase = protocol.first(actor); ; ) {
    if (phase[0] === 'end') return { why: String(phase[1]), world };
    const steps = protocol.begin(actor, phase) as Generator<Operation, Next, unknown>;
    let step = steps.next();
    while (!step.done) {
      const [outcome] = protocol.outcomesOf(world, step.value);
      if (!outcome) return { why: `waits for ${step.value.name}`, world };
      log?.push({ operation: step.value, result: outcome[0], world });
      world = outcome[1];
      step = steps.next(outcome[0]);
    }
    phase = step.value;
  }
}

/** Numbers things from 0 on, equal ones alike. */
class Numbering<T> {
  readonly items: T[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #keyOf: (item: T) => string;

  constructor(keyOf: (item: T) => string) {
    this.#keyOf = keyOf;
  }

  numberOf(item: T): number {
    const key = this.#keyOf(item);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#numbers.set(key, this.items.length);
    return this.items.push(item) - 1;
  }

  at(number: number): T {
    const item = this.items[number];
    if (item === undefined) throw new RangeError(`nothing has number ${number}`);
    return item;
  }
}

/** Where a run stands: in a phase, after the answers it got there. */
interface Place {
  readonly actor: number;
  readonly phase: Next;
  readonly answers: readonly unknown[];
}

/** One outcome of an operation. `alive`: the run that was seen alive; 0 for any other answer. */
export interface Transition {
  readonly answer: number;
  readonly world: number;
  readonly alive: number;
}

/** Two factors of a memo's key: places and worlds, operations and answers stay far below. */
const KEY_BASE = 2 ** 24;
/** A JavaScript map holds at most 2^24 entries. */
const MEMO_ENTRIES = 2 ** 23;

export class Machine<Actor, World> {
  readonly #protocol: Protocol<Actor, World>;
  readonly #actors: readonly Actor[];
  readonly #worlds: Numbering<World>;
  readonly #operations = new Numbering<AnyOperation>(({ name, args }) => JSON.stringify([name, args]));
  readonly #answers = new Numbering<unknown>((answer) => JSON.stringify(answer));
  readonly #places = new Numbering<Place>(({ actor, phase, answers }) => JSON.stringify([actor, phase, answers]));
  /** By place: its next operation; -1: the run has ended. */
  readonly #next: number[] = [];
  readonly #transitions = new Map<number, readonly Transition[]>();
  readonly #moves = new Map<number, number>();

  /** @param actors By position; the machine names them by it. */
  constructor(protocol: Protocol<Actor, World>, actors: readonly Actor[]) {
    this.#protocol = protocol;
    this.#actors = actors;
    this.#worlds = new Numbering(protocol.keyOf);
  }

  get worlds(): number {
    return this.#worlds.items.length;
  }

  worldAt(number: number): World {
    return this.#worlds.at(number);
  }

  numberOfWorld(world: World): number {
    return this.#worlds.numberOf(world);
  }

  /** Place of a run that has not begun. */
  start(actor: number): number {
    return this.#settle(actor, this.#protocol.first(this.#actorAt(actor)), []);
  }

  isEnd(place: number): boolean {
    return this.#next[place] === -1;
  }

  whyEnded(place: number): string {
    return String(this.#places.at(place).phase[1]);
  }

  operationAt(place: number): AnyOperation {
    return this.#operations.at(this.#next[place] ?? -1);
  }

  answerAt(number: number): unknown {
    return this.#answers.at(number);
  }

  /** Outcomes of what a run does next. @throws Violation */
  transitions(place: number, world: number): readonly Transition[] {
    const operation = this.#next[place] ?? -1;
    const key = world * KEY_BASE + operation;
    const known = this.#transitions.get(key);
    if (known) return known;
    const made = this.#protocol
      .outcomesOf(this.#worlds.at(world), this.#operations.at(operation))
      .map(([answer, after]) => ({
        answer: this.#answers.numberOf(answer),
        world: this.#worlds.numberOf(after),
        alive: typeof answer === 'string' && answer.startsWith('alive:') ? Number(answer.slice(6)) : 0,
      }));
    if (this.#transitions.size >= MEMO_ENTRIES) this.#transitions.clear();
    this.#transitions.set(key, made);
    return made;
  }

  /** Where a run stands once it has its answer. */
  move(place: number, answer: number): number {
    const key = place * KEY_BASE + answer;
    const known = this.#moves.get(key);
    if (known !== undefined) return known;
    const { actor, phase, answers } = this.#places.at(place);
    const made = this.#settle(actor, phase, [...answers, this.#answers.at(answer)]);
    if (this.#moves.size >= MEMO_ENTRIES) this.#moves.clear();
    this.#moves.set(key, made);
    return made;
  }

  /** Goes on to the next operation that counts. */
  #settle(actor: number, from: Next, given: readonly unknown[]): number {
    let phase = from;
    let answers = given;
    while (phase[0] !== 'end') {
      const own = this.#actorAt(actor);
      const steps = this.#protocol.begin(own, phase);
      let step = steps.next();
      for (const answer of answers) step = steps.next(answer);
      while (!step.done && this.#protocol.isIdle(own, step.value)) {
        answers = [...answers, true];
        step = steps.next(true);
      }
      if (!step.done) {
        const place = this.#places.numberOf({ actor, phase, answers });
        this.#next[place] = this.#operations.numberOf(step.value);
        return place;
      }
      phase = step.value;
      answers = [];
    }
    const place = this.#places.numberOf({ actor, phase, answers: [] });
    this.#next[place] = -1;
    return place;
  }

  #actorAt(position: number): Actor {
    const actor = this.#actors[position];
    if (!actor) throw new RangeError(`no actor ${position}`);
    return actor;
  }
}

/** @returns What is wrong; null: nothing. Any other error is thrown. */
export function violationOf(act: () => void): string | null {
  try {
    act();
    return null;
  } catch (error) {
    if (error instanceof Violation) return error.message;
    throw error;
  }
}
