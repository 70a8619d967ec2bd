/** Planning, staging and publishing, which both modes share. Steps as in src/sinks/localFiles.ts and manifest.ts. */
import { ask, type Operation, type SavedRead } from './operations.ts';
import { type Actor, keeps } from './rules.ts';
import { type Intent, numberOfIntent, type Offsets } from './world.ts';

const INTENT_FILE = 'intent.json';
export const NO_INTENT = -1;

/** Operations of a part of a run, and what it gives. */
export type Part<T> = Generator<Operation, T, unknown>;

/**
 * Plans what is new, stages it and writes `intent.json`.
 *
 * @returns Number of the intent; `NO_INTENT`: nothing is new; a text: why the run ends.
 */
export function* planAndStage(actor: Actor, saved: SavedRead, previousRun: number): Part<number | string> {
  const { run, command, rules, isJudge } = actor;
  const end = isJudge ? yield* ask('nextMessage') : yield* ask('readHighWatermark', rules.maxHighWatermark);
  const [from0, from1] = saved.offsets;
  if (from0 >= end && from1 >= end) return NO_INTENT;
  const files = [from0, from1].flatMap((from, partition) => (from < end ? [`${run}/${partition}:${from}-${end}`] : []));
  const next: Offsets = command === 'freeLoad' ? saved.offsets : [Math.max(from0, end), Math.max(from1, end)];
  const base = { run, previous: saved.offsets, next, hands: saved.hands, previousRun, change: false };
  let intent: Intent;
  if (command === 'gapLoad') {
    intent = { ...base, files: [], replaced: [], old: null, content: null };
  } else if (rules.target === 'file') {
    const old = yield* ask('readExact');
    const content = [...(old === null ? [] : [old]), ...files].join('+');
    intent = { ...base, files: [], replaced: [], old, content };
  } else {
    const replaced = rules.writeMode === 'Overwrite' ? yield* listOwn() : [];
    if (replaced === null) return 'a file in the target is no manifest’s';
    intent = { ...base, files, replaced, old: null, content: null };
  }
  const staged = yield* ask('stage', run, intent.content === null ? intent.files : [intent.content]);
  if (staged !== 'ok') return staged === 'gone' ? 'fenced: staging is gone' : 'stopped';
  if (!(yield* ask('stageItem', run, INTENT_FILE))) return 'fenced: staging is gone';
  yield* ask('sync', run);
  return numberOfIntent(intent);
}

/** Visible files; null if one of them is in no manifest. */
function* listOwn(): Part<readonly string[] | null> {
  const manifests = yield* ask('listManifests');
  const visible = yield* ask('listTarget');
  const runs = new Set(manifests.map((manifest) => manifest.split('<')[0]));
  return visible.every((file) => runs.has(file.split('/')[0])) ? visible : null;
}

/** The record of a person's change of saved offsets: partition 0 back to its beginning, or one on. */
export function changeIntent({ run }: Actor, saved: SavedRead, previousRun: number): number {
  const [from0, from1] = saved.offsets;
  const next: Offsets = [from0 === 0 ? 1 : 0, from1];
  const nothing = { files: [], replaced: [], old: null, content: null };
  return numberOfIntent({
    run,
    previous: saved.offsets,
    next,
    hands: saved.hands,
    previousRun,
    change: true,
    ...nothing,
  });
}

/** Reads `intent.json`. False: it is nowhere. */
export function* loadIntent(actor: Actor, { run }: Intent): Part<boolean> {
  if (yield* ask('isStaged', run, INTENT_FILE)) return true;
  if (keeps(actor, 'oneVerdict')) return false;
  yield* ask('moveStaging', run, false);
  yield* ask('sync', 'staging');
  return yield* ask('isStaged', run, INTENT_FILE);
}

/**
 * Whether whoever finds a run whose staging is aside has to give it back; if not, staging is put back.
 *
 * @param saved Saved offsets; null in STREAM mode, where they are saved together with the end of the intent.
 */
export function* isGivenBack(actor: Actor, intent: Intent, saved: Offsets | null): Part<boolean> {
  const { run, previous, next } = intent;
  if (!keeps(actor, 'oneVerdict') || !(yield* ask('isAside', run))) return false;
  const isSaved = saved && ([0, 1] as const).some((at) => next[at] !== previous[at] && saved[at] === next[at]);
  if (!isSaved && !(yield* isPublished(intent))) return true;
  if (!keeps(actor, 'putBack')) return false;
  yield* ask('moveStaging', run, false);
  yield* ask('sync', 'staging');
  return false;
}

/** Makes the files of an intent visible and writes its manifest. False: something of it is gone, or has changed. */
export function* publish(actor: Actor, intent: Intent): Part<boolean> {
  const published = intent.content === null ? publishFolder(actor, intent) : publishExact(intent, intent.content);
  if (!(yield* published)) return false;
  return yield* writeManifest(actor, intent);
}

function* publishFolder(actor: Actor, intent: Intent): Part<boolean> {
  const { run, files, replaced } = intent;
  if (!keeps(actor, 'linksFirst')) {
    for (const file of files) {
      if (!(yield* linkFile(run, file))) return false;
      yield* ask('unstage', run, file);
      yield* ask('sync', run);
    }
    yield* ask('sync', 'target');
    return true;
  }
  for (const file of files) if (!(yield* linkFile(run, file))) return false;
  yield* ask('sync', 'target');
  for (const file of files) yield* ask('unstage', run, file);
  for (const file of replaced) yield* ask('removeVisible', file);
  if (replaced.length > 0) yield* ask('sync', 'target');
  return true;
}

function* linkFile(run: number, file: string): Part<boolean> {
  const linked = yield* ask('link', run, file);
  return linked === 'absent' ? yield* ask('isVisible', file) : true;
}

function* publishExact({ run, old }: Intent, content: string): Part<boolean> {
  const now = yield* ask('readExact');
  if (now === old) {
    if (!(yield* ask('renameExact', run, content, old)) && (yield* ask('readExact')) !== content) return false;
  } else if (now !== content) return false;
  yield* ask('sync', 'target');
  return true;
}

function* writeManifest({ run: writer }: Actor, { run, previousRun }: Intent): Part<boolean> {
  const manifest = `${run}<${previousRun}`;
  const staged = `manifest.${writer}`;
  const isMoved = (yield* ask('stageItem', run, staged)) && (yield* ask('moveManifest', run, staged, manifest));
  if (!isMoved && !(yield* ask('hasManifest', manifest))) return false;
  yield* ask('sync', 'manifests');
  return true;
}

/** Removes a staging folder, also one that was put aside. */
export function* removeStaging(run: number): Part<void> {
  for (const aside of [false, true]) {
    yield* ask('removeStaging', run, aside);
    yield* ask('sync', 'staging');
  }
}

/** Removes the manifest of a run that was given back. */
export function* removeManifest(actor: Actor, run: number): Part<void> {
  if (!keeps(actor, 'manifestGoes')) return;
  yield* ask('removeManifest', run);
  yield* ask('sync', 'manifests');
}

/**
 * Puts staging aside and looks for anything that is published (src/commit/discard.ts).
 *
 * @returns False if the run cannot be given back; then its staging is in its place again.
 */
export function* withdrawStaging(actor: Actor, intent: Intent): Part<boolean> {
  const { run } = intent;
  if (keeps(actor, 'setAside')) {
    yield* ask('moveStaging', run, true);
    yield* ask('sync', 'staging');
  }
  if (!(yield* isPublished(intent))) {
    if (!keeps(actor, 'manifestLast')) yield* removeManifest(actor, run);
    return true;
  }
  yield* ask('moveStaging', run, false);
  yield* ask('sync', 'staging');
  return false;
}

function* isPublished({ run, files, old, content }: Intent): Part<boolean> {
  if (content === null) {
    const visible = yield* ask('listTarget');
    return files.some((file) => visible.includes(file));
  }
  const now = yield* ask('readExact');
  if (now === content) return true;
  if (now === null || now === old) return false;
  return !(yield* ask('isStaged', run, content)) && !(yield* ask('isStaged', run, content, true));
}
