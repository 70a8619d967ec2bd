/** Asks for the status every second and draws it. Text of others goes into `textContent` alone. */
import { addCommits } from './commits.js';
import { at, setText } from './dom.js';
import { describeChart, drawChart, momentAt, nearest } from './draw.js';
import { drawPartitions } from './partitions.js';
import { seriesOf } from './series.js';
import { drawTiles } from './tiles.js';
import { age, count, counted, time } from './words.js';

const ASK_EVERY_MS = 1_000;
const MAX_RETRY_MS = 10_000;
const KEPT_SAMPLES = 150;

/** What was told so far; answers bring only what is new. */
const known = { status: null, samples: [], startedAtMs: null, assignment: -1, sample: 0, batch: 0 };
let failures = 0;
let answeredAtMs = null;

async function ask() {
  const { assignment, sample, batch } = known;
  const response = await fetch(`status.json?assignment=${assignment}&sample=${sample}&batch=${batch}`);
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

function learn(answer) {
  // Another process at the same port: nothing of the old one holds.
  if (known.startedAtMs !== null && known.startedAtMs !== answer.startedAtMs) {
    location.reload();
    return;
  }
  known.startedAtMs = answer.startedAtMs;
  if (known.assignment !== answer.assignment) {
    known.samples = [];
    known.assignment = answer.assignment;
    known.sample = 0;
  }
  known.samples = [...known.samples, ...answer.samples].slice(-KEPT_SAMPLES);
  known.sample = known.samples.at(-1)?.sequence ?? 0;
  known.batch = answer.commits.at(-1)?.number ?? known.batch;
  known.status = answer;
  addCommits(answer.commits);
}

function drawState() {
  const { status } = known;
  setText(at('title'), status.group === null ? status.config : `${status.group}`);
  document.title = `${status.state}: ${status.group ?? status.config} - kafkaload`;
  at('state').className = `badge ${status.state}`;
  setText(at('state'), status.state);
  const alerts = [];
  if (status.state === 'waiting') alerts.push(`Waiting for ${age(status.stateSeconds)}: ${status.why}`);
  if (status.state === 'stopping') alerts.push(`Stopping: ${status.why}`);
  const { lastError } = status;
  if (lastError && status.state !== 'waiting')
    alerts.push(`Last error, at ${time(lastError.atMs)}: ${lastError.message} (${lastError.code})`);
  setAlert(alerts.join(' - '));
  setText(
    at('foot'),
    `Since ${new Date(status.startedAtMs).toLocaleString('en-GB')}` +
      (status.memberId === null ? '' : `, member ${status.memberId} of generation ${status.generation}`),
  );
}

function setAlert(text) {
  at('alert').hidden = text === '';
  setText(at('alert'), text);
}

const CHARTS = [
  {
    name: 'rate',
    title: 'Throughput',
    pick: (sample) => sample.rowsPerSecond,
    now: (status) => status.rates.rows,
    words: (value) => `${count(value)} messages/s`,
  },
  {
    name: 'lag',
    title: 'Lag',
    pick: (sample) => sample.lag,
    now: (status) => status.lag,
    words: (value) => counted(value, 'offset'),
  },
];
const cursors = { rate: null, lag: null };

function drawCharts() {
  const { status } = known;
  for (const { name, title, pick, now, words } of CHARTS) {
    const svg = at(`${name}-chart`);
    const samples = seriesOf(known, pick, now(status));
    const cursorMs = cursors[name] === null ? null : momentAt(svg, cursors[name], status.atMs);
    drawChart(svg, samples, status.atMs, cursorMs);
    describeChart(svg, title, samples, words);
    const marked = cursorMs === null ? samples.at(-1) : nearest(samples, cursorMs);
    setText(at(`${name}-read`), `${time(marked.atMs)}: ${words(marked.value)}`);
  }
}

function draw() {
  if (known.status === null) return;
  drawState();
  drawTiles(known.status);
  drawCharts();
  drawPartitions(known);
}

function drawNoAnswer(error) {
  failures += 1;
  at('state').className = 'badge gone';
  setText(at('state'), 'no answer');
  const since = answeredAtMs === null ? '' : ` since ${time(answeredAtMs)}`;
  setAlert(`The process does not answer${since} (${error.message}): it has ended, or cannot be reached.`);
}

async function loop() {
  // Nobody looks: the answer to the next question brings what came meanwhile.
  if (document.hidden)
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  const answer = await ask().catch(drawNoAnswer);
  if (answer) {
    failures = 0;
    answeredAtMs = Date.now();
    learn(answer);
    draw();
  }
  setTimeout(loop, Math.min(MAX_RETRY_MS, ASK_EVERY_MS * 2 ** Math.min(failures, 4)));
}

async function showJob() {
  const response = await fetch('job.json');
  const job = await response.json();
  setText(at('route'), job.route);
  setText(at('job'), JSON.stringify(job.settings, null, 2));
}

for (const { name } of CHARTS) {
  const svg = at(`${name}-chart`);
  svg.addEventListener('pointermove', (event) => {
    cursors[name] = event.clientX;
    draw();
  });
  svg.addEventListener('pointerleave', () => {
    cursors[name] = null;
    draw();
  });
}
at('order').addEventListener('change', draw);
addEventListener('resize', draw);
void loop();
showJob().catch((error) => setText(at('job'), `cannot be shown: ${error.message}`));
