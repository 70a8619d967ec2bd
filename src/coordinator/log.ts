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

/** Lines for people on a terminal, JSON lines elsewhere. Written at once, so nothing is lost when the process ends. */
export async function createLog(options: { readonly verbose: boolean; readonly stderr: LogOutput }): Promise<Log> {
  const { stderr } = options;
  const { pino } = await import('pino');
  const logger = pino(
    { level: options.verbose ? 'debug' : 'info', base: null, timestamp: pino.stdTimeFunctions.isoTime },
    stderr.isTTY === true ? await prettyLines(stderr) : { write: (line: string) => stderr.write(line) },
  );
  return {
    debug: (message, context = {}) => logger.debug(context, message),
    info: (message, context = {}) => logger.info(context, message),
    warn: (message, context = {}) => logger.warn(context, message),
    error: (message, context = {}) => logger.error(context, message),
  };
}

async function prettyLines(stderr: LogOutput): Promise<{ write(line: string): void }> {
  const { prettyFactory } = await import('pino-pretty');
  const pretty = prettyFactory({ colorize: !process.env.NO_COLOR, singleLine: true, translateTime: 'SYS:HH:MM:ss' });
  // Back to the first column and clear: a progress bar may stand there, which draws itself again.
  return { write: (line) => void stderr.write(`\r\u001b[K${pretty(line)}`) };
}
