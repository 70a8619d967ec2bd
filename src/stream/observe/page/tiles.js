import { at, make, setText } from './dom.js';
import { age, count, counted, megabytes, size, time } from './words.js';

function tilesOf(status) {
  const { rates, totals, lastCommit, memory, partitions } = status;
  const retries = Object.entries(totals.retries);
  const window = `mean of ${age(rates.windowSeconds)}`;
  const tiles = [
    ['Messages a second', count(rates.rows), window],
    ['Read a second', megabytes(rates.bytes), window],
    ['Rows written', count(totals.rowsWritten), `${size(totals.bytesWritten)} in ${counted(totals.written, 'commit')}`],
    [
      'Last commit',
      lastCommit === null ? 'none yet' : `${age(lastCommit.seconds)} ago`,
      lastCommit === null ? '' : time(lastCommit.atMs),
    ],
    [
      'Bad records',
      count(totals.badRecords),
      `${count(totals.abandoned)} abandoned, ${counted(totals.rebalances, 'rebalance')}`,
    ],
    [
      'Retries',
      count(retries.reduce((sum, [, each]) => sum + each, 0)),
      retries.map(([cause, each]) => `${cause} ${count(each)}`).join(', '),
    ],
    ['Memory', size(memory.rssBytes), `${size(memory.limitBytes)} for data`],
  ];
  const lag = ['Lag', count(status.lag), `in ${counted(partitions.length, 'partition')}`];
  return status.group === null ? tiles : [...tiles.slice(0, 2), lag, ...tiles.slice(2)];
}

/** Figures of now. */
export function drawTiles(status) {
  const tiles = tilesOf(status);
  const box = at('tiles');
  while (box.childElementCount < tiles.length) {
    const tile = make('div');
    tile.append(make('dt'), make('dd'), make('dd'));
    box.append(tile);
  }
  for (const [index, words] of tiles.entries()) {
    for (const [part, text] of words.entries()) setText(box.children[index].children[part], text);
  }
}
