/**
 * One connection to one broker: requests and their answers, versions agreed, login. Runs in any thread. Every failure
 * leaves as an OffloadError that names the broker; none carries a credential.
 */
import { certificateFault } from '../certificateFault.ts';
import type { ConnectionSettings } from '../config/kafkaSettings.ts';
import { messageOf, OffloadError, toOffloadError } from '../errors.ts';
import { brokerError } from './brokerErrors.ts';
import { findOtherProtocol, tlsAlertOf } from './otherProtocol.ts';
import { type Api, type ApiVersions, apiVersionsApi } from './protocol.ts';
import { logIn, offeredMechanisms } from './sasl.ts';
import { FrameSocket } from './socket.ts';
import { WireReader, WireWriter } from './wire.ts';

/** Part of a session after which the login is renewed (KIP-368 asks for less than the whole). */
const SESSION_SHARE = 0.8;
/** A broker takes a login on a connection once a second at most; of a shorter session it closes the connection. */
const RELOGIN_MIN_MS = 1_100;

interface PendingRequest {
  readonly correlationId: number;
  readonly name: string;
  readonly timer: NodeJS.Timeout;
  readonly answer: (frame: WireReader) => void;
  readonly fail: (error: OffloadError) => void;
}

export class BrokerConnection {
  readonly address: string;
  readonly #settings: ConnectionSettings;
  readonly #socket: FrameSocket;
  readonly #pending: PendingRequest[] = [];
  #versions: ApiVersions['ranges'] = new Map();
  readonly #host: string;
  readonly #port: number;
  #correlationId = 0;
  #answers = 0;
  #hungUp: Error | null = null;
  #broken: OffloadError | null = null;
  #relogin: NodeJS.Timeout | null = null;
  /** While a session is renewed the broker takes nothing but the login (KIP-368): other requests wait until then. */
  #renewal: Promise<void> | null = null;

  private constructor(host: string, port: number, settings: ConnectionSettings) {
    this.address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    this.#host = host;
    this.#port = port;
    this.#settings = settings;
    this.#socket = new FrameSocket({
      onFrame: (frame) => this.#receive(frame),
      onEnd: (error) => this.#end(this.#ended(error)),
    });
  }

  /**
   * Connects, asks for the versions the broker speaks and logs in.
   *
   * @throws OffloadError BROKER_UNREACHABLE (retriable), BROKER_TIMEOUT (retriable), BROKER_REFUSED for a failed login,
   *   a certificate that either side does not accept, or a port that speaks another protocol.
   */
  static async open(host: string, port: number, settings: ConnectionSettings): Promise<BrokerConnection> {
    const broker = new BrokerConnection(host, port, settings);
    const { address } = broker;
    try {
      await broker.#socket.connect(host, port, settings.tls, settings.connectTimeoutMs);
    } catch (error) {
      broker.close();
      throw certificateError(address, error) ?? (await unreachable(host, port, address, settings, error));
    }
    try {
      const { errorCode, ranges } = await broker.#askVersions();
      if (errorCode !== 0) throw brokerError(errorCode, `cannot agree on protocol versions with broker ${address}`);
      broker.#versions = ranges;
      await broker.#logIn();
    } catch (error) {
      broker.close();
      throw error;
    }
    return broker;
  }

  /** A further connection to the same broker, for what must not wait for answers on this one. */
  another(settings: Partial<ConnectionSettings>): Promise<BrokerConnection> {
    return BrokerConnection.open(this.#host, this.#port, { ...this.#settings, ...settings });
  }

  get isUsable(): boolean {
    return this.#broken === null;
  }

  /** Whether the broker answers this kind of request in a version we speak. */
  supports(api: Api<never, unknown>): boolean {
    return this.#commonVersion(api) !== null;
  }

  /**
   * Sends one request and waits for its answer. Several may be under way; a broker answers them in order.
   *
   * @throws OffloadError BROKER_TIMEOUT or BROKER_UNREACHABLE, after which the connection is not usable any more;
   *   FORMAT_UNSUPPORTED if the broker speaks no version of the request that we do.
   */
  async request<Request, Response>(api: Api<Request, Response>, request: Request): Promise<Response> {
    while (this.#renewal) await this.#renewal;
    try {
      return await this.#send(api, request);
    } catch (error) {
      throw (await this.#missingLogin(error)) ?? error;
    }
  }

  /** Gives back the memory that an answer's bytes lie in: none of it may be looked at any more. */
  recycle(view: Buffer): void {
    this.#socket.recycle(view);
  }

  close(): void {
    this.#end(new OffloadError('BROKER_UNREACHABLE', `the connection to broker ${this.address} was closed`));
  }

  #send<Request, Response>(api: Api<Request, Response>, request: Request): Promise<Response> {
    if (this.#broken) return Promise.reject(this.#broken);
    const version = this.#commonVersion(api);
    if (version === null) return Promise.reject(this.#noCommonVersion(api));
    const flexible = version >= api.flexibleFrom;
    const correlationId = ++this.#correlationId & 0x7fffffff;
    const header = new WireWriter().int16(api.key).int16(version).int32(correlationId).string(this.#settings.clientId);
    if (flexible) header.noTaggedFields();
    const pieces = [header.toBuffer(), ...api.encode(request, version).toPieces()];
    const length = Buffer.alloc(4);
    length.writeInt32BE(pieces.reduce((sum, piece) => sum + piece.length, 0));
    return new Promise((resolve, reject) => {
      const { requestTimeoutMs } = this.#settings;
      const timer = setTimeout(() => this.#end(this.#timedOut(api.name)), requestTimeoutMs);
      const answer = (frame: WireReader): void => {
        if (flexible) frame.skipTaggedFields();
        resolve(api.parse(frame, version));
      };
      this.#pending.push({ correlationId, name: api.name, timer, answer, fail: reject });
      this.#socket.write([length, ...pieces]);
    });
  }

  async #askVersions(): Promise<ApiVersions> {
    try {
      return await this.#send(apiVersionsApi, null);
    } catch (error) {
      const failure = toOffloadError(error);
      // Over TLS the handshake has shown that both speak it.
      if (failure.code !== 'BROKER_UNREACHABLE' || this.#settings.tls) throw failure;
      throw await otherProtocol(this.#host, this.#port, this.address, this.#settings, failure);
    }
  }

  /** A port that asks for a login answers ApiVersions without one, and hangs up at any other request. */
  async #missingLogin(error: unknown): Promise<OffloadError | null> {
    if (this.#hungUp === null || this.#answers > 1 || this.#settings.sasl) return null;
    let mechanisms: readonly string[] | null = null;
    try {
      const probe = await BrokerConnection.open(this.#host, this.#port, this.#settings);
      mechanisms = await offeredMechanisms((api, request) => probe.#send(api, request)).finally(() => probe.close());
    } catch {
      return null; // It is not there any more.
    }
    if (mechanisms === null) return null;
    const protocol = this.#settings.tls ? 'SASL_SSL' : 'SASL_PLAINTEXT';
    return new OffloadError(
      'BROKER_REFUSED',
      `broker ${this.address} asks for a login on this port; set security.protocol to ${protocol}, and sasl.mechanism ` +
        `to one it offers: ${mechanisms.join(', ')}`,
      { context: { address: this.address }, cause: error },
    );
  }

  #commonVersion(api: Api<never, unknown>): number | null {
    if (api.key === apiVersionsApi.key) return 0;
    const range = this.#versions.get(api.key);
    if (!range) return null;
    const version = Math.min(range.max, api.maxVersion);
    return version < Math.max(range.min, api.minVersion) ? null : version;
  }

  #receive(frame: Buffer): void {
    const request = this.#pending.shift();
    const reader = new WireReader(frame);
    try {
      const correlationId = reader.int32();
      if (correlationId !== request?.correlationId) {
        throw new RangeError(`it answers request ${correlationId}, and ${request?.correlationId ?? 'none'} was sent`);
      }
      request.answer(reader);
      this.#answers += 1;
      clearTimeout(request.timer);
    } catch (error) {
      if (request) this.#pending.unshift(request);
      this.#end(this.#lost(`an answer cannot be read: ${messageOf(error)}`, error));
    }
  }

  /** Fails whatever is under way; the first reason stays. */
  #end(reason: OffloadError): void {
    this.#broken ??= reason;
    if (this.#relogin) clearTimeout(this.#relogin);
    this.#socket.destroy();
    for (const { timer, fail } of this.#pending.splice(0)) {
      clearTimeout(timer);
      fail(this.#broken);
    }
  }

  async #logIn(): Promise<void> {
    const { sasl } = this.#settings;
    if (!sasl) return;
    const lifetimeMs = await logIn(this.address, sasl, (api, request) => this.#send(api, request));
    if (lifetimeMs <= 0 || this.#broken) return;
    this.#relogin = setTimeout(() => this.#renew(), Math.max(lifetimeMs * SESSION_SHARE, RELOGIN_MIN_MS));
    this.#relogin.unref();
  }

  #renew(): void {
    this.#renewal = this.#logIn()
      .catch((error) => this.#end(toOffloadError(error)))
      .then(() => {
        this.#renewal = null;
      });
  }

  /** The socket has ended, whoever ended it. */
  #ended(error: Error): OffloadError {
    if (this.#broken === null) this.#hungUp = error;
    const alert = tlsAlertOf(error);
    return alert === null ? this.#lost(messageOf(error), error) : refusedByAlert(this.address, alert, error);
  }

  #lost(why: string, cause: unknown): OffloadError {
    const doing = this.#pending[0] ? `${this.#pending[0].name} at broker` : 'the connection to broker';
    return new OffloadError('BROKER_UNREACHABLE', `${doing} ${this.address} failed: ${why}`, {
      context: { address: this.address },
      cause,
    });
  }

  #timedOut(name: string): OffloadError {
    const { requestTimeoutMs } = this.#settings;
    return new OffloadError(
      'BROKER_TIMEOUT',
      `broker ${this.address} did not answer ${name} within ${requestTimeoutMs} ms`,
      { context: { address: this.address, requestTimeoutMs } },
    );
  }

  #noCommonVersion(api: Api<never, unknown>): OffloadError {
    const range = this.#versions.get(api.key);
    const theirs = range ? `versions ${range.min} to ${range.max}` : 'no version';
    return new OffloadError(
      'FORMAT_UNSUPPORTED',
      `broker ${this.address} speaks ${theirs} of ${api.name}; kafkaload speaks ${api.minVersion} to ${api.maxVersion}`,
      { context: { address: this.address, api: api.name } },
    );
  }
}

/** A certificate that will never be accepted, unlike a broker that is down and may come back; null for other errors. */
function certificateError(address: string, error: unknown): OffloadError | null {
  const fault = certificateFault(error);
  const options = { context: { address, systemCode: fault?.code ?? '' }, cause: error };
  if (fault?.kind === 'otherHost') {
    return new OffloadError(
      'BROKER_REFUSED',
      `the certificate of broker ${address} is for another host (it names ${fault.names}); use one of its names in ` +
        'bootstrap.servers and advertised.listeners, or set ssl.endpoint.identification.algorithm to none',
      options,
    );
  }
  if (fault !== null) {
    const way = fault.kind === 'expired' ? 'it has to be renewed' : 'name its authority in ssl.ca.location';
    const message = `the certificate of broker ${address} is not trusted (${fault.code}); ${way}`;
    return new OffloadError('BROKER_REFUSED', message, options);
  }
  const alert = tlsAlertOf(error);
  return alert === null ? null : refusedByAlert(address, alert, error);
}

function refusedByAlert(address: string, alert: string, cause: unknown): OffloadError {
  return new OffloadError(
    'BROKER_REFUSED',
    `broker ${address} refused the TLS connection (${alert}); if it asks for a client certificate, set ` +
      'ssl.certificate.location and ssl.key.location to one that it trusts',
    { context: { address, alert }, cause },
  );
}

async function unreachable(
  host: string,
  port: number,
  address: string,
  settings: ConnectionSettings,
  error: unknown,
): Promise<OffloadError> {
  const systemCode = (error as NodeJS.ErrnoException).code ?? '';
  const code = systemCode === 'ETIMEDOUT' ? 'BROKER_TIMEOUT' : 'BROKER_UNREACHABLE';
  const failure = new OffloadError(code, `cannot reach broker ${address}: ${messageOf(error)}`, {
    context: { address, systemCode },
    cause: error,
  });
  const isTlsFailure = settings.tls !== null && (systemCode === 'ECONNRESET' || systemCode.startsWith('ERR_SSL_'));
  return isTlsFailure ? otherProtocol(host, port, address, settings, failure) : failure;
}

/** The failure, unless the port turns out to speak another protocol: then trying again is of no use. */
async function otherProtocol(
  host: string,
  port: number,
  address: string,
  settings: ConnectionSettings,
  failure: OffloadError,
): Promise<OffloadError> {
  const found = await findOtherProtocol(host, port, settings);
  if (found === null) return failure;
  return new OffloadError('BROKER_REFUSED', `broker ${address} ${found}`, { context: { address }, cause: failure });
}
