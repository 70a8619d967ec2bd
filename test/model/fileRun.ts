/**
 * A run of FILE mode, as src/commit/fileRun.ts and its neighbours have it. It is cut into phases: what a phase does
 * depends on nothing but its arguments and the answers it got, so that two runs that came to the same point by different
 * ways are one state.
 */

import type { Next } from './machine.ts';
import type { SavedRead } from './operations.ts';
import { ask } from './operations.ts';
import {
  changeIntent,
  isGivenBack,
  loadIntent,
  NO_INTENT,
  type Part,
  planAndStage,
  publish,
  removeManifest,
  removeStaging,
  withdrawStaging,
} from './publish.ts';
import { type Actor, hasStaging, keeps } from './rules.ts';
import {
  compareNames,
  intentOf,
  isSameName,
  mergeOffsets,
  type Name,
  type Offsets,
  type StateFile,
  type StateKind,
} from './world.ts';

export function end(why: string): Next {
  return ['end', why];
}

function mine(actor: Actor, kind: StateKind, number: number): Name {
  return { kind, number, run: keeps(actor, 'runInNames') ? actor.run : 0 };
}

/** Listings in a row that must agree. */
const LISTINGS = 4;

/** Each listing takes a while, and what is renamed meanwhile can be missed. */
function* list({ rules }: Actor): Part<readonly Name[]> {
  if (rules.atomicListing) return yield* ask('list');
  let last: string | null = null;
  for (let agreed = 1; ; ) {
    const before = yield* ask('list');
    const after = yield* ask('list');
    const names = before.filter((name) => after.some((other) => isSameName(name, other)));
    const now = JSON.stringify(names);
    agreed = now === last ? agreed + 1 : 1;
    if (agreed === (rules.without === 'listAgreed' ? 2 : LISTINGS)) return names;
    last = now;
  }
}

function* fileOpen(actor: Actor): Part<Next> {
  const names = yield* list(actor);
  const number = 1 + Math.max(0, ...names.map((name) => name.number));
  const temp = mine(actor, 'temp', number);
  yield* ask('write', { ...temp, owner: actor.run, intent: NO_INTENT, offsets: null, hands: 0 });
  yield* ask('sync', 'offsets');
  if (hasStaging(actor)) yield* ask('makeStaging', actor.run);
  yield* ask('sync', 'staging');
  if (!(yield* ask('rename', temp, mine(actor, 'run', number)))) return ['fileClose', number, 'fenced'];
  yield* ask('sync', 'offsets');
  return keeps(actor, 'settleAll') ? ['fileSettle', number, true] : ['fileSettleOnce', number];
}

/** One look at the others: what is found is acted on, and looked at again. */
function* fileSettle(actor: Actor, number: number, isFirst: boolean): Part<Next> {
  const run = mine(actor, 'run', number);
  const names = yield* list(actor);
  const later = names.some((name) => name.kind !== 'next' && name.kind !== 'temp' && compareNames(name, run) > 0);
  if (isFirst && later && keeps(actor, 'listAgain')) return ['fileClose', number, 'another has just been started'];
  const older = names.filter(({ kind }) => kind === 'run' || kind === 'intent').filter((n) => compareNames(n, run) < 0);
  const oldestRun = keeps(actor, 'runsFirst') ? older.find(({ kind }) => kind === 'run') : undefined;
  const oldest = oldestRun ?? older[0];
  if (!oldest) return ['fileRead', number, names];
  const verdict = actor.command === 'takeOver' ? 'dead' : yield* ask('watch', oldest);
  if (verdict.startsWith('alive')) return ['fileClose', number, 'another is at work'];
  if (verdict === 'gone') return ['fileSettle', number, false];
  if (oldest.kind === 'intent') return ['fileRecover', number, oldest];
  yield* ask('rename', oldest, { ...oldest, kind: 'fenced' });
  return ['fileSettle', number, false];
}

/** Without `settleAll`: every older run once, the saved offsets, and only then an intent. */
function* fileSettleOnce(actor: Actor, number: number): Part<Next> {
  const run = mine(actor, 'run', number);
  for (const name of yield* list(actor)) {
    if (name.kind !== 'run' || compareNames(name, run) >= 0) continue;
    if ((yield* ask('watch', name)).startsWith('alive')) return ['fileClose', number, 'another is at work'];
    yield* ask('rename', name, { ...name, kind: 'fenced' });
  }
  const saved = yield* ask('readSaved');
  const names = yield* list(actor);
  const intent = names.find(({ kind }) => kind === 'intent');
  if (intent) return ['fileRecover', number, intent];
  return ['fileClean', number, names, saved, yield* readLast(names)];
}

/** Takes an intent over whose owner is dead. */
function* fileRecover(actor: Actor, number: number, found: Name): Part<Next> {
  const file = yield* ask('read', found);
  if (!file) return settle(actor, number);
  const intent = intentOf(file.intent);
  const now = yield* ask('readSaved');
  const givesBack = actor.command === 'discard' || (yield* isGivenBack(actor, intent, now.offsets));
  if (givesBack && !intent.change) return ['fileDiscard', number, found, file.intent];
  if (!keeps(actor, 'ownNext')) return ['filePublish', number, file.intent, found, found];
  const offsets = keeps(actor, 'mergeByHand') ? mergeOffsets(now.offsets, intent) : intent.next;
  if (!(yield* createNext(actor, number, offsets, now.hands))) return ['fileClose', number, 'fenced'];
  yield* ask('sync', 'offsets');
  const claimed = mine(actor, 'intent', number);
  if (!(yield* ask('rename', found, claimed))) return settle(actor, number);
  yield* ask('remove', { ...found, kind: 'next' });
  yield* ask('sync', 'offsets');
  return ['filePublish', number, file.intent, claimed, found];
}

function settle(actor: Actor, number: number): Next {
  return keeps(actor, 'settleAll') ? ['fileSettle', number, false] : ['fileSettleOnce', number];
}

/** False: what it was writing was removed, by a run that took over. */
function* createNext(actor: Actor, number: number, offsets: Offsets, hands: number): Part<boolean> {
  const temp = mine(actor, 'temp', number);
  yield* ask('write', { ...temp, owner: 0, intent: NO_INTENT, offsets, hands });
  return yield* ask('rename', temp, { ...temp, kind: 'next' });
}

function* fileDiscard(actor: Actor, number: number, found: Name, intentNumber: number): Part<Next> {
  const intent = intentOf(intentNumber);
  const claimed = mine(actor, 'intent', number);
  if (!(yield* ask('rename', found, claimed))) return settle(actor, number);
  if (keeps(actor, 'nextBeforeLook')) yield* ask('remove', { ...found, kind: 'next' });
  yield* ask('sync', 'offsets');
  const saved = yield* ask('readSaved');
  const { previous, next } = intent;
  const isSaved = ([0, 1] as const).some((at) => next[at] !== previous[at] && saved.offsets[at] === next[at]);
  if (isSaved && keeps(actor, 'lookAtSaved')) return end('refused: saved already');
  if (!(yield* withdrawStaging(actor, intent))) return end('refused: published already');
  if (!(yield* ask('withdraw', claimed, { kind: 'fenced', number: found.number, run: intent.run }))) {
    return end('fenced');
  }
  if (!keeps(actor, 'nextBeforeLook')) yield* ask('remove', { ...found, kind: 'next' });
  yield* ask('sync', 'offsets');
  yield* removeManifest(actor, intent.run);
  yield* removeStaging(intent.run);
  return ['fileSettle', number, false];
}

/** Publishes and commits an intent that stands under `held`; `original` is the name it was found under. */
function* filePublish(actor: Actor, number: number, intentNumber: number, held: Name, original: Name): Part<Next> {
  const intent = intentOf(intentNumber);
  const isOwn = intent.run === actor.run;
  const isHeld = function* (): Part<boolean> {
    return (yield* list(actor)).some((name) => isSameName(name, held));
  };
  if (!intent.change) {
    if (!isOwn && !(yield* loadIntent(actor, intent))) {
      return (yield* isHeld()) ? end('blocked: staging is gone') : settle(actor, number);
    }
    if (!(yield* publish(actor, intent))) {
      if (yield* isHeld()) return end('blocked: a staged file is gone or the target has changed');
      return isOwn ? end('fenced') : settle(actor, number);
    }
  }
  const next: Name = { ...held, kind: 'next' };
  if (!keeps(actor, 'nextFirst') && isOwn) yield* createNext(actor, number, intent.next, intent.hands);
  if (!(yield* ask('commit', next, actor.run)) && isOwn) return end('fenced');
  if (keeps(actor, 'syncCommit')) yield* ask('sync', 'offsets');
  const isDone = yield* ask('rename', held, { ...original, kind: 'done' });
  if (keeps(actor, 'syncCommit')) yield* ask('sync', 'offsets');
  if (!intent.change && (isDone || !keeps(actor, 'doneRemoves'))) yield* removeStaging(intent.run);
  return isOwn ? end('ok') : settle(actor, number);
}

function* fileRead(_actor: Actor, number: number, names: readonly Name[]): Part<Next> {
  const last = yield* readLast(names);
  const saved = yield* ask('readSaved');
  return ['fileClean', number, names, saved, last];
}

function highestDone(names: readonly Name[]): Name | undefined {
  return names.findLast(({ kind }) => kind === 'done');
}

/** The run whose manifest is the last one, from the highest `done`. */
function* readLast(names: readonly Name[]): Part<number> {
  const top = highestDone(names);
  const file = top ? yield* ask('read', top) : null;
  return file ? lastManifest(file) : 0;
}

function lastManifest({ intent }: Pick<StateFile, 'intent'>): number {
  const { change, previousRun, run } = intentOf(intent);
  return change ? previousRun : run;
}

/** Removes what older runs left. */
function* fileClean(actor: Actor, number: number, names: readonly Name[], saved: SavedRead, last: number): Part<Next> {
  const top = highestDone(names);
  for (const name of names) {
    if (compareNames(name, mine(actor, 'run', number)) >= 0) continue;
    if (name.kind === 'run' || name.kind === 'intent') continue;
    if (name.kind === 'temp' && keeps(actor, 'claimRecord')) {
      yield* cleanTemp(name);
      continue;
    }
    if (name.kind !== 'next') {
      const file = yield* ask('read', name);
      const run = name.kind === 'done' && file ? intentOf(file.intent).run : (file?.owner ?? 0);
      if (run > 0 && name.kind === 'fenced') yield* removeManifest(actor, run);
      if (run > 0 && run !== actor.run) yield* removeStaging(run);
    }
    if (name !== top) yield* ask('remove', name);
  }
  return ['fileWork', number, saved, last];
}

function* cleanTemp(name: Name): Part<void> {
  const file = yield* ask('read', name);
  const owner = file?.owner ?? 0;
  if (owner === 0) {
    yield* ask('remove', name);
    return;
  }
  const fenced: Name = { ...name, kind: 'fenced' };
  if (!(yield* ask('rename', name, fenced))) return;
  yield* removeStaging(owner);
  yield* ask('remove', fenced);
}

/** What the command is for, up to its point of no return. */
function* fileWork(actor: Actor, number: number, saved: SavedRead, last: number): Part<Next> {
  const { command } = actor;
  if (command === 'recover' || command === 'discard') return ['fileClose', number, 'ok'];
  const planned = command === 'set' ? changeIntent(actor, saved, last) : yield* planAndStage(actor, saved, last);
  if (typeof planned === 'string') return ['fileClose', number, planned];
  if (planned === NO_INTENT) return ['fileClose', number, 'ok'];
  const [run, intent] = [mine(actor, 'run', number), mine(actor, 'intent', number)];
  const offsets = mergeOffsets(saved.offsets, intentOf(planned));
  if (keeps(actor, 'nextFirst') && !(yield* createNext(actor, number, offsets, saved.hands))) {
    return ['fileClose', number, 'fenced'];
  }
  if (!(yield* ask('append', run, planned))) return ['fileClose', number, 'fenced'];
  yield* ask('sync', 'offsets');
  if (!(yield* ask('prepare', run, intent))) return end('fenced');
  if (keeps(actor, 'syncPrepare')) yield* ask('sync', 'offsets');
  return ['filePublish', number, planned, intent, intent];
}

/** A run that prepared nothing takes its own away again. */
function* fileClose(actor: Actor, number: number, why: string): Part<Next> {
  if (hasStaging(actor)) yield* removeStaging(actor.run);
  yield* ask('remove', mine(actor, 'temp', number), mine(actor, 'next', number));
  yield* ask('remove', mine(actor, 'run', number));
  return end(why);
}

/** By the name that stands in a `Next`. */
export const FILE_PHASES = {
  fileOpen,
  fileSettle,
  fileSettleOnce,
  fileRecover,
  fileDiscard,
  filePublish,
  fileRead,
  fileClean,
  fileWork,
  fileClose,
};
