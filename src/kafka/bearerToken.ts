/**
 * Bearer tokens for OAUTHBEARER: as they are, from a file that somebody renews, or printed by a command. Each login asks
 * anew, so that a run outlives a token. No message holds a token, nor what a command has printed.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { BearerSource } from '../config/kafkaSettings.ts';
import { ioError, OffloadError } from '../errors.ts';

const COMMAND_TIMEOUT_MS = 30_000;
const MAX_TOKEN_BYTES = 1024 * 1024;
/** RFC 6750, section 2.1: nothing in it can end the field that it stands in. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
/** Part of the time a token has left after which another one is asked for. */
const LIFETIME_SHARE = 0.7;
const REFRESH_MIN_MS = 1_000;
/** For tokens that do not say when they end, and for long ones. */
const REFRESH_MAX_MS = 60_000;

/** Commands that are running: connections that log in at the same time share one. */
const running = new Map<string, Promise<string>>();

/**
 * @throws OffloadError IO_FAILED if the file cannot be read or the command fails; CONFIG_INVALID for what is no token.
 */
export async function readBearerToken(source: BearerSource): Promise<string> {
  const token = (await textOf(source)).trim();
  if (TOKEN.test(token)) return token;
  const found = token === '' ? 'nothing' : `${token.length} characters that are no bearer token (RFC 6750)`;
  throw new OffloadError('CONFIG_INVALID', `${source.where} gives ${found}; it must be the token and nothing else`);
}

function textOf(source: BearerSource): Promise<string> {
  switch (source.kind) {
    case 'text':
      return Promise.resolve(source.token);
    case 'file':
      return readFile(source.path, 'utf8').catch((error: unknown) => {
        throw ioError(`read the bearer token of ${source.where} from`, source.path, error);
      });
    case 'command': {
      const known = running.get(source.command);
      if (known !== undefined) return known;
      const started = runCommand(source).finally(() => running.delete(source.command));
      running.set(source.command, started);
      return started;
    }
  }
}

function runCommand({ command, where }: Extract<BearerSource, { kind: 'command' }>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: COMMAND_TIMEOUT_MS, maxBuffer: MAX_TOKEN_BYTES, windowsHide: true };
    execFile('/bin/sh', ['-c', command], options, (error, stdout) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      const { code, signal, killed } = error;
      const how = killed
        ? `did not end within ${COMMAND_TIMEOUT_MS / 1000} s, or printed more than ${MAX_TOKEN_BYTES} bytes`
        : signal
          ? `was ended by ${signal}`
          : `ended with ${code}`;
      // Not the error itself: it quotes the command, which may hold a secret.
      reject(new OffloadError('IO_FAILED', `the command of ${where} ${how}; run it by hand to see why`));
    });
  });
}

/** Milliseconds after which a client that cannot ask by itself is given another token; by its claim `exp` if it has one. */
export function refreshAfterMs(token: string, nowMs: number): number {
  const leftMs = expiryOf(token) - nowMs;
  return Math.min(Math.max(leftMs * LIFETIME_SHARE, REFRESH_MIN_MS), REFRESH_MAX_MS);
}

/** When a JSON Web Token ends, in milliseconds since 1970; infinity for any other. */
function expiryOf(token: string): number {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      exp?: unknown;
    };
    return typeof claims.exp === 'number' ? claims.exp * 1_000 : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
