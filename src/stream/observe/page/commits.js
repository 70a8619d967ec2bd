import { at, make } from './dom.js';
import { count, counted, duration, size, time } from './words.js';

const KEPT_COMMITS = 100;

/** Above those that are there. @param commits Oldest first. */
export function addCommits(commits) {
  if (commits.length === 0) return;
  at('no-commits').hidden = true;
  at('commits-box').hidden = false;
  const body = at('commits');
  body.prepend(...commits.toReversed().map(makeCommit));
  while (body.childElementCount > KEPT_COMMITS) body.lastElementChild.remove();
}

function makeCommit({ atMs, number, name, rows, bytes, seconds, fileCount, files, rangeCount, ranges }) {
  const row = make('tr');
  row.append(
    make('td', time(atMs)),
    make('td', count(number), 'number'),
    make('td', name ?? '-'),
    make('td', count(rows), 'number'),
    make('td', size(bytes), 'number'),
    make('td', duration(seconds), 'number'),
    listCell(
      fileCount,
      'file',
      files.map((file) => `${file.path}: ${counted(file.rows, 'row')}, ${size(file.bytes)}`),
    ),
    listCell(
      rangeCount,
      'range',
      ranges.map(
        ({ topic, partition, startOffset, endOffset }) => `${topic}/${partition} [${startOffset}, ${endOffset})`,
      ),
    ),
  );
  return row;
}

function listCell(total, noun, lines) {
  const cell = make('td');
  // One range says it all; a file may have a long path.
  if (total === 0 || (total === 1 && noun === 'range')) {
    cell.textContent = lines[0] ?? '-';
    return cell;
  }
  const details = make('details');
  const list = make('ul');
  const rest = total > lines.length ? [`and ${count(total - lines.length)} more`] : [];
  list.append(...[...lines, ...rest].map((line) => make('li', line)));
  details.append(make('summary', counted(total, noun)), list);
  cell.append(details);
  return cell;
}
