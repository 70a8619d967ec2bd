import { createRequire } from 'node:module';
import type { ErrorContext } from '../errors.ts';

/**
 * What a run says while it works, on stderr. `warn` is something that was recovered, `error` something a person must
 * act on; `debug` is shown with `--verbose` only. Context is data for whoever reads logs by machine; never a secret.
 */
export interface Log {
  debug(message: string, context?: ErrorContext): void;
  info(message: string, context?: ErrorContext): void;
  warn(message: string, context?: ErrorContext): void;
  error(message: string, context?: ErrorContext): void;
}

export interface LogOutput {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const load = createRequire(import.meta.url);

type Level = keyof Log;
type Logger = { readonly [level in Level]: (context: ErrorContext, message: string) => void };

/**
 * Lines for people on a terminal, JSON lines elsewhere. Written at once, so nothing is lost when the process ends. What
 * writes them is loaded for the first one: most runs have nothing to say.
 */
export function createLog(options: { readonly verbose: boolean; readonly stderr: LogOutput }): Log {
  let logger: Logger | undefined;
  const at =
    (level: Level) =>
    (message: string, context: ErrorContext = {}) => {
      if (level === 'debug' && !options.verbose) return;
      logger ??= openLogger(options.stderr);
      logger[level](context, message);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function openLogger(stderr: LogOutput): Logger {
  // Not import(): a line is written before the call returns.
  const { pino } = load('pino') as typeof import('pino');
  return pino(
    { level: 'debug', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    stderr.isTTY === true ? prettyLines(stderr) : { write: (line: string) => stderr.write(line) },
  );
}

function prettyLines(stderr: LogOutput): { write(line: string): void } {
  const { prettyFactory } = load('pino-pretty') as typeof import('pino-pretty');
  const pretty = prettyFactory({ colorize: !process.env.NO_COLOR, singleLine: true, translateTime: 'SYS:HH:MM:ss' });
  // Back to the first column and clear: a progress bar may stand there, which draws itself again.
  return { write: (line) => void stderr.write(`\r\u001b[K${pretty(line)}`) };
}
