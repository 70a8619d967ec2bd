import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import {
  LEAST_VALUE_BYTES,
  MICRO_BENCHES,
  type MicroBench,
  MOST_VALUE_BYTES,
  PEERS,
  STANDARD_MESSAGES,
  SWEEPS,
  TOPIC_CODECS,
} from './core/names.ts';
import type { TopicShape } from './core/topic.ts';
import type { PeersOptions } from './peers/peers.ts';
import type { StreamBenchOptions } from './stream/stream.ts';
import type { SweepOptions } from './sweeps/sweeps.ts';

export type Rounds = { readonly rounds: number };

/** What a command line of `npm run bench --` asks for. */
export type Request =
  | { readonly kind: 'all' }
  | { readonly kind: 'micro'; readonly names: readonly MicroBench[] }
  | { readonly kind: 'e2e' | 'transform'; readonly options: TopicShape & Rounds }
  | { readonly kind: 'trace'; readonly options: TopicShape }
  | { readonly kind: 'load'; readonly options: Rounds & { readonly messages: number } }
  | { readonly kind: 'peers'; readonly options: PeersOptions }
  | { readonly kind: 'sweeps'; readonly options: SweepOptions }
  | { readonly kind: 'stream'; readonly options: StreamBenchOptions }
  | { readonly kind: 'compare'; readonly base: string; readonly next: string | null }
  | { readonly kind: 'report' }
  | { readonly kind: 'print'; readonly text: string };

/** A command line that makes no sense; the message is one line. */
export class UsageError extends Error {}

/** What `e2e` and `transform` have when nothing is said. */
export const DEFAULTS = {
  e2e: { messages: STANDARD_MESSAGES, partitions: 8, codec: 'lz4', valueBytes: null, rounds: 3 },
  transform: { messages: 2_000_000, partitions: 8, codec: 'lz4', valueBytes: null, rounds: 3 },
  load: { messages: 2_000_000, rounds: 3 },
  stream: { messages: STANDARD_MESSAGES, seconds: 20 },
} as const;

interface ShapeFlags extends Rounds {
  readonly messages: number;
  readonly size?: number;
  readonly partitions: number;
  readonly codec: TopicShape['codec'];
}

const MOST_MESSAGES = 1_000_000_000;

/** @throws UsageError */
export function parseArguments(argv: readonly string[]): Request {
  if (argv.length === 0) return { kind: 'all' };
  let request: Request | undefined;
  let text = '';
  const output = { writeOut: (part: string) => (text += part), writeErr: () => undefined };
  const program = buildProgram((asked) => {
    request = asked;
  });
  for (const command of [program, ...program.commands]) command.configureOutput(output).exitOverride();
  try {
    program.parse([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (text !== '') return { kind: 'print', text };
    const [line = ''] = error.message.replace(/^error: /, '').split('\n');
    throw new UsageError(`${line} (npm run bench -- --help lists all)`);
  }
  if (!request) throw new UsageError('which bench? (npm run bench -- --help lists all)');
  return request;
}

function buildProgram(done: (request: Request) => void): Command {
  const program = new Command('npm run bench --').helpCommand(false);
  program.description('Measures kafkaload. Without arguments: micro, e2e, load and transform, one after the other.');
  const add = (name: string, description: string): Command => program.command(name).description(description);
  add('micro', 'decoding, encoding and producing: one thread, one stage each').action(() =>
    done({ kind: 'micro', names: MICRO_BENCHES }),
  );
  for (const name of MICRO_BENCHES) {
    add(name, `the ${name} part of micro alone`).action(() => done({ kind: 'micro', names: [name] }));
  }
  for (const kind of ['e2e', 'transform'] as const) {
    const what = kind === 'e2e' ? 'beside kcat' : 'with a module and with SQL, beside the same without';
    withRounds(withShape(add(kind, `a topic to Parquet, ${what}`), DEFAULTS[kind])).action(
      ({ size, ...flags }: ShapeFlags) => done({ kind, options: { ...flags, valueBytes: size ?? null } }),
    );
  }
  withShape(add('trace', 'what each thread does when, in one run'), DEFAULTS.e2e).action(
    ({ size, ...flags }: Omit<ShapeFlags, 'rounds'>) =>
      done({ kind: 'trace', options: { ...flags, valueBytes: size ?? null } }),
  );
  withRounds(withMessages(add('load', 'Parquet to a topic, and a topic to a topic'), DEFAULTS.load.messages)).action(
    (options: Rounds & { messages: number }) => done({ kind: 'load', options }),
  );
  const peers = add('peers', 'beside what others use; installs them into the cache folder, where missing');
  peers.addOption(listOption('--only <names>', 'some of them', PEERS));
  withRounds(withMessages(peers, STANDARD_MESSAGES)).action(({ only, ...options }) =>
    done({ kind: 'peers', options: { ...options, peers: only } }),
  );
  const sweeps = add('sweeps', 'one thing varies: message size, partitions, codec, messages, workers, memory');
  sweeps.addOption(listOption('--only <names>', 'some of them', SWEEPS));
  withRounds(withMessages(sweeps, STANDARD_MESSAGES)).action(({ only, ...options }) =>
    done({ kind: 'sweeps', options: { ...options, sweeps: only } }),
  );
  const stream = withMessages(
    add('stream', 'latency of streams to files and to a topic, and a backlog to files'),
    DEFAULTS.stream.messages,
  ).allowExcessArguments(false);
  stream.addOption(
    new Option('--seconds <n>', 'of each measurement of latency')
      .argParser(wholeNumber(1, 3_600))
      .default(DEFAULTS.stream.seconds),
  );
  stream.action((options: StreamBenchOptions) => done({ kind: 'stream', options }));
  add('compare', 'fails where rows/s of ours are under 0.9 x of a stored result')
    .argument('<base>', 'file of results')
    .argument('[new]', 'file of results (default: the newest of the same bench)')
    .action((base: string, next?: string) => done({ kind: 'compare', base, next: next ?? null }));
  add('report', 'writes bench/report.html from the newest results, and prints the goals').action(() =>
    done({ kind: 'report' }),
  );
  return program;
}

function withShape(command: Command, defaults: TopicShape): Command {
  const sizes = wholeNumber(LEAST_VALUE_BYTES, MOST_VALUE_BYTES);
  return withMessages(command, defaults.messages)
    .allowExcessArguments(false)
    .addOption(new Option('--size <bytes>', 'bytes of each value (default: events of about 180)').argParser(sizes))
    .addOption(
      new Option('--partitions <n>', 'of the topic').argParser(wholeNumber(1, 1_000)).default(defaults.partitions),
    )
    .addOption(new Option('--codec <codec>', 'of the topic').choices(TOPIC_CODECS).default(defaults.codec));
}

function withMessages(command: Command, messages: number): Command {
  const option = new Option('--messages <n>', 'in the topic').argParser(wholeNumber(1, MOST_MESSAGES));
  return command.addOption(option.default(messages));
}

function withRounds(command: Command): Command {
  const option = new Option('--rounds <n>', 'runs of each contender, in turns').argParser(wholeNumber(1, 100));
  return command.addOption(option.default(3)).allowExcessArguments(false);
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d[\d_]*$/.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`a whole number from ${least} to ${most} is needed.`);
  };
}

function listOption(flags: string, what: string, choices: readonly string[]): Option {
  return new Option(flags, `${what}: ${choices.join(', ')}`).default(choices, 'all').argParser((text: string) => {
    const names = text.split(',').map((name) => name.trim());
    const unknown = names.find((name) => !choices.includes(name));
    if (unknown !== undefined) {
      throw new InvalidArgumentError(`there is no "${unknown}"; there are ${choices.join(', ')}.`);
    }
    return choices.filter((name) => names.includes(name));
  });
}
