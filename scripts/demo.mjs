/**
 * kafkaload in a minute, with nothing installed beforehand: an embedded broker, orders, the real command twice, and a
 * look at what came out.
 *
 *     npm run demo                 ends by itself; the result stays in demo-out/
 *     npm run demo -- --keep       keeps the broker up afterwards, to try more commands against it
 */
import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readRows, readSavedOffsets } from './demoRead.mjs';
import { openEmbeddedBroker, PARTITIONS } from './embeddedBroker.mjs';
import { makeOrders } from './orders.mjs';
import { SetupError, setUp } from './setup.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const FOLDER = join(ROOT, 'demo-out');
const CONFIG_FILE = join(FOLDER, 'kafkaload.yml');
const ORDERS_FILE = join(FOLDER, 'orders.parquet');
const TOPIC = 'orders';
const OFFSETS_TOPIC = 'comet_offsets';
const FIRST_PER_PARTITION = 40_000;
const MORE_PER_PARTITION = 1_250;

const coloured = process.stdout.isTTY && !process.env.NO_COLOR;
const style = (on, off) => (words) => (coloured ? `\x1b[${on}m${words}\x1b[${off}m` : words);
const bold = style(1, 22);
const dim = style(2, 22);
const green = style(32, 39);
const count = (number) => number.toLocaleString('en-US');
const shown = (path) => relative(process.cwd(), path) || '.';

let stepNumber = 0;
function step(title) {
  stepNumber++;
  console.log(`\n${green(`${stepNumber}.`)} ${bold(title)}`);
}

async function demo({ keep }) {
  await setUp();
  const startedMs = performance.now();
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });

  step('A Kafka broker inside this process');
  const broker = await openEmbeddedBroker();
  try {
    writeFileSync(CONFIG_FILE, configText(broker.bootstrapServers));
    // On a real broker the first run makes it, as the configuration says.
    await broker.createTopic(OFFSETS_TOPIC);
    console.log(`   It listens on ${broker.bootstrapServers}. The configuration file is ${shown(CONFIG_FILE)}.`);
    await produceOrders(broker, 0, FIRST_PER_PARTITION);
    console.log(
      `   Produced ${count(PARTITIONS * FIRST_PER_PARTITION)} JSON orders to topic ${TOPIC}, ${PARTITIONS} partitions, lz4.`,
    );

    step('The first run: everything there is, into one Parquet file');
    await kafkaload(orderRun());
    await expectRows(PARTITIONS * FIRST_PER_PARTITION);

    step(`${count(PARTITIONS * MORE_PER_PARTITION)} more orders, and a second run: it takes only those`);
    await produceOrders(broker, FIRST_PER_PARTITION, FIRST_PER_PARTITION + MORE_PER_PARTITION);
    await kafkaload(orderRun());
    await expectRows(PARTITIONS * (FIRST_PER_PARTITION + MORE_PER_PARTITION));

    step(`What is in ${shown(ORDERS_FILE)} (${(statSync(ORDERS_FILE).size / 2 ** 20).toFixed(1)} MiB), read by DuckDB`);
    await showFile();

    step(`The saved offsets, in topic ${OFFSETS_TOPIC}`);
    await showOffsets(broker.bootstrapServers);

    console.log(`\n${green('Done')} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s.`);
    showNextCommands(keep);
    if (keep) await untilInterrupted();
  } finally {
    await broker.close();
  }
}

function configText(bootstrapServers) {
  return `# The configuration of the demonstration. For a cluster of your own, change bootstrap.servers and topicName.
kafka:
  cometOffsetsMode: STREAM
  serverOptions:
    bootstrap.servers: "${bootstrapServers}"
  topics:
    # kafkaload --config orders
    orders:
      topicName: ${TOPIC}
      fields: ["key as STRING", "value as STRING", "partition as INT", "offset as LONG", "timestamp as TIMESTAMP"]
    # A second way to offload the same topic: it has saved offsets of its own.
    orders_values:
      topicName: ${TOPIC}
      fields: ["value as STRING"]
    # Where the offsets are saved.
    comet_offsets:
      topicName: ${OFFSETS_TOPIC}
      partitions: 1
      replicationFactor: 1
      createOptions: { cleanup.policy: compact }
`;
}

async function produceOrders(broker, from, to) {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    await broker.produce(TOPIC, partition, makeOrders(partition, from, to));
    const { lowOffset, highOffset } = await broker.watermarks(TOPIC, partition);
    if (lowOffset !== 0 || highOffset !== to) {
      throw new Error(
        `the embedded broker holds [${lowOffset}, ${highOffset}) of ${TOPIC}/${partition}, not [0, ${to})`,
      );
    }
  }
}

function orderRun() {
  return [
    '--conf',
    shown(CONFIG_FILE),
    '--config',
    'orders',
    '--write-path',
    shown(ORDERS_FILE),
    '--write-coalesce',
    '1',
  ];
}

/** Runs the command as a user would, its output going straight to the terminal. */
async function kafkaload(options) {
  console.log(`\n   ${dim('$')} npx kafkaload ${options.join(' ')}\n`);
  // Not spawnSync: the broker's connections are served by this process, and this process reports on it.
  const child = spawn(process.execPath, [join(ROOT, 'bin', 'kafkaload.mjs'), ...options], { stdio: 'inherit' });
  const status = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  if (status !== 0) throw new Error(`kafkaload ended with ${status}`);
}

async function expectRows(expected) {
  const [{ rows }] = await readRows(`SELECT count(*)::INT AS rows FROM '${ORDERS_FILE}'`);
  if (rows !== expected) throw new Error(`${ORDERS_FILE} has ${count(rows)} rows, not ${count(expected)}`);
}

async function showFile() {
  const queries = [
    `SELECT partition, count(*)::INT AS rows, min("offset")::INT AS first, max("offset")::INT AS last
       FROM '${shown(ORDERS_FILE)}' GROUP BY partition ORDER BY partition`,
    `SELECT partition AS p, "offset"::INT AS "offset", key, value FROM '${shown(ORDERS_FILE)}'
       WHERE "offset" = ${FIRST_PER_PARTITION} ORDER BY partition`,
    `SELECT value->>'status' AS status, count(*)::INT AS orders, round(sum((value->>'amount')::DOUBLE), 2) AS amount
       FROM '${shown(ORDERS_FILE)}' GROUP BY status ORDER BY orders DESC`,
  ];
  for (const query of queries) {
    console.log(`\n   ${dim(query.replace(/\s+/g, ' '))}`);
    showTable(await readRows(query));
  }
}

async function showOffsets(bootstrapServers) {
  const kafka = createRequire(import.meta.url)('node-rdkafka');
  const saved = await readSavedOffsets(kafka, bootstrapServers, OFFSETS_TOPIC, 'orders');
  showTable([...saved].map(([key, next]) => ({ key, 'next offset': next })));
  const expected = String(FIRST_PER_PARTITION + MORE_PER_PARTITION);
  const right = saved.size === PARTITIONS && [...saved.values()].every((next) => next === expected);
  if (!right) throw new Error(`expected ${PARTITIONS} saved offsets of ${expected}`);
}

function showTable(rows) {
  const names = Object.keys(rows[0] ?? {});
  const width = (name) => Math.max(name.length, ...rows.map((row) => text(row[name]).length));
  const line = (cell) => `   ${names.map((name) => cell(name)).join('  ')}`.trimEnd();
  console.log(bold(line((name) => name.padEnd(width(name)))));
  for (const row of rows) {
    console.log(
      line((name) =>
        typeof row[name] === 'number' ? text(row[name]).padStart(width(name)) : text(row[name]).padEnd(width(name)),
      ),
    );
  }
}

function text(value) {
  const whole = typeof value === 'number' ? count(value) : String(value);
  return whole.length > 100 ? `${whole.slice(0, 97)}...` : whole;
}

function showNextCommands(keep) {
  const second = `npx kafkaload --conf ${shown(CONFIG_FILE)} --config orders_values --write-path ${shown(join(FOLDER, 'values'))}`;
  const lines = keep
    ? [
        ['the same topic in another way, as a folder of files', second],
        ['nothing new: nothing read, no file written', `npx kafkaload ${orderRun().join(' ')}`],
        ['what a run would do', `${second} --dry-run`],
      ]
    : [
        ['this again, with the broker left up for more commands', 'npm run demo -- --keep'],
        ['every option', 'npx kafkaload --help'],
        ['a Kafka broker of your own, on localhost:9092', 'docker compose up --wait'],
        [
          `a topic of your own, after editing ${shown(CONFIG_FILE)}: first what it would do, then the run`,
          `${second} --dry-run`,
          second,
        ],
      ];
  console.log(`\n${bold(keep ? 'Try in another terminal:' : 'Next:')}`);
  for (const [what, ...commands] of lines) console.log(`   ${dim(`# ${what}`)}\n   ${commands.join('\n   ')}`);
}

async function untilInterrupted() {
  console.log('\nThe broker stays up until Ctrl-C.');
  const idle = setInterval(() => {}, 60_000);
  await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
  clearInterval(idle);
}

try {
  await demo({ keep: process.argv.includes('--keep') });
} catch (error) {
  console.error(`\n${error instanceof SetupError ? 'Set-up failed' : 'The demo failed'}: ${error.message}`);
  process.exitCode = 1;
}
