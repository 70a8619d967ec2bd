/** The named steps of src/stream/chain, and the operation of the model each of them follows. Those of publishing are one. */
import type { ChainOperationName } from './operations.ts';

export const CHAIN_STEPS: Readonly<Record<string, readonly ChainOperationName[]>> = {
  'chain.opened': [],
  'chain.read': ['readEntry', 'listCheckpoint'],
  'chain.othersFinished': ['publish', 'publishExact', 'removeStaging'],
  'chain.claimed': ['removeEntry'],
  'chain.resumed': ['committed'],
  'chain.begun': [],
  'chain.entryStaged': ['stage'],
  'chain.created': ['create'],
  'chain.looked': ['look'],
  'chain.lost': ['readEntry'],
  'chain.synced': ['sync'],
  'chain.overtaken': ['publish', 'sync'],
  'chain.published': ['publish', 'publishExact'],
  // Not of the model: whoever publishes may deliver them again (test/fault/deadLetters.test.ts).
  'chain.deadLettersWritten': [],
  'chain.stagingRemoved': ['removeStaging'],
  'fold.packed': ['writePack'],
  'fold.checkpointWritten': ['addCheckpoint'],
  'fold.entriesRemoved': ['removeEntry', 'removeOlderCheckpoints'],
};
