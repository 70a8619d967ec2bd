/** A run of STREAM mode, as src/commit/streamRun.ts and its neighbours have it, in phases (fileRun.ts says why). */
import { end } from './fileRun.ts';
import type { Next } from './machine.ts';
import { ask, type ResultOf, type SavedRead, type Writes } from './operations.ts';
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
import { type Intent, intentOf, mergeOffsets, type RunRecord } from './world.ts';

type Runs = readonly number[];
type StateRead = ResultOf<'readState'>;

function* streamOpen(actor: Actor): Part<Next> {
  const { run, command } = actor;
  const before = yield* ask('readState');
  if (before.record && command !== 'takeOver') {
    const verdict = yield* ask('watchRecord', before.record.run);
    if (verdict.startsWith('alive')) return end('another is at work');
  }
  if (hasStaging(actor)) yield* ask('makeStaging', run);
  yield* ask('sync', 'staging');
  yield* ask('fenceOthers', run);
  const state = keeps(actor, 'readAfterFencing') ? yield* ask('readState') : before;
  const left = leftovers(state);
  if (left.length > 0 && !keeps(actor, 'recordFirst')) return yield* afterOpen(actor, state, left);
  const recorded = yield* ask('transact', run, { record: recordOf(actor, left) });
  if (recorded === 'unknown') return ['streamRecordAgain', state, left];
  if (recorded !== 'ok') return ['streamClose', left, recorded];
  return yield* afterOpen(actor, state, left);
}

function leftovers({ record }: StateRead): Runs {
  return record ? [record.run, ...without(record.takenOver, record.run)] : [];
}

/** The record may be there, or not: looks, fences anew, looks again, and writes it again if it is not there. */
function* streamRecordAgain(actor: Actor, state: StateRead, left: Runs): Part<Next> {
  const { run } = actor;
  const isTaken = ({ record }: StateRead): boolean =>
    record !== null && record.run !== run && record.run !== state.record?.run;
  if (isTaken(yield* ask('readState'))) return ['streamStandBack'];
  yield* ask('fenceOthers', run);
  const found = yield* ask('readState');
  if (isTaken(found)) return keeps(actor, 'leaveRecord') ? ['streamStandBack'] : ['streamClose', [], 'fenced'];
  const now = keeps(actor, 'readAgain') ? found : state;
  if (found.record?.run === run) return yield* afterOpen(actor, now, left);
  const again = leftovers(now);
  const recorded = yield* ask('transact', run, { record: recordOf(actor, again) });
  return recorded === 'ok' ? yield* afterOpen(actor, now, again) : ['streamClose', again, recorded];
}

/** Another has begun meanwhile: the own staging goes, and no record is touched. */
function* streamStandBack(actor: Actor): Part<Next> {
  if (hasStaging(actor)) yield* removeStaging(actor.run);
  return end('fenced');
}

function* afterOpen(actor: Actor, state: StateRead, left: Runs): Part<Next> {
  const { intent, saved } = state;
  if (intent === NO_INTENT) return ['streamClean', saved, state.lastManifest, left];
  const givesBack = actor.command === 'discard' || (yield* isGivenBack(actor, intentOf(intent), null));
  return givesBack ? ['streamDiscard', intent, left] : ['streamPublish', intent, saved, left];
}

function without(runs: Runs, gone: number): Runs {
  return runs.filter((run) => Math.abs(run) !== gone);
}

function recordOf(actor: Actor, left: Runs): RunRecord {
  return { run: actor.run, takenOver: keeps(actor, 'recordHeirs') ? left : [] };
}

function isHeld(run: number): Part<boolean> {
  return (function* () {
    const { intent } = yield* ask('readState');
    return intent !== NO_INTENT && intentOf(intent).run === run;
  })();
}

/** Committed, or given back. */
function* isSettled(run: number): Part<boolean> {
  return !(yield* isHeld(run));
}

type Written = 'ok' | 'fenced' | 'unknown' | 'unsent';

/**
 * What src/commit/runProducer.ts does once a heartbeat has gone wrong: before the next write, or at the next heartbeat.
 *
 * @returns `ok`: there is nothing to be made good, or it is.
 */
function* renew(actor: Actor): Part<Exclude<Written, 'unknown'>> {
  const doubt = yield* ask('isInDoubt');
  if (doubt !== 'yes') return doubt === 'no' ? 'ok' : 'unsent';
  if (keeps(actor, 'lookAtRecord') && !(yield* ask('holdsRecord', actor.run))) return 'fenced';
  yield* ask('fenceOthers', actor.run);
  if (!(keeps(actor, 'lookAtRecord') && keeps(actor, 'lookAgain'))) return 'ok';
  return (yield* ask('holdsRecord', actor.run)) ? 'ok' : 'fenced';
}

/** @param heartbeat How a heartbeat before ended: a run that has lost its record never gets it back. */
function* write(actor: Actor, writes: Writes, heartbeat: Written = 'ok'): Part<Written> {
  const renewed = heartbeat === 'fenced' ? heartbeat : yield* renew(actor);
  return renewed === 'ok' ? yield* ask('transact', actor.run, writes) : renewed;
}

/**
 * The same, of which it must be known whether it happened: it is looked for once the others are fenced, and written again
 * if it is not there.
 *
 * @param isDone Whether it is there.
 */
function* writeSurely(actor: Actor, writes: Writes, isDone: () => Part<boolean>, heartbeat?: Written): Part<Written> {
  const written = yield* write(actor, writes, heartbeat);
  if (written === 'ok' || written === 'unsent') return written;
  const { run } = actor;
  // That brokers cannot be asked is as a crash here: nothing is touched.
  if (keeps(actor, 'lookAtRecord') && !(yield* ask('holdsRecord', run))) return 'fenced';
  yield* ask('fenceOthers', run);
  const isThere = keeps(actor, 'lookIfDone') && (yield* isDone());
  const isOver = keeps(actor, 'lookAtRecord') && keeps(actor, 'lookAgain') && !(yield* ask('holdsRecord', run));
  if (isOver) return 'fenced';
  return isThere ? 'ok' : yield* ask('transact', run, writes);
}

function* streamPublish(actor: Actor, intentNumber: number, saved: SavedRead, left: Runs): Part<Next> {
  const intent = intentOf(intentNumber);
  const isOwn = intent.run === actor.run;
  if (!isOwn && !(yield* loadIntent(actor, intent))) {
    return (yield* isHeld(intent.run)) ? end('blocked: staging is gone') : end('fenced');
  }
  const heartbeat = yield* renew(actor);
  if (!(yield* publish(actor, intent))) {
    return (yield* isHeld(intent.run))
      ? end('blocked: a staged file is gone or the target has changed')
      : end('fenced');
  }
  return ['streamCommit', intentNumber, saved, left, heartbeat];
}

function* streamCommit(
  actor: Actor,
  intentNumber: number,
  saved: SavedRead,
  left: Runs,
  heartbeat: Written,
): Part<Next> {
  const intent = intentOf(intentNumber);
  const isOwn = intent.run === actor.run;
  const rest = without(left, intent.run);
  const writes: Writes = {
    saved: { from: saved, to: mergeOffsets(saved.offsets, intent) },
    intent: NO_INTENT,
    lastManifest: intent.run,
    record: isOwn && !keeps(actor, 'recordLast') ? null : recordOf(actor, isOwn ? rest : [...rest, intent.run]),
  };
  const committed = yield* writeSurely(actor, writes, () => isSettled(intent.run), heartbeat);
  if (committed !== 'ok' && keeps(actor, 'quietIfUnknown')) return end(`${committed} at commit`);
  yield* removeStaging(intent.run);
  if (committed !== 'ok') return end(`${committed} at commit`);
  if (isOwn) return ['streamEnd', 'ok'];
  const now = yield* ask('readState');
  return ['streamClean', now.saved, now.lastManifest, rest];
}

function* streamDiscard(actor: Actor, intentNumber: number, left: Runs): Part<Next> {
  const intent = intentOf(intentNumber);
  if (!(yield* withdrawStaging(actor, intent))) return end('refused: published already');
  const rest = without(left, intent.run);
  const record = recordOf(actor, [...rest, -intent.run]);
  const writes: Writes = { intent: NO_INTENT, withdraw: intentNumber, record };
  const withdrawn = yield* writeSurely(actor, writes, () => isSettled(intent.run));
  if (withdrawn !== 'ok') return end(`${withdrawn} at withdrawal`);
  yield* removeManifest(actor, intent.run);
  yield* removeStaging(intent.run);
  const now = yield* ask('readState');
  return ['streamClean', now.saved, now.lastManifest, rest];
}

/** Removes the staging of earlier runs; the own is still there, or another run has taken over. */
function* streamClean(actor: Actor, saved: SavedRead, last: number, left: Runs): Part<Next> {
  for (const run of left) {
    if (run < 0) yield* removeManifest(actor, -run);
    yield* removeStaging(Math.abs(run));
  }
  if (!keeps(actor, 'recordFirst')) {
    const recorded = yield* write(actor, { record: recordOf(actor, []) });
    if (recorded !== 'ok') return end(recorded);
  }
  if (left.length > 0) yield* ask('beat', recordOf(actor, []));
  if (hasStaging(actor) && !(yield* ask('hasStaging', actor.run))) return ['streamClose', [], 'fenced'];
  return ['streamWork', saved, last];
}

function* streamWork(actor: Actor, saved: SavedRead, last: number): Part<Next> {
  const { command } = actor;
  if (command === 'recover' || command === 'discard') return ['streamClose', [], 'ok'];
  if (command === 'set') return ['streamSet', saved, last];
  const planned = yield* planAndStage(actor, saved, last);
  if (typeof planned === 'string') return ['streamClose', [], planned];
  if (planned === NO_INTENT) return ['streamClose', [], 'ok'];
  return ['streamPrepare', planned, saved];
}

/** Unknown counts as prepared: nothing is removed. */
function* streamPrepare(actor: Actor, planned: number, saved: SavedRead): Part<Next> {
  const prepared = yield* writeSurely(actor, { intent: planned }, () => isHeld(actor.run));
  if (prepared === 'unsent') return ['streamClose', [], 'unsent at prepare'];
  if (prepared !== 'ok') return end(`${prepared} at prepare`);
  return ['streamPublish', planned, saved, []];
}

function* streamSet(actor: Actor, saved: SavedRead, last: number): Part<Next> {
  const change = changeIntent(actor, saved, last);
  const intent: Intent = intentOf(change);
  const changed = yield* write(actor, { change, saved: { from: saved, to: intent.next } });
  return changed === 'ok' ? ['streamEnd', 'ok'] : end(`${changed} at commit`);
}

/** A run that prepared nothing takes its own away again, unless its record names what is still to be removed. */
function* streamClose(actor: Actor, left: Runs, why: string): Part<Next> {
  if (left.length > 0) return end(why);
  if (hasStaging(actor)) yield* removeStaging(actor.run);
  return ['streamEnd', why];
}

function* streamEnd(actor: Actor, why: string): Part<Next> {
  yield* write(actor, { record: null });
  return end(why);
}

/** By the name that stands in a `Next`. */
export const STREAM_PHASES = {
  streamOpen,
  streamRecordAgain,
  streamStandBack,
  streamPrepare,
  streamPublish,
  streamCommit,
  streamDiscard,
  streamClean,
  streamWork,
  streamSet,
  streamClose,
  streamEnd,
};
