/**
 * One connection to one broker: TLS, SASL and correlation are `@platformatic/kafka`'s, the requests are ours.
 * Runs in any thread. Every failure leaves as an OffloadError that names the broker; none carries a credential.
 */
import { isIP } from 'node:net';
import { AuthenticationError, Connection, NetworkError, Reader, TimeoutError, UserError } from '@platformatic/kafka';
import type { ConnectionSettings, TlsSettings } from '../config/job.ts';
import { messageOf, OffloadError } from '../errors.ts';
import { brokerError } from './brokerErrors.ts';
import { type Api, type ApiVersions, apiVersionsApi } from './protocol.ts';

/** An answer may exceed what was asked for by one record batch (KIP-74), which has at most this many bytes. */
const MAX_RESPONSE_BYTES = 1024 ** 3;
const TLS_TRUST_FAILURE = /^(DEPTH_ZERO_|SELF_SIGNED|UNABLE_TO_|CERT_|ERR_TLS_CERT)/;

export class BrokerConnection {
  readonly address: string;
  readonly #connection: Connection;
  readonly #requestTimeoutMs: number;
  #versions: ApiVersions['ranges'] = new Map();
  #bytesSinceResponse = 0;
  #broken: OffloadError | null = null;

  private constructor(address: string, connection: Connection, settings: ConnectionSettings) {
    this.address = address;
    this.#connection = connection;
    this.#requestTimeoutMs = settings.requestTimeoutMs;
    // Without a listener an 'error' event would end the process; requests in flight fail by their own callbacks.
    connection.on('error', () => {});
  }

  /**
   * Connects, logs in and asks for the versions the broker speaks.
   *
   * @throws OffloadError BROKER_UNREACHABLE (retriable), BROKER_TIMEOUT (retriable), BROKER_REFUSED for a failed login
   *   or a certificate that is not trusted.
   */
  static async open(host: string, port: number, settings: ConnectionSettings): Promise<BrokerConnection> {
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const { sasl, tls } = settings;
    const connection = new Connection(settings.clientId, {
      connectTimeout: settings.connectTimeoutMs,
      requestTimeout: settings.requestTimeoutMs,
      ...(tls ? { tls: tlsOptions(tls), tlsServerName: isIP(host) === 0 } : {}),
      ...(sasl ? { sasl } : {}),
    });
    const broker = new BrokerConnection(address, connection, settings);
    try {
      await connection.connect(host, port);
    } catch (error) {
      broker.close();
      throw connectError(address, settings, error);
    }
    connection.socket.on('data', (chunk: Buffer) => broker.#bound(chunk.length));
    const { errorCode, ranges } = await broker.request(apiVersionsApi, null);
    if (errorCode !== 0) throw brokerError(errorCode, `cannot agree on protocol versions with broker ${address}`);
    broker.#versions = ranges;
    return broker;
  }

  get isUsable(): boolean {
    return this.#broken === null && this.#connection.isConnected();
  }

  /** Whether the broker answers this kind of request in a version we speak. */
  supports(api: Api<never, unknown>): boolean {
    return this.#commonVersion(api) !== null;
  }

  /**
   * Sends one request and waits for its answer. Several may be under way; they are answered in order.
   *
   * @throws OffloadError BROKER_TIMEOUT or BROKER_UNREACHABLE, after which the connection is not usable any more;
   *   FORMAT_UNSUPPORTED if the broker speaks no version of the request that we do.
   */
  request<Request, Response>(api: Api<Request, Response>, request: Request): Promise<Response> {
    const version = this.#commonVersion(api);
    if (version === null) {
      const range = this.#versions.get(api.key);
      const theirs = range ? `versions ${range.min} to ${range.max}` : 'no version';
      throw new OffloadError(
        'FORMAT_UNSUPPORTED',
        `broker ${this.address} speaks ${theirs} of ${api.name}; kafkaload speaks ${api.minVersion} to ${api.maxVersion}`,
      );
    }
    const flexible = version >= api.flexibleFrom;
    return new Promise((resolve, reject) => {
      this.#connection.send<Response>(
        api.key,
        version,
        () => api.encode(request, version),
        // One contiguous copy: reading field by field over the chunks of a socket is slow, and records must be one buffer.
        (_correlationId, _key, _version, reader) => api.parse(Reader.from(reader.buffer.buffer), version),
        flexible,
        flexible,
        (error, response) => {
          this.#bytesSinceResponse = 0;
          if (error) reject(this.#requestError(api.name, error));
          else resolve(response as Response);
        },
      );
    });
  }

  close(): void {
    this.#connection.close(() => {});
  }

  #commonVersion(api: Api<never, unknown>): number | null {
    if (api.key === apiVersionsApi.key) return 0;
    const range = this.#versions.get(api.key);
    if (!range) return null;
    const version = Math.min(range.max, api.maxVersion);
    return version < Math.max(range.min, api.minVersion) ? null : version;
  }

  /** A length that lies would be waited for without end while everything that arrives is kept. */
  #bound(bytes: number): void {
    this.#bytesSinceResponse += bytes;
    if (this.#bytesSinceResponse <= MAX_RESPONSE_BYTES) return;
    this.#broken = new OffloadError(
      'BROKER_UNREACHABLE',
      `broker ${this.address} sent ${this.#bytesSinceResponse} bytes without finishing an answer (at most ${MAX_RESPONSE_BYTES})`,
    );
    this.#connection.socket.destroy();
  }

  #requestError(name: string, error: Error): OffloadError {
    if (error instanceof OffloadError) return error;
    if (this.#broken) return this.#broken;
    if (error instanceof TimeoutError) {
      // The library leaves a late answer in its buffer: the next one would be read from the wrong place.
      this.close();
      this.#broken = new OffloadError(
        'BROKER_TIMEOUT',
        `broker ${this.address} did not answer ${name} within ${this.#requestTimeoutMs} ms`,
        { cause: error },
      );
      return this.#broken;
    }
    this.close();
    const why =
      error instanceof NetworkError ? 'the connection was lost' : `its answer cannot be read (${messageOf(error)})`;
    this.#broken = new OffloadError('BROKER_UNREACHABLE', `${name} at broker ${this.address} failed: ${why}`, {
      cause: error,
    });
    return this.#broken;
  }
}

function tlsOptions(tls: TlsSettings) {
  return {
    ...(tls.ca === undefined ? {} : { ca: tls.ca }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: tls.key }),
    ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }),
    rejectUnauthorized: tls.verify,
    ...(tls.checkHostName ? {} : { checkServerIdentity: () => undefined }),
  };
}

/** Tells a login or a certificate that will never be accepted from a broker that is down and may come back. */
function connectError(address: string, settings: ConnectionSettings, error: unknown): OffloadError {
  const chain: Error[] = [];
  for (let link: unknown = error; link instanceof Error && chain.length < 8; link = link.cause) chain.push(link);
  const root = chain.at(-1);
  const systemCode = (root as NodeJS.ErrnoException | undefined)?.code ?? '';
  if (chain.some((link) => link instanceof AuthenticationError)) {
    return new OffloadError(
      'BROKER_REFUSED',
      `broker ${address} refused the login with ${settings.sasl?.mechanism}; check sasl.username, sasl.password and sasl.mechanisms`,
      { context: { address }, cause: error },
    );
  }
  if (TLS_TRUST_FAILURE.test(systemCode)) {
    return new OffloadError(
      'BROKER_REFUSED',
      `the certificate of broker ${address} is not trusted (${systemCode}); name its authority in ssl.ca.location`,
      { context: { address }, cause: error },
    );
  }
  if (chain.some((link) => link instanceof UserError)) {
    return new OffloadError(
      'BROKER_REFUSED',
      `broker ${address} does not speak TLS on this port; check security.protocol and bootstrap.servers`,
      { context: { address }, cause: error },
    );
  }
  const timedOut = chain.some((link) => link instanceof TimeoutError);
  const why = timedOut ? `no connection within ${settings.connectTimeoutMs} ms` : messageOf(root ?? error);
  return new OffloadError(timedOut ? 'BROKER_TIMEOUT' : 'BROKER_UNREACHABLE', `cannot reach broker ${address}: ${why}`, {
    context: { address },
    cause: error,
  });
}
