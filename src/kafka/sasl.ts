/**
 * Logging in: handshake and messages are requests of ours, what is in them is `@platformatic/kafka`'s, which is loaded
 * only where a login is asked for (0.6 s of CPU in every thread, measured on Node 20).
 */
import type { SaslSettings } from '../config/kafkaSettings.ts';
import { OffloadError } from '../errors.ts';
import { readBearerToken } from './bearerToken.ts';
import { brokerError } from './brokerErrors.ts';
import type { Api } from './protocol.ts';
import { WireWriter } from './wire.ts';

export type SendRequest = <Request, Response>(api: Api<Request, Response>, request: Request) => Promise<Response>;

const saslHandshakeApi: Api<string, { errorCode: number; mechanisms: string[] }> = {
  name: 'SaslHandshake',
  key: 17,
  minVersion: 1,
  maxVersion: 1,
  flexibleFrom: 2,
  encode: (mechanism) => new WireWriter().string(mechanism),
  parse: (reader) => ({ errorCode: reader.int16(), mechanisms: reader.array(() => reader.string()) }),
};

interface SaslAnswer {
  readonly errorCode: number;
  readonly errorMessage: string | null;
  readonly authBytes: Buffer;
  /** 0: without end. */
  readonly sessionLifetimeMs: number;
}

const saslAuthenticateApi: Api<Buffer, SaslAnswer> = {
  name: 'SaslAuthenticate',
  key: 36,
  minVersion: 0,
  maxVersion: 1,
  flexibleFrom: 2,
  encode: (authBytes) => new WireWriter().bytes(authBytes),
  parse: (reader, version) => ({
    errorCode: reader.int16(),
    errorMessage: reader.nullableString(),
    authBytes: reader.bytes(),
    sessionLifetimeMs: version >= 1 ? reader.int64() : 0,
  }),
};

const UNSUPPORTED_SASL_MECHANISM = 33;
const ILLEGAL_SASL_STATE = 34;

/** Mechanisms that a port offers which asks for a login; null if it asks for none. */
export async function offeredMechanisms(send: SendRequest): Promise<readonly string[] | null> {
  const { errorCode, mechanisms } = await send(saslHandshakeApi, 'NONE');
  return errorCode === UNSUPPORTED_SASL_MECHANISM ? mechanisms : null;
}

/**
 * Logs in on a connection; also again, before a session ends (KIP-368).
 *
 * @returns Milliseconds until the session ends; 0: never.
 * @throws OffloadError BROKER_REFUSED, without any credential in it; IO_FAILED, CONFIG_INVALID for a bearer token that
 *   cannot be had.
 */
export async function logIn(address: string, sasl: SaslSettings, send: SendRequest): Promise<number> {
  const handshake = await send(saslHandshakeApi, sasl.mechanism);
  if (handshake.errorCode === UNSUPPORTED_SASL_MECHANISM) {
    throw new OffloadError(
      'BROKER_REFUSED',
      `broker ${address} does not offer sasl.mechanisms ${sasl.mechanism}; it offers ${handshake.mechanisms.join(', ')}`,
      { context: { address } },
    );
  }
  if (handshake.errorCode === ILLEGAL_SASL_STATE) {
    throw new OffloadError(
      'BROKER_REFUSED',
      `broker ${address} takes no login on this port; set security.protocol to PLAINTEXT (or SSL), or name its SASL ` +
        'port in bootstrap.servers',
      { context: { address } },
    );
  }
  if (handshake.errorCode !== 0) throw brokerError(handshake.errorCode, `cannot log in to broker ${address}`);
  let lifetimeMs = 0;
  const exchange = async (authBytes: Buffer): Promise<SaslAnswer> => {
    const answer = await send(saslAuthenticateApi, authBytes);
    if (answer.errorCode !== 0) throw refused(address, sasl);
    // A token that is not accepted is answered without an error code, by a reason (RFC 7628, section 3.2.3).
    if (sasl.mechanism === 'OAUTHBEARER' && answer.authBytes.length > 0) throw refused(address, sasl);
    lifetimeMs = answer.sessionLifetimeMs;
    return answer;
  };
  try {
    await converse(sasl, exchange);
  } catch (error) {
    if (error instanceof OffloadError) throw error;
    // The library's words may quote what the server sent; they stay in the cause, for --verbose.
    const own = (error as Error).cause;
    throw own instanceof OffloadError ? own : refused(address, sasl, error);
  }
  return lifetimeMs;
}

function refused(address: string, sasl: SaslSettings, cause?: unknown): OffloadError {
  const keys = sasl.bearer ? `the token of ${sasl.bearer.where}` : 'sasl.username, sasl.password and sasl.mechanisms';
  return new OffloadError(
    'BROKER_REFUSED',
    `broker ${address} refused the login with ${sasl.mechanism}; check ${keys}`,
    {
      context: { address, mechanism: sasl.mechanism },
      cause,
    },
  );
}

async function converse(
  { mechanism, username, password, bearer }: SaslSettings,
  exchange: (authBytes: Buffer) => Promise<SaslAnswer>,
): Promise<void> {
  const { saslOAuthBearer, saslPlain, saslScramSha } = await import('@platformatic/kafka');
  // Last of all, since it may be for seconds only.
  const token = bearer ? await readBearerToken(bearer) : '';
  type Authenticate = Parameters<typeof saslPlain.authenticate>[0];
  type Connection = Parameters<typeof saslPlain.authenticate>[1];
  type Callback = (error: Error | null, answer?: SaslAnswer) => void;
  // The library hands its connection through to `authenticate` and does nothing else with it.
  const connection = undefined as unknown as Connection;
  await new Promise<void>((resolve, reject) => {
    const done = (error: Error | null): void => (error ? reject(error) : resolve());
    const authenticate = ((_connection: Connection, authBytes: Buffer, callback: Callback) => {
      // The callbacks of the library throw what they cannot parse.
      exchange(authBytes)
        .then((answer) => callback(null, answer), callback)
        .catch(reject);
    }) as unknown as Authenticate;
    if (mechanism === 'PLAIN') saslPlain.authenticate(authenticate, connection, username ?? '', password ?? '', done);
    else if (mechanism === 'OAUTHBEARER') {
      saslOAuthBearer.authenticate(authenticate, connection, token, {}, done);
    } else {
      const algorithm = mechanism === 'SCRAM-SHA-256' ? 'SHA-256' : 'SHA-512';
      saslScramSha.authenticate(
        authenticate,
        connection,
        algorithm,
        username ?? '',
        password ?? '',
        saslScramSha.defaultCrypto,
        done,
      );
    }
  });
}
