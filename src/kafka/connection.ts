/**
 * One connection to one broker: requests and their answers, versions agreed, login. Runs in any thread. Every failure
 * leaves as an OffloadError that names the broker; none carries a credential.
 */
import type { ConnectionSettings } from '../config/job.ts';
import { messageOf, OffloadError } from '../errors.ts';
import { brokerError } from './brokerErrors.ts';
import { type Api, type ApiVersions, apiVersionsApi } from './protocol.ts';
import { logIn } from './sasl.ts';
import { FrameSocket } from './socket.ts';
import { WireReader, WireWriter } from './wire.ts';

const TLS_TRUST_FAILURE = /^(DEPTH_ZERO_|SELF_SIGNED|UNABLE_TO_|CERT_|ERR_TLS_CERT)/;
/** Part of a session after which the login is renewed (KIP-368 asks for less than the whole). */
const SESSION_SHARE = 0.8;

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
  #correlationId = 0;
  #broken: OffloadError | null = null;
  #relogin: NodeJS.Timeout | null = null;

  private constructor(address: string, settings: ConnectionSettings) {
    this.address = address;
    this.#settings = settings;
    this.#socket = new FrameSocket({
      onFrame: (frame) => this.#receive(frame),
      onEnd: (error) => this.#end(this.#lost(messageOf(error), error)),
    });
  }

  /**
   * Connects, asks for the versions the broker speaks and logs in.
   *
   * @throws OffloadError BROKER_UNREACHABLE (retriable), BROKER_TIMEOUT (retriable), BROKER_REFUSED for a failed login
   *   or a certificate that is not trusted.
   */
  static async open(host: string, port: number, settings: ConnectionSettings): Promise<BrokerConnection> {
    const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const broker = new BrokerConnection(address, settings);
    try {
      await broker.#socket.connect(host, port, settings.tls, settings.connectTimeoutMs);
    } catch (error) {
      throw connectError(address, settings, error);
    }
    try {
      const { errorCode, ranges } = await broker.request(apiVersionsApi, null);
      if (errorCode !== 0) throw brokerError(errorCode, `cannot agree on protocol versions with broker ${address}`);
      broker.#versions = ranges;
      await broker.#logIn();
    } catch (error) {
      broker.close();
      throw error;
    }
    return broker;
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
  request<Request, Response>(api: Api<Request, Response>, request: Request): Promise<Response> {
    if (this.#broken) return Promise.reject(this.#broken);
    const version = this.#commonVersion(api);
    if (version === null) return Promise.reject(this.#noCommonVersion(api));
    const flexible = version >= api.flexibleFrom;
    const correlationId = ++this.#correlationId & 0x7fffffff;
    const header = new WireWriter().int16(api.key).int16(version).int32(correlationId).string(this.#settings.clientId);
    if (flexible) header.noTaggedFields();
    const [head, body] = [header.toBuffer(), api.encode(request, version).toBuffer()];
    const length = Buffer.alloc(4);
    length.writeInt32BE(head.length + body.length);
    return new Promise((resolve, reject) => {
      const { requestTimeoutMs } = this.#settings;
      const timer = setTimeout(() => this.#end(this.#timedOut(api.name)), requestTimeoutMs);
      const answer = (frame: WireReader): void => {
        if (flexible) frame.skipTaggedFields();
        resolve(api.parse(frame, version));
      };
      this.#pending.push({ correlationId, name: api.name, timer, answer, fail: reject });
      this.#socket.write(Buffer.concat([length, head, body]));
    });
  }

  close(): void {
    this.#end(new OffloadError('BROKER_UNREACHABLE', `the connection to broker ${this.address} was closed`));
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
    const lifetimeMs = await logIn(this.address, sasl, (api, request) => this.request(api, request));
    if (lifetimeMs <= 0 || this.#broken) return;
    this.#relogin = setTimeout(() => {
      this.#logIn().catch((error) => this.#end(error));
    }, lifetimeMs * SESSION_SHARE);
    this.#relogin.unref();
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

/** Tells a certificate that will never be accepted from a broker that is down and may come back. */
function connectError(address: string, settings: ConnectionSettings, error: unknown): OffloadError {
  const systemCode = (error as NodeJS.ErrnoException).code ?? '';
  const options = { context: { address, systemCode }, cause: error };
  if (TLS_TRUST_FAILURE.test(systemCode)) {
    return new OffloadError(
      'BROKER_REFUSED',
      `the certificate of broker ${address} is not trusted (${systemCode}); name its authority in ssl.ca.location`,
      options,
    );
  }
  if (systemCode === 'ERR_SSL_WRONG_VERSION_NUMBER' || (settings.tls && systemCode === 'ECONNRESET')) {
    return new OffloadError(
      'BROKER_REFUSED',
      `broker ${address} does not speak TLS on this port; check security.protocol and bootstrap.servers`,
      options,
    );
  }
  const code = systemCode === 'ETIMEDOUT' ? 'BROKER_TIMEOUT' : 'BROKER_UNREACHABLE';
  return new OffloadError(code, `cannot reach broker ${address}: ${messageOf(error)}`, options);
}
