import { type Command, CommanderError } from 'commander';
import { OffloadError } from '../errors.ts';
import { didYouMean } from './nearest.ts';
import { buildOffsetsCommand } from './offsetsCommandLine.ts';
import type {
  CheckOptions,
  CliOptions,
  OffsetsAction,
  OffsetsOptions,
  SampleOptions,
  VerifyOptions,
} from './options.ts';
import { buildRunCommand, type Configure, readRunOptions } from './runCommandLine.ts';
import { buildSampleCommand } from './sampleCommandLine.ts';
import {
  buildCompletionCommand,
  buildConfigCommand,
  buildVerifyCommand,
  SHELLS,
  type Shell,
} from './toolCommandLines.ts';

/** What a command line asks for: a run, another command, or a text to print on stdout. */
export type Request =
  | { readonly kind: 'run'; readonly options: CliOptions }
  | { readonly kind: 'offsets'; readonly action: OffsetsAction; readonly options: OffsetsOptions }
  | { readonly kind: 'sample'; readonly options: SampleOptions }
  | { readonly kind: 'verify'; readonly options: VerifyOptions }
  | { readonly kind: 'check'; readonly options: CheckOptions }
  | { readonly kind: 'completion'; readonly shell: Shell }
  /** What a completion script asks on each press of the key: the words up to the cursor, the last one unfinished. */
  | { readonly kind: 'candidates'; readonly words: readonly string[] }
  | { readonly kind: 'print'; readonly text: string };

/** Commands beside the one that runs; `missing` is what such a command lacks when it stands alone. */
const COMMANDS = {
  offsets: {
    build: (configure, done) =>
      buildOffsetsCommand(configure, (action, options) => done({ kind: 'offsets', action, options })),
    missing: 'offsets needs one of show, set, reset, recover',
  },
  sample: {
    build: (configure, done) => buildSampleCommand(configure, (options) => done({ kind: 'sample', options })),
    missing: 'sample needs --config NAME',
  },
  verify: {
    build: (configure, done) => buildVerifyCommand(configure, (options) => done({ kind: 'verify', options })),
    missing: 'verify needs --path',
  },
  config: {
    build: (configure, done) => buildConfigCommand(configure, (options) => done({ kind: 'check', options })),
    missing: 'config needs check',
  },
  completion: {
    build: (configure, done) => buildCompletionCommand(configure, (shell) => done({ kind: 'completion', shell })),
    missing: `completion needs one of ${SHELLS.join(', ')}`,
  },
} satisfies Record<
  string,
  { build: (configure: Configure, done: (request: Request) => void) => Command; missing: string }
>;

/** The word after `completion` by which its scripts ask; nobody types it. */
export const CANDIDATES_WORD = '--candidates';

/**
 * Reads the command line, as far as that is possible without a configuration: values stay text.
 *
 * @param argv Arguments after the name of the command.
 * @param version Called for `--version` only.
 * @throws OffloadError USAGE in one line, with the nearest option for an unknown one.
 */
export function parseCommandLine(argv: readonly string[], version: () => string): Request {
  const [first = '', second, ...words] = argv;
  if (first === 'completion' && second === CANDIDATES_WORD) return { kind: 'candidates', words };
  if (isCommand(first)) return parseOther(first, argv.slice(1));
  if (first !== '' && !first.startsWith('-')) {
    const hint = didYouMean(first, commandNames);
    throw new OffloadError('USAGE', `unknown command ${first}${hint} (kafkaload --help lists all)`);
  }
  const { command, printed } = parse(buildRunCommand, argv, (message) => {
    return `${message} (kafkaload --help lists all options)`;
  });
  if (printed !== null) return { kind: 'print', text: printed };
  if (command.opts<{ version?: boolean }>().version) return { kind: 'print', text: `${version()}\n` };
  return { kind: 'run', options: readRunOptions(command) };
}

export type CommandName = keyof typeof COMMANDS;
export const commandNames = Object.keys(COMMANDS) as readonly CommandName[];

/** A command as it is defined, for what lists its options. */
export function commandOf(name: CommandName | 'run'): Command {
  const asItIs: Configure = (command) => command;
  return name === 'run' ? buildRunCommand(asItIs) : COMMANDS[name].build(asItIs, () => {});
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

function parseOther(name: CommandName, argv: readonly string[]): Request {
  const { build, missing } = COMMANDS[name];
  const requests: Request[] = [];
  const { printed } = parse(
    (configure) => build(configure, (request) => requests.push(request)),
    argv,
    (message, code) => {
      const isMissing = code === 'commander.help' || code === 'commander.missingArgument';
      return `${isMissing ? missing : message} (kafkaload ${name} --help tells more)`;
    },
  );
  return requests[0] ?? { kind: 'print', text: printed ?? '' };
}

/** @returns The command after parsing; `printed` is the help that was asked for in place of it. */
function parse(
  build: (configure: Configure) => Command,
  argv: readonly string[],
  describe: (message: string, code: string) => string,
): { command: Command; printed: string | null } {
  let output = '';
  const command = build((each) =>
    each.exitOverride().configureOutput({
      writeOut: (text) => {
        output += text;
      },
      writeErr: () => {},
      getOutHelpWidth: () => 100,
      getOutHasColors: () => false,
    }),
  );
  try {
    command.parse(argv, { from: 'user' });
    return { command, printed: null };
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { command, printed: output };
    // "error: unknown option '--pth'\n(Did you mean --path?)"
    const message = error.message.replace(/^error: /, '').replace(/\n\(Did you mean (.*)\?\)$/s, '; did you mean $1?');
    throw new OffloadError('USAGE', describe(message, error.code));
  }
}
