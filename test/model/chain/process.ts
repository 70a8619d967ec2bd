/** A process of a stream, as src/stream/chain/ has it: `resume`, `append`, `groupCommitted` and the fold, in phases. */
import type { AnyOperation, Next, Protocol } from '../machine.ts';
import { ask, outcomesOf } from './operations.ts';
import { type ChainActor, keeps } from './rules.ts';
import { type Entry, type Move, type World, worldKey } from './world.ts';

type Part<T> = Generator<AnyOperation, T, unknown>;

/** As src/stream/chain/positions.ts. */
interface Position {
  readonly start: number;
  readonly next: number;
  readonly entry: number;
}

/** As src/stream/chain/claims.ts; `offset` -1: nobody knows, which is the beginning. */
interface Claim {
  readonly partition: number;
  readonly offset: number;
  readonly entry: number;
  /** The group holds the offset. */
  readonly isHeld: boolean;
  /** -1: none. */
  readonly hand: number;
}

/** All that a process remembers. */
interface Memory {
  readonly generation: number;
  readonly claims: readonly Claim[];
  readonly tip: number;
  readonly tipBatch: string;
  readonly checkpoint: number;
  readonly positions: readonly (Position | null)[];
  /** Entries that are not folded. */
  readonly entries: readonly Entry[];
  /** Those of others that were read since the last micro-batch began, and may not be published. */
  readonly news: readonly Entry[];
  readonly batches: number;
}

const FRESH: Memory = {
  generation: 0,
  claims: [],
  tip: 0,
  tipBatch: '',
  checkpoint: 0,
  positions: [null, null],
  entries: [],
  news: [],
  batches: 0,
};

/** Takes an entry in that follows. */
function takeEntry(memory: Memory, entry: Entry): Memory {
  const positions = [...memory.positions];
  for (const { partition, start, next } of entry.moves) positions[partition] = { start, next, entry: entry.number };
  return {
    ...memory,
    positions,
    tip: entry.number,
    tipBatch: entry.batch,
    entries: [...memory.entries, entry],
  };
}

/** As `ChainState.catchUp`. Null: the chain cannot be read, and the process ends. */
function* catchUp(from: Memory): Part<Memory | null> {
  for (;;) {
    const checkpoint = yield* ask('listCheckpoint');
    let memory = from;
    if (checkpoint > from.tip) {
      const folded = yield* ask('readCheckpoint', checkpoint);
      if (!folded) continue;
      memory = folded.reduce(takeEntry, { ...from, tip: 0, tipBatch: '', positions: [null, null], entries: [] });
    }
    for (;;) {
      const entry = yield* ask('readEntry', memory.tip + 1);
      if (!entry) break;
      if (entry.previous !== memory.tipBatch) return null;
      memory = { ...takeEntry(memory, entry), news: [...memory.news, entry] };
    }
    if ((yield* ask('listCheckpoint')) !== checkpoint) continue;
    const seen = Math.max(checkpoint, memory.checkpoint);
    return { ...memory, checkpoint: seen, entries: memory.entries.filter(({ number }) => number > seen) };
  }
}

function publishEntry({ rules }: ChainActor, { batch, old }: Entry): Part<true> {
  return rules.target === 'file' ? ask('publishExact', batch, old) : ask('publish', batch);
}

function* join({ process }: ChainActor, memory: Memory): Part<Next> {
  const { generation, owned } = yield* ask('join', process);
  // A partition that went and came back is another one.
  const isKept = ({ partition }: Claim): boolean =>
    owned.some(([own, since]) => own === partition && since <= memory.generation);
  const claims = memory.claims.filter(isKept);
  const fresh = owned.map(([partition]) => partition).filter((own) => !claims.some((claim) => claim.partition === own));
  const now = { ...memory, generation, claims };
  return fresh.length === 0 ? ['commit', now, claims.map(({ partition }) => partition), ''] : ['claim', now, fresh];
}

function* claim(actor: ChainActor, before: Memory, fresh: readonly number[]): Part<Next> {
  const early = keeps(actor, 'chainBeforeGroup') ? null : yield* ask('committed', ...fresh);
  const deadFirst = keeps(actor, 'deadFirst');
  let dead = deadFirst ? yield* ask('whoIsDead') : [];
  const memory = yield* catchUp(before);
  if (!memory) return ['end', 'the chain is damaged'];
  if (!deadFirst) dead = yield* ask('whoIsDead');
  if (keeps(actor, 'syncBeforeGoing')) yield* ask('sync');
  yield* finishOthers(actor, memory, dead);
  for (const number of yield* ask('listFolded', memory.checkpoint)) yield* ask('removeEntry', number);
  const claims = fresh.map((partition): Claim => {
    return { partition, offset: -1, entry: memory.positions[partition]?.entry ?? 0, isHeld: false, hand: -1 };
  });
  const others = memory.claims.filter(({ partition }) => !fresh.includes(partition));
  return ['resume', { ...memory, claims: [...others, ...claims], news: [] }, fresh, early];
}

function* resume(
  actor: ChainActor,
  before: Memory,
  fresh: readonly number[],
  early: readonly number[] | null,
): Part<Next> {
  const group = early ?? (yield* ask('committed', ...fresh));
  const memory = yield* catchUp(before);
  if (!memory) return ['end', 'the chain is damaged'];
  if (early === null && fresh.some((partition) => hasMoved(memory, partition))) return ['claim', memory, fresh];
  const claims = memory.claims.map((own) => {
    const at = fresh.indexOf(own.partition);
    return at < 0 ? own : settle(actor, memory, own, group[at] ?? -1);
  });
  const now = { ...memory, claims };
  const all = claims.map(({ partition }) => partition);
  return keeps(actor, 'resumeFirst') ? ['commit', now, all, ''] : ['work', now];
}

/** Somebody's entry names it that was not there when it was claimed. */
function hasMoved(memory: Memory, partition: number): boolean {
  return (memory.positions[partition]?.entry ?? 0) !== claimIn(memory, partition).entry;
}

function* finishOthers(actor: ChainActor, memory: Memory, dead: readonly number[]): Part<void> {
  for (const staged of yield* ask('listStaging')) {
    if (staged.process === actor.process) continue;
    const entry = memory.entries.find(({ batch }) => batch === staged.batch);
    const isDead = dead.includes(staged.process);
    if (entry && keeps(actor, 'publishOnStart')) yield* publishEntry(actor, entry);
    const isOvertaken =
      !keeps(actor, 'overtakenFirst') ||
      staged.partitions.some((partition) => (memory.positions[partition]?.entry ?? 0) > staged.tip);
    // That an hour has gone by is always possible.
    if (isDead || entry || isOvertaken) yield* ask('removeStaging', staged.batch);
  }
}

/** As in src/stream/chain/claims.ts. */
function settle(actor: ChainActor, { positions }: Memory, own: Claim, group: number): Claim {
  const position = positions[own.partition];
  if (!position) return { ...own, offset: group, isHeld: true, hand: -1 };
  const { start, next, entry } = position;
  const isChain = group < 0 || group === next || (group === start && keeps(actor, 'chainWins'));
  if (isChain || !keeps(actor, 'handWins')) return { ...own, offset: next, entry, isHeld: group === next, hand: -1 };
  return { ...own, offset: group, entry, isHeld: true, hand: group === start ? -1 : group };
}

/** Commits to the group where partitions go on, unless it holds that. @param batch That is over then; '': none. */
function* commit(actor: ChainActor, memory: Memory, partitions: readonly number[], batch: string): Part<Next> {
  const own = memory.claims.filter(({ partition }) => partitions.includes(partition));
  const due = own.filter(({ offset, isHeld }) => offset >= 0 && !isHeld);
  if (due.length > 0) {
    const offsets = due.map(({ partition, offset }) => [partition, offset] as const);
    if (!(yield* ask('commitGroup', memory.generation, ...offsets))) return ['join', memory];
  }
  const claims = memory.claims.map((claim) => (due.includes(claim) ? { ...claim, isHeld: true } : claim));
  const now = { ...memory, claims };
  if (batch !== '') yield* ask('removeStaging', batch);
  const { foldEntries } = actor.rules;
  return foldEntries > 0 && now.tip - now.checkpoint > foldEntries ? ['fold', now] : ['work', now];
}

function* work(actor: ChainActor, memory: Memory): Part<Next> {
  const { process, rules } = actor;
  const most = rules.most[process - 1] ?? 1;
  const moves = memory.claims.flatMap(({ partition, offset, hand }): Move[] => {
    const start = Math.max(0, offset);
    const next = Math.min(start + most, rules.messages[partition] ?? 0);
    return start < next ? [{ partition, start, next, hand }] : [];
  });
  if (moves.length === 0) {
    yield* ask('awaitRebalance', memory.generation);
    return ['join', memory];
  }
  if (keeps(actor, 'publishNews')) yield* publishNews(actor, memory);
  const batch = `${process}.${memory.batches + 1}`;
  const old = rules.target === 'file' ? yield* ask('readExact') : '';
  const partitions = moves.map(({ partition }) => partition);
  yield* ask('stage', { process, batch, tip: memory.tip, partitions, hasFile: true });
  return ['append', { ...memory, news: [], batches: memory.batches + 1 }, batch, moves, old];
}

function* append(actor: ChainActor, memory: Memory, batch: string, moves: readonly Move[], old: string): Part<Next> {
  const isOvertaken = moves.some(({ partition }) => hasMoved(memory, partition));
  if (isOvertaken && keeps(actor, 'lookAtNews')) return ['overtaken', memory, batch, moves];
  const entry: Entry = { number: memory.tip + 1, batch, previous: memory.tipBatch, moves, old };
  if (!keeps(actor, 'createFirst')) yield* publishEntry(actor, entry);
  if (!(yield* ask('hasStaged', batch)) && keeps(actor, 'createFirst')) return ['end', 'what was staged is gone'];
  if (yield* ask('create', entry)) {
    if (!keeps(actor, 'lookAfterCreation') || (yield* ask('look', entry.number, batch))) {
      return ['publish', moved(takeEntry(memory, entry), entry), entry];
    }
    yield* ask('removeEntry', entry.number);
  }
  if (!keeps(actor, 'lookAtNews')) {
    const other = yield* ask('readEntry', entry.number);
    return other ? ['append', takeEntry(memory, other), batch, moves, old] : ['append', memory, batch, moves, old];
  }
  const now = yield* catchUp(memory);
  if (!now) return ['end', 'the chain is damaged'];
  if (keeps(actor, 'syncBeforeNext')) yield* ask('sync');
  const isStale = actor.rules.target === 'file' && keeps(actor, 'lostExact');
  return isStale ? ['overtaken', now, batch, moves] : ['append', now, batch, moves, old];
}

function claimIn({ claims }: Memory, partition: number): Claim {
  const claim = claims.find((own) => own.partition === partition);
  if (!claim) throw new RangeError(`no claim on partition ${partition}`);
  return claim;
}

function moved(memory: Memory, { number, moves }: Entry): Memory {
  const claims = memory.claims.map((claim) => {
    const move = moves.find(({ partition }) => partition === claim.partition);
    return move ? { ...claim, offset: move.next, entry: number, isHeld: false, hand: -1 } : claim;
  });
  return { ...memory, claims };
}

function* publish(actor: ChainActor, memory: Memory, entry: Entry): Part<Next> {
  if (keeps(actor, 'syncBeforePublish')) yield* ask('sync');
  yield* publishEntry(actor, entry);
  if (keeps(actor, 'groupFirst')) return ['commit', memory, entry.moves.map(({ partition }) => partition), entry.batch];
  // Commits only when there is nothing left to write.
  const isOver = memory.claims.every(({ partition, offset }) => offset >= (actor.rules.messages[partition] ?? 0));
  const all = memory.claims.map(({ partition }) => partition);
  return isOver ? ['commit', memory, all, entry.batch] : ['work', memory];
}

function* overtaken(actor: ChainActor, memory: Memory, batch: string, moves: readonly Move[]): Part<Next> {
  yield* publishNews(actor, memory);
  yield* ask('removeStaging', batch);
  const isOver = ({ partition }: Claim): boolean => {
    return moves.some((move) => move.partition === partition) && hasMoved(memory, partition);
  };
  // Whether a person was obeyed, only the group can say.
  const wished = memory.claims.filter((own) => isOver(own) && own.hand >= 0);
  if (wished.length > 0) return ['claim', memory, wished.map(({ partition }) => partition)];
  const claims = memory.claims.map((own) => {
    const position = memory.positions[own.partition];
    return isOver(own) && position ? { ...own, offset: position.next, entry: position.entry, isHeld: false } : own;
  });
  const partitions = moves.map(({ partition }) => partition);
  return ['commit', { ...memory, claims, news: [] }, partitions, ''];
}

/** Entries that were read are visible before anything is made from what is there. */
function* publishNews(actor: ChainActor, { news }: Memory): Part<void> {
  if (news.length > 0) yield* ask('sync');
  for (const entry of news) if (yield* ask('hasStaged', entry.batch)) yield* publishEntry(actor, entry);
}

/** As src/stream/chain/fold.ts. */
function* fold(actor: ChainActor, memory: Memory): Part<Next> {
  const { checkpoint } = memory;
  const last = checkpoint + actor.rules.foldEntries;
  const entries: Entry[] = [];
  for (let number = checkpoint + 1; number <= last; number++) {
    const entry = yield* ask('readEntry', number);
    if (entry) entries.push(entry);
  }
  if ((yield* ask('listCheckpoint')) !== checkpoint || entries.length !== actor.rules.foldEntries) {
    const now = yield* catchUp(memory);
    return now ? ['work', now] : ['end', 'the chain is damaged'];
  }
  if (keeps(actor, 'publishBeforeFold')) {
    for (const entry of entries) if (yield* ask('hasStaged', entry.batch)) yield* publishEntry(actor, entry);
  }
  yield* ask('writePack', last, entries);
  const removal = function* (): Part<void> {
    for (const { number } of entries) yield* ask('removeEntry', number);
  };
  if (!keeps(actor, 'checkpointFirst')) yield* removal();
  yield* ask('addCheckpoint', last);
  if (keeps(actor, 'syncCheckpoint')) yield* ask('sync');
  if (keeps(actor, 'checkpointFirst')) yield* removal();
  yield* ask('removeOlderCheckpoints', last);
  yield* ask('sync');
  return ['work', { ...memory, checkpoint: last, entries: memory.entries.filter(({ number }) => number > last) }];
}

type Phase = (actor: ChainActor, ...args: readonly unknown[]) => Part<Next>;

const PHASES = { join, claim, resume, commit, work, append, publish, overtaken, fold } as unknown as Record<
  string,
  Phase
>;

export const CHAIN: Protocol<ChainActor, World> = {
  first: () => ['join', FRESH],
  begin: (actor, [name, ...args]) => {
    const phase = PHASES[name];
    if (!phase) throw new RangeError(`no phase ${name}`);
    return phase(actor, ...args);
  },
  outcomesOf,
  keyOf: worldKey,
  isIdle: ({ rules }, { name }) => name === 'sync' && rules.losses === 0,
};
