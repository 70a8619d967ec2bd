/**
 * The one error class and the table of its codes. The table gives each code its exit status and whether the one
 * retry loop may try again, so that no call site repeats them.
 *
 * Exit status: 2 usage and configuration, 1 failure at run time, 3 lost data, 130 and 143 stopped by a signal.
 */
const CODES = {
  USAGE: { exitStatus: 2, retriable: false },
  CONFIG_INVALID: { exitStatus: 2, retriable: false },
  CONFIG_UNKNOWN: { exitStatus: 2, retriable: false },
  FIELD_INVALID: { exitStatus: 2, retriable: false },
  TRANSFORM_INVALID: { exitStatus: 2, retriable: false },
  TOPIC_UNKNOWN: { exitStatus: 2, retriable: false },
  TARGET_UNSUITABLE: { exitStatus: 2, retriable: false },
  SOURCE_UNSUITABLE: { exitStatus: 2, retriable: false },
  TARGET_EXISTS: { exitStatus: 1, retriable: false },
  TARGET_CHANGED: { exitStatus: 1, retriable: false },
  IO_FAILED: { exitStatus: 1, retriable: false },
  BROKER_UNREACHABLE: { exitStatus: 1, retriable: true },
  BROKER_TIMEOUT: { exitStatus: 1, retriable: true },
  BROKER_REFUSED: { exitStatus: 1, retriable: false },
  LEADER_MOVED: { exitStatus: 1, retriable: true },
  NOT_AUTHORIZED: { exitStatus: 1, retriable: false },
  OFFSET_OUT_OF_RANGE: { exitStatus: 1, retriable: true },
  BATCH_CORRUPT: { exitStatus: 1, retriable: false },
  BATCH_TOO_LARGE: { exitStatus: 1, retriable: false },
  FORMAT_UNSUPPORTED: { exitStatus: 1, retriable: false },
  INVALID_UTF8: { exitStatus: 1, retriable: false },
  ROW_INVALID: { exitStatus: 1, retriable: false },
  TRANSFORM_FAILED: { exitStatus: 1, retriable: false },
  DATABASE_UNREACHABLE: { exitStatus: 1, retriable: true },
  DATABASE_BUSY: { exitStatus: 1, retriable: true },
  DATABASE_REFUSED: { exitStatus: 1, retriable: false },
  SAVED_OFFSETS_INVALID: { exitStatus: 1, retriable: false },
  RUN_ALIVE: { exitStatus: 1, retriable: false },
  OVERTAKEN: { exitStatus: 1, retriable: true },
  FENCED: { exitStatus: 1, retriable: false },
  OUTCOME_UNKNOWN: { exitStatus: 1, retriable: false },
  RECOVERY_BLOCKED: { exitStatus: 1, retriable: false },
  OFFSET_LOST: { exitStatus: 3, retriable: false },
  WORKER_FAILED: { exitStatus: 1, retriable: false },
  INTERRUPTED: { exitStatus: 130, retriable: false },
  TERMINATED: { exitStatus: 143, retriable: false },
  INTERNAL: { exitStatus: 1, retriable: false },
} as const satisfies Record<string, { exitStatus: number; retriable: boolean }>;

export type ErrorCode = keyof typeof CODES;
export const ERROR_CODES = Object.keys(CODES) as readonly ErrorCode[];

/** Numbers and names behind the message, as data: topic, partition, both offsets, path, bytes. Never a secret. */
export type ErrorContext = Readonly<Record<string, string | number | boolean | null>>;

/**
 * What went wrong, in one line: what was attempted, on what, with which values, and the next step if there is one.
 */
export class OffloadError extends Error {
  readonly code: ErrorCode;
  readonly context: ErrorContext;

  constructor(code: ErrorCode, message: string, options: { context?: ErrorContext; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OffloadError';
    this.code = code;
    this.context = options.context ?? {};
  }

  get exitStatus(): number {
    return CODES[this.code].exitStatus;
  }

  get retriable(): boolean {
    return CODES[this.code].retriable;
  }
}

/** An error as plain data: structured clone between threads drops the class, the code and the context. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly context: ErrorContext;
  readonly stack: string | undefined;
}

/** Turns whatever was thrown in a worker into data; anything that is not ours becomes INTERNAL. */
export function toPlainError(error: unknown): PlainError {
  const own = toOffloadError(error);
  return { code: own.code, message: own.message, context: own.context, stack: own.stack };
}

export function fromPlainError(plain: PlainError): OffloadError {
  const error = new OffloadError(plain.code, plain.message, { context: plain.context });
  if (plain.stack !== undefined) error.stack = plain.stack;
  return error;
}

export function toOffloadError(error: unknown): OffloadError {
  if (error instanceof OffloadError) return error;
  const { code, path, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  // A file operation that nobody gave words to.
  if (code !== undefined && path !== undefined && syscall !== undefined) return ioError(syscall, path, error);
  return new OffloadError('INTERNAL', messageOf(error), { cause: error });
}

/** The text of anything that can be thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Wraps a failed file operation: what was attempted, on which path, and the system's own words. */
export function ioError(attempt: string, path: string, cause: unknown): OffloadError {
  if (cause instanceof OffloadError) return cause;
  const systemCode = (cause as NodeJS.ErrnoException | null)?.code ?? '';
  const hints: Record<string, string> = {
    ENOSPC: 'the disk is full; free some space and run again',
    EDQUOT: 'the disk quota is used up; free some space and run again',
    EACCES: 'permission denied; check the owner and mode of the folder',
    EPERM: 'permission denied; check the owner and mode of the folder',
    EROFS: 'the file system is read-only',
    ENOTDIR: 'a part of the path is a file, not a folder',
    EISDIR: 'it is a folder, not a file',
  };
  const why = hints[systemCode] ?? messageOf(cause);
  return new OffloadError('IO_FAILED', `cannot ${attempt} ${path}: ${why}`, {
    context: { path, systemCode },
    cause,
  });
}
