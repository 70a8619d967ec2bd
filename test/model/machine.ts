/**
 * Runs as machines: from where a run stands and what it was answered follows where it stands next. Places, operations,
 * answers and worlds are kept once each and named by small numbers, so that a state of the exploration is a few numbers,
 * and what an operation does to a world is worked out once.
 */

import { FILE_PHASES, type Next } from './fileRun.ts';
import { type Operation, outcomesOf } from './operations.ts';
import type { Part } from './publish.ts';
import type { Actor } from './rules.ts';
import { STREAM_PHASES } from './streamRun.ts';
import { Violation, type World, worldKey } from './world.ts';

type Phase = (actor: Actor, ...args: readonly unknown[]) => Part<Next>;

const PHASES = { ...FILE_PHASES, ...STREAM_PHASES } as unknown as Record<string, Phase>;

function begin(actor: Actor, [name, ...args]: Next): Part<Next> {
  const phase = PHASES[name];
  if (!phase) throw new RangeError(`no phase ${name}`);
  return phase(actor, ...args);
}

function firstPhase({ rules }: Actor): Next {
  return [rules.mode === 'FILE' ? 'fileOpen' : 'streamOpen'];
}

/** What a run did, when it was alone. */
export interface Step {
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
export function runAlone(actor: Actor, start: World, log?: Step[]): { readonly why: string; readonly world: World } {
  let world = start;
  for (let phase = firstPhase(actor); ; ) {
    if (phase[0] === 'end') return { why: String(phase[1]), world };
    const steps = begin(actor, phase);
    let step = steps.next();
    while (!step.done) {
      const [outcome] = outcomesOf(world, step.value);
      if (!outcome) throw new RangeError(`${step.value.name} has no outcome`);
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

export class Machine {
  readonly #actors: readonly Actor[];
  readonly #worlds = new Numbering<World>(worldKey);
  readonly #operations = new Numbering<Operation>(({ name, args }) => JSON.stringify([name, args]));
  readonly #answers = new Numbering<unknown>((answer) => JSON.stringify(answer));
  readonly #places = new Numbering<Place>(({ actor, phase, answers }) => JSON.stringify([actor, phase, answers]));
  /** By place: its next operation; -1: the run has ended. */
  readonly #next: number[] = [];
  readonly #transitions = new Map<number, readonly Transition[]>();
  readonly #moves = new Map<number, number>();

  /** @param actors By position; the machine names them by it. */
  constructor(actors: readonly Actor[]) {
    this.#actors = actors;
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
    return this.#settle(actor, firstPhase(this.#actorAt(actor)), []);
  }

  isEnd(place: number): boolean {
    return this.#next[place] === -1;
  }

  whyEnded(place: number): string {
    return String(this.#places.at(place).phase[1]);
  }

  operationAt(place: number): Operation {
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
    const made = outcomesOf(this.#worlds.at(world), this.#operations.at(operation)).map(([answer, after]) => ({
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

  /** Goes on to the next operation that counts: fsync is none while nothing is ever lost. */
  #settle(actor: number, from: Next, given: readonly unknown[]): number {
    let phase = from;
    let answers = given;
    while (phase[0] !== 'end') {
      const steps = begin(this.#actorAt(actor), phase);
      let step = steps.next();
      for (const answer of answers) step = steps.next(answer);
      while (!step.done && step.value.name === 'sync') {
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
