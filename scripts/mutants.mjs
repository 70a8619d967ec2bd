/**
 * Breaks the protocol in one way at a time and runs the tests that must notice: a mutant that survives shows what no test
 * guards. A mutant is one or two pieces of text that are replaced in a copy of the compiled command, or, where tests load
 * the sources themselves, while vitest loads them (vitest.config.ts). Each piece must be there exactly once.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleCommand } from './bundleCommand.mjs';

/** Beside `dist`: the command finds its packages and its version from there. */
const COPY = `dist-mutant-${process.pid}`;

const CRASH = {
  file: 'test/fault/crashSteps.test.ts',
  test: 'an offload loses nothing',
  env: { KAFKALOAD_CRASH_ONLY: 'folder Append STREAM', KAFKALOAD_CRASH_STEPS: 'publish.' },
};
const OTHERS = 'test/fault/crashOthers.test.ts';

const STREAM_PUBLISH = '    const outcome = await publishLocalFiles(intent, { fs, writer, step });\n';

const MUTANTS = [
  {
    name: 'commit before publish',
    tests: CRASH,
    changes: [
      {
        file: 'src/commit/streamFinish.js',
        from: STREAM_PUBLISH,
        to: `    const early = mergeOffsets(progress.current.offsets, record);
    await progress.transact([
        ...progress.changedOffsets(early.offsets, record),
        [stateKeys(config).intent, null],
    ]);
${STREAM_PUBLISH}`,
      },
    ],
  },
  {
    name: 'no intent',
    tests: CRASH,
    changes: [
      {
        file: 'src/commit/streamFinish.js',
        from: 'await progress.transact([[stateKeys(config).intent, formatIntentRecord(record)]], {',
        to: "Object.assign({ outcome: 'ok' }, {",
      },
    ],
  },
  {
    name: 'no fsync',
    tests: { file: 'test/fault/lostSync.test.ts', test: 'folder Append FILE.*a later run' },
    sources: true,
    changes: [
      { file: 'src/io.ts', from: '(folder) => folder.sync()', to: 'async () => {}' },
      { file: 'src/io.ts', from: '    await file.sync();\n', to: '' },
    ],
  },
  {
    name: 'fencing ignored',
    tests: { file: OTHERS, test: 'it wakes, says that it was fenced' },
    changes: [
      { file: 'src/kafka/client.js', from: "return { outcome: 'fenced', cause };", to: "return { outcome: 'ok' };" },
    ],
  },
  {
    name: 'manifest after commit',
    tests: CRASH,
    changes: [
      { file: 'src/sinks/localFiles.js', from: 'if (!(await writeManifest(intent, options))) {', to: 'if (!intent) {' },
      {
        file: 'src/commit/streamFinish.js',
        from: '    const isRemoved = await removeStaging(context, record.stagingPath, record.run);\n',
        to: `    await (await import('../sinks/manifest.js')).writeManifest(intent, { fs, writer, step });
    const isRemoved = await removeStaging(context, record.stagingPath, record.run);\n`,
      },
    ],
  },
  {
    name: 'staging cleaned on an unclear prepare',
    tests: { file: OTHERS, test: 'the answer to the prepare is lost' },
    changes: [
      {
        file: 'src/commit/streamFinish.js',
        from: "    if (prepared.outcome === 'unknown')\n",
        to: `    if (prepared.outcome === 'unknown')
        await removeStaging(progress.context, progress.context.stagingPath, progress.context.run);
    if (prepared.outcome === 'unknown')\n`,
      },
    ],
  },
  {
    name: 'last stable offset in place of the high watermark',
    tests: { file: 'test/integration/commitStream.test.ts', test: 'is waited for: what was committed above it' },
    sources: true,
    changes: [
      {
        file: 'src/kafka/topicReader.ts',
        from: "LATEST_TIMESTAMP, 'read_uncommitted'",
        to: "LATEST_TIMESTAMP, 'read_committed'",
      },
    ],
  },
  {
    name: 'aborted transactions not filtered',
    tests: { file: 'test/integration/offloadCodecs.test.ts', test: 'lz4: every committed message' },
    changes: [
      {
        file: 'src/decode/recordSet.js',
        from: "options.isolationLevel === 'read_committed' ? new AbortedTransactions(aborted) : null",
        to: 'null',
      },
    ],
  },
  {
    name: 'retry of a lost number (chains of a stream)',
    tests: { file: 'test/fault/chain.test.ts', test: 'folder.*one that goes on.*a process sleeps at each step' },
    sources: true,
    changes: [
      {
        file: 'src/stream/chain/ownBatches.ts',
        from: "if (check.kind === 'overtaken') return",
        to: "if (check.kind === 'overtaken' && own.attempts === 0) return",
      },
      { file: 'src/stream/chain/ownBatches.ts', from: 'byHand: check.byHand,', to: 'byHand: check.byHand ?? [],' },
    ],
  },
  {
    name: 'dead letters of a dead process forgotten (tables)',
    tests: { file: 'test/fault/deadLetters.test.ts', test: 'to a table in PostgreSQL that is killed' },
    changes: [{ file: 'src/stream/table/tableSink.js', from: 'await this.#letters.deliverWaiting();', to: '' }],
  },
];

/**
 * Prints the table.
 *
 * @param root The checkout, built.
 * @param names Mutants to try; none: all.
 * @returns Whether every one was noticed.
 */
export async function killMutants(root, names) {
  const rows = [];
  for (const mutant of MUTANTS) {
    if (names.length > 0 && !names.includes(mutant.name)) continue;
    console.log(`\n== mutant: ${mutant.name}`);
    rows.push([mutant.name, await tryMutant(root, mutant)]);
  }
  rmSync(join(root, COPY), { recursive: true, force: true });
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log(`\n${'mutant'.padEnd(width)}  killed by`);
  for (const [name, killers] of rows) {
    console.log(`${name.padEnd(width)}  ${killers.length === 0 ? 'NOBODY: IT SURVIVED' : killers.join('; ')}`);
  }
  return rows.every(([, killers]) => killers.length > 0);
}

/** @returns Names of the tests that failed. */
async function tryMutant(root, { name, tests, changes, sources }) {
  const env = { ...process.env, KAFKALOAD_FAULTS: '', ...tests.env };
  if (sources) {
    for (const { file, from, to } of changes) replaceOnce(name, file, readFileSync(join(root, file), 'utf8'), from, to);
    env.KAFKALOAD_TEST_MUTANT = JSON.stringify(changes);
  } else {
    rmSync(join(root, COPY), { recursive: true, force: true });
    cpSync(join(root, 'dist'), join(root, COPY), { recursive: true });
    for (const { file, from, to } of changes) {
      const path = join(root, COPY, file);
      writeFileSync(path, replaceOnce(name, file, readFileSync(path, 'utf8'), from, to));
    }
    await bundleCommand(join(root, COPY));
    Object.assign(env, { KAFKALOAD_TEST_DIST: COPY, KAFKALOAD_TEST_NO_BUILD: '1' });
  }
  const folder = mkdtempSync(join(tmpdir(), 'kafkaload-mutant-'));
  const results = join(folder, 'results.json');
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const options = [
    '-t',
    tests.test,
    '--bail=1',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
  ];
  try {
    spawnSync(process.execPath, [vitest, 'run', tests.file, ...options], { cwd: root, stdio: 'inherit', env });
    if (!existsSync(results)) throw new Error(`the tests of mutant "${name}" did not run`);
    const { testResults } = JSON.parse(readFileSync(results, 'utf8'));
    const all = testResults.flatMap(({ assertionResults }) => assertionResults);
    if (!all.some(({ status }) => status === 'passed' || status === 'failed')) {
      throw new Error(`no test of ${tests.file} is called "${tests.test}"`);
    }
    return all.flatMap(({ status, fullName }) => (status === 'failed' ? [`${tests.file}: ${fullName}`] : []));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function replaceOnce(name, file, text, from, to) {
  const count = text.split(from).length - 1;
  if (count === 1) return text.replace(from, () => to);
  throw new Error(`mutant "${name}": ${JSON.stringify(from)} is in ${file} ${count} times instead of once`);
}
