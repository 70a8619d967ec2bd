import { Argument, Command } from 'commander';
import type { CheckOptions } from './options.ts';
import type { Configure } from './runCommandLine.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const CHECK_EXAMPLES = `
Examples:
  kafkaload config check
  kafkaload config check --conf prod.conf --report json
`;

const COMPLETION_EXAMPLES = `
Examples:
  In ~/.bashrc:
    source <(kafkaload completion bash)

  In ~/.zshrc, after compinit:
    source <(kafkaload completion zsh)

  Once, for fish:
    kafkaload completion fish > ~/.config/fish/completions/kafkaload.fish
`;

/** `kafkaload config ...`. */
export function buildConfigCommand(configure: Configure, onRequest: (options: CheckOptions) => void): Command {
  const command = configure(new Command('kafkaload config'))
    .usage('check [options]')
    .description('Looks at the configuration file.')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .addHelpText('after', CHECK_EXAMPLES);
  command
    .command('check')
    .usage('[options]')
    .description('Validates the configuration file without Kafka and prints it, with secrets masked.')
    .allowExcessArguments(false)
    .option('--conf <file>', 'configuration file (default: as for kafkaload itself)')
    .option('--report <format>', 'text (YAML) or json (default: text)')
    .option('--verbose', 'say more on stderr, and the whole chain of causes of an error')
    .action((options: CheckOptions) => onRequest(options));
  return command;
}

/** `kafkaload completion SHELL`. */
export function buildCompletionCommand(configure: Configure, onRequest: (shell: Shell) => void): Command {
  return configure(new Command('kafkaload completion'))
    .usage('bash|zsh|fish')
    .description('Prints a script that completes commands, options, formats, modes and names of the configuration.')
    .helpOption('-h, --help', 'print this text')
    .helpCommand(false)
    .allowExcessArguments(false)
    .addArgument(new Argument('<shell>', 'the shell it is for').choices(SHELLS))
    .addHelpText('after', COMPLETION_EXAMPLES)
    .action((shell: Shell) => onRequest(shell));
}
