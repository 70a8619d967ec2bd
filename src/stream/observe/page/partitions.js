import { at, make, setText } from './dom.js';
import { drawSmall } from './draw.js';
import { seriesOf } from './series.js';
import { count, counted, short } from './words.js';

/** More would be slow to draw each second; those with the highest lag are shown then. */
const SHOWN_PARTITIONS = 256;

const ORDERS = {
  name: () => 0,
  lag: (a, b) => (b.lag ?? -1) - (a.lag ?? -1),
  rate: (a, b) => b.offsetsPerSecond - a.offsetsPerSecond,
};

/** @param known The status, and the samples of the last minutes. */
export function drawPartitions(known) {
  const { status, samples } = known;
  const all = status.partitions.map((partition, index) => ({ ...partition, index }));
  const order = all.length > SHOWN_PARTITIONS ? 'lag' : at('order').value;
  const shown = all.toSorted(ORDERS[order]).slice(0, SHOWN_PARTITIONS);
  const lists = [all.map(({ lag }) => lag), ...samples.map(({ lags }) => lags)];
  const highest = lists.reduce((most, lags) => lags.reduce((max, lag) => Math.max(max, lag ?? 0), most), 1);
  const rest = all.length > shown.length ? `; ${count(all.length)} in all, those with the highest lag are shown` : '';
  const text =
    all.length === 0
      ? 'None is ours now.'
      : `Lag of the last 5 minutes, all to one scale: 0 to ${counted(highest, 'offset')}${rest}.`;
  setText(at('partitions-read'), text);
  const list = at('partitions');
  while (list.childElementCount > shown.length) list.lastElementChild.remove();
  while (list.childElementCount < shown.length) list.append(makePartition());
  for (const [place, partition] of shown.entries()) drawPartition(known, list.children[place], partition, highest);
}

function makePartition() {
  const item = make('li');
  const [head, foot] = [make('div', undefined, 'row'), make('div', undefined, 'row muted')];
  head.append(make('span', '', 'name'), make('span', '', 'behind'));
  foot.append(make('span'), make('span'));
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'lag');
  svg.setAttribute('aria-hidden', 'true');
  item.append(head, svg, foot);
  return item;
}

function drawPartition(known, item, { topic, partition, position, end, lag, offsetsPerSecond, index }, highest) {
  const [head, svg, foot] = item.children;
  const name = `${topic}/${partition}`;
  setText(head.children[0], name);
  head.children[0].title = name;
  setText(head.children[1], lag === null ? '' : `lag ${count(lag)}`);
  drawSmall(
    svg,
    seriesOf(known, ({ lags }) => lags[index] ?? null, lag),
    known.status.atMs,
    highest,
  );
  setText(foot.children[0], `${short(Math.round(offsetsPerSecond))}/s`);
  setText(foot.children[1], position === null ? '' : `at ${count(position)}${end === null ? '' : ` of ${count(end)}`}`);
}
