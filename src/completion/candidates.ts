import type { Command, Option } from 'commander';
import { type CommandName, commandNames, commandOf } from '../config/commandLine.ts';
import { OFFSETS_ENTRY } from '../config/defaults.ts';
import { SINK_FORMATS, SOURCE_FORMATS, WRITE_MODES } from '../config/formats.ts';
import type { Environment } from '../config/options.ts';
import { TRIGGER_NAMES } from '../config/streamOptions.ts';
import { FILES_LINE } from './scripts.ts';

type Values = readonly string[] | 'files' | 'topics' | 'connections';

/** What can stand after an option, or after one of a command; nothing for those that are not here. */
const VALUES: Readonly<Record<string, Values>> = {
  '--conf': 'files',
  '--path': 'files',
  '--write-path': 'files',
  '--config': 'topics',
  '--write-config': 'topics',
  '--connectionRef': 'connections',
  '--format': SOURCE_FORMATS,
  'sample --format': ['kafka'],
  '--write-format': SINK_FORMATS,
  '--write-mode': WRITE_MODES,
  '--write-coalesce': ['1'],
  '--starting-offsets': ['earliest', 'latest'],
  '--ending-offsets': ['latest'],
  '--offsets': ['earliest', 'latest'],
  '--report': ['text', 'json'],
  '--streaming-trigger': TRIGGER_NAMES,
  '--streaming-trigger-option': ['10 seconds', '1 minute'],
};

interface Candidate {
  readonly value: string;
  readonly description: string;
}

/**
 * What can stand where the cursor is.
 *
 * @param words What was typed after the name of the command, the last word up to the cursor, perhaps empty.
 * @returns A line for each candidate, its description after a tab; `:files` stands for the names of files. Never fails:
 *   a configuration that cannot be read has no names.
 */
export async function completeWords(words: readonly string[], environment: Environment): Promise<string[]> {
  const { option, before, current, prefix } = locate(words);
  if (option !== null) {
    const values = await valuesOf(option, before, environment);
    if (values === 'files') return [FILES_LINE];
    return format(
      values.map((value) => ({ value, description: '' })),
      current,
      prefix,
    );
  }
  return format(wordsOf(before, current), current, '');
}

/** Which option the cursor gives a value to, if any. */
function locate(words: readonly string[]): {
  readonly option: string | null;
  readonly before: readonly string[];
  readonly current: string;
  /** What the shell replaces together with the value. */
  readonly prefix: string;
} {
  const last = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const joined = /^(--[\w-]+=)(.*)$/s.exec(last);
  if (joined !== null) {
    const [, prefix = '', current = ''] = joined;
    return { option: prefix.slice(0, -1), before, current, prefix };
  }
  // bash: "--format", "=", "par", and "=" alone while nothing follows it.
  const current = last === '=' ? '' : last;
  const previous = before.at(-1) === '=' ? before.at(-2) : before.at(-1);
  const isValue = previous !== undefined && takesValue(previous, before);
  return { option: isValue ? previous : null, before, current, prefix: '' };
}

function takesValue(word: string, before: readonly string[]): boolean {
  const option = optionsOf(before).find(({ long, short }) => long === word || short === word);
  return option?.required ?? false;
}

async function valuesOf(
  option: string,
  before: readonly string[],
  environment: Environment,
): Promise<readonly string[] | 'files'> {
  const values = VALUES[`${before[0]} ${option}`] ?? VALUES[option] ?? [];
  if (values !== 'topics' && values !== 'connections') return values;
  try {
    const { loadConfig } = await import('../config/loadConfig.ts');
    const at = before.lastIndexOf('--conf');
    const skipped = before[at + 1] === '=' ? 2 : 1;
    const conf = at === -1 ? undefined : before[at + skipped];
    const { tree, block } = await loadConfig(conf === undefined ? {} : { conf }, environment);
    const entries = values === 'topics' ? tree.kafka.topics : block('connections');
    return Object.keys(entries ?? {}).filter((name) => name !== OFFSETS_ENTRY);
  } catch {
    return [];
  }
}

/** Commands where one can stand, and options that are not given yet. */
function wordsOf(before: readonly string[], current: string): readonly Candidate[] {
  const { arguments: names } = commandAt(before);
  const options = optionsOf(before)
    .filter(({ long }) => !before.includes(long ?? ''))
    .map(({ long, description }) => ({ value: long ?? '', description }));
  // Options come when they are asked for, or when nothing else can stand there.
  return current.startsWith('-') || names.length === 0 ? options : names;
}

function optionsOf(before: readonly string[]): readonly Option[] {
  const { command } = commandAt(before);
  return command.createHelp().visibleOptions(command);
}

/** The command that the words before the cursor name, and the words that can follow it. */
function commandAt(before: readonly string[]): { command: Command; arguments: readonly Candidate[] } {
  const [name = '', action = ''] = before;
  const isOther = commandNames.includes(name as CommandName);
  const command = commandOf(isOther ? (name as CommandName) : 'run');
  if (!isOther) {
    const names = commandNames.map((each) => ({ value: each, description: commandOf(each).description() }));
    return { command, arguments: before.length === 0 ? names : [] };
  }
  const found = command.commands.find((each) => each.name() === action);
  if (found !== undefined) return { command: found, arguments: [] };
  if (before.length > 1) return { command, arguments: [] };
  const shells = command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []);
  return {
    command,
    arguments: [
      ...command.commands.map((each) => ({ value: each.name(), description: each.description() })),
      ...shells.map((value) => ({ value, description: '' })),
    ],
  };
}

function format(candidates: readonly Candidate[], current: string, prefix: string): string[] {
  const start = current.replace(/^["']/, '').toLowerCase();
  return candidates
    .filter(({ value }) => value.toLowerCase().startsWith(start))
    .map(({ value, description }) => `${prefix}${value}${description === '' ? '' : `\t${description}`}`);
}
