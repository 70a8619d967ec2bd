/**
 * A TCP proxy on loopback in front of a real broker. It cuts, delays, throttles and truncates what passes, answers with
 * an error in the broker's place, and knows which answer belongs to which request, from the four bytes of length in front of each frame and
 * the correlation ids. Clients are led through it by a listener of the broker that is advertised at its port.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket, connect as tcpConnect } from 'node:net';
import { type KafkaCluster, type StartKafkaOptions, startKafka } from './broker.ts';
import { type AnswerFate, Frames, forgeError, type RequestFate, type SeenRequest } from './proxyFrames.ts';
import { delay } from './wait.ts';

export type { AnswerFate, SeenRequest } from './proxyFrames.ts';

export type Direction = 'requests' | 'answers' | 'both';

export interface ProxyRules {
  /** Asked for each request, before the broker gets it. */
  readonly onRequest?: (request: SeenRequest) => RequestFate | Promise<RequestFate>;
  /** Asked for each answer when the broker has given all of it: the broker has carried the request out. */
  readonly onAnswer?: (request: SeenRequest) => AnswerFate | Promise<AnswerFate>;
}

interface Link {
  readonly client: Socket;
  readonly broker: Socket;
}

interface Pace {
  delayMs: number;
  /** Of one connection. */
  bytesPerSecond: number;
}

/** Slices in which throttled bytes pass, a second. */
const SLICES = 20;

export class KafkaProxy {
  readonly #brokerPort: number;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #pace = { requests: newPace(), answers: newPace() };
  readonly #requests = new Map<number, number>();
  #rules: ProxyRules = {};
  #isHalfOpen: boolean = false;
  #cuts = 0;
  #cutter: NodeJS.Timeout | null = null;

  private constructor(brokerPort: number) {
    this.#brokerPort = brokerPort;
    this.#server = createServer((client) => this.#serve(client));
  }

  /** @param port 0 for any that is free. */
  static async start(options: { readonly port?: number; readonly brokerPort: number }): Promise<KafkaProxy> {
    const proxy = new KafkaProxy(options.brokerPort);
    proxy.#server.listen(options.port ?? 0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that were ended here so far, whole or in the middle of a frame. */
  get cuts(): number {
    return this.#cuts;
  }

  /** Requests of this kind so far, passed or not. */
  requests(api: number): number {
    return this.#requests.get(api) ?? 0;
  }

  /** In place of those before. */
  setRules(rules: ProxyRules): void {
    this.#rules = rules;
  }

  /** Ends every connection there is. */
  cutAll(): void {
    for (const link of this.#links) this.#cut(link);
  }

  /** Ends one connection after another, each after a random wait between these, in the middle of whatever passes. */
  cutAtRandom(leastMs: number, mostMs: number): void {
    this.stopCutting();
    const next = (): void => {
      this.#cutter = setTimeout(
        () => {
          const links = [...this.#links];
          const link = links[Math.floor(Math.random() * links.length)];
          if (link) this.#cut(link);
          next();
        },
        leastMs + Math.random() * (mostMs - leastMs),
      );
    };
    next();
  }

  stopCutting(): void {
    if (this.#cutter) clearTimeout(this.#cutter);
    this.#cutter = null;
  }

  /** Whatever passes this way comes so much later. */
  delay(direction: Direction, delayMs: number): void {
    for (const pace of this.#paces(direction)) pace.delayMs = delayMs;
  }

  /** Each connection passes at most so many bytes a second this way; Infinity: as fast as it can. */
  throttle(direction: Direction, bytesPerSecond: number): void {
    for (const pace of this.#paces(direction)) pace.bytesPerSecond = bytesPerSecond;
  }

  /** From now on connections are taken, and nobody answers on them; those that are there fall silent, too. */
  halfOpen(isHalfOpen: boolean): void {
    this.#isHalfOpen = isHalfOpen;
    // What was swallowed meanwhile is lost: a stream with a hole in it is no connection any more.
    if (!isHalfOpen) this.cutAll();
  }

  /** Lets everything pass as it comes. */
  calm(): void {
    this.stopCutting();
    this.setRules({});
    this.delay('both', 0);
    this.throttle('both', Number.POSITIVE_INFINITY);
    if (this.#isHalfOpen) this.halfOpen(false);
  }

  async stop(): Promise<void> {
    this.stopCutting();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const { client, broker } of this.#links) {
      client.destroy();
      broker.destroy();
    }
    await closed;
  }

  #paces(direction: Direction): Pace[] {
    const { requests, answers } = this.#pace;
    return direction === 'both' ? [requests, answers] : [this.#pace[direction]];
  }

  #cut(link: Link): void {
    if (!this.#links.delete(link)) return;
    this.#cuts += 1;
    // A reset, as from a machine that is gone: what lies in buffers is lost, too.
    link.client.resetAndDestroy();
    link.broker.destroy();
  }

  #serve(client: Socket): void {
    const broker = tcpConnect({ host: '127.0.0.1', port: this.#brokerPort, noDelay: true });
    const link = { client: client.setNoDelay(true), broker };
    this.#links.add(link);
    const frames = new Frames();
    const end = (): void => {
      if (!this.#links.delete(link)) return;
      client.destroy();
      broker.destroy();
    };
    for (const socket of [client, broker]) socket.on('error', () => {}).on('close', end);
    this.#passRequests(link, frames).catch(end);
    this.#passAnswers(link, frames).catch(end);
  }

  async #passRequests(link: Link, frames: Frames): Promise<void> {
    for await (const chunk of link.client as AsyncIterable<Buffer>) {
      for (const { request, correlationId, bytes } of frames.requests(chunk)) {
        this.#requests.set(request.api, this.requests(request.api) + 1);
        const fate = (await this.#rules.onRequest?.(request)) ?? 'pass';
        if (fate === 'cut') return this.#cut(link);
        if (fate === 'pass') await this.#pass(bytes, link.broker, this.#pace.requests);
        else await this.#pass(forgeError({ request, correlationId }, fate), link.client, this.#pace.answers);
      }
    }
  }

  async #passAnswers(link: Link, frames: Frames): Promise<void> {
    for await (const chunk of link.broker as AsyncIterable<Buffer>) {
      for (const { request, correlationId, bytes } of frames.answers(chunk)) {
        const fate = (await this.#rules.onAnswer?.(request)) ?? 'pass';
        if (fate === 'withhold') continue;
        if (fate === 'pass') await this.#pass(bytes, link.client, this.#pace.answers);
        else if (typeof fate === 'object' && 'errorCode' in fate) {
          await this.#pass(forgeError({ request, correlationId }, fate), link.client, this.#pace.answers);
        } else {
          const part = bytes.subarray(0, fate === 'cut' ? 0 : Math.min(fate.truncateTo, bytes.length - 1));
          await this.#pass(part, link.client, this.#pace.answers);
          // An end, not a reset: the part that was sent is to arrive.
          this.#cuts += 1;
          this.#links.delete(link);
          link.client.end();
          link.broker.destroy();
          return;
        }
      }
    }
  }

  /** Waits until the receiver has taken the bytes: a slow one slows the sender down. */
  async #pass(bytes: Buffer, to: Socket, pace: Pace): Promise<void> {
    if (this.#isHalfOpen) return;
    if (pace.delayMs > 0) await delay(pace.delayMs);
    for (let position = 0; position < bytes.length; ) {
      const { bytesPerSecond } = pace;
      const isSlow = Number.isFinite(bytesPerSecond);
      const length = isSlow ? Math.max(1, Math.ceil(bytesPerSecond / SLICES)) : bytes.length;
      if (!to.write(bytes.subarray(position, position + length)) && !to.destroyed) {
        await Promise.race([once(to, 'drain'), once(to, 'close')]);
      }
      if (isSlow) await delay(1000 / SLICES);
      if (to.destroyed) return;
      position += length;
    }
  }
}

function newPace(): Pace {
  return { delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY };
}

export interface ProxiedKafka {
  readonly cluster: KafkaCluster;
  /** `host:port,...` through the proxies; `cluster.bootstrapServers` leads past them. */
  readonly bootstrapServers: string;
  /** One in front of each broker, in the order of their ids. */
  readonly proxies: readonly KafkaProxy[];
  stop(): Promise<void>;
}

/** Starts Kafka with a proxy in front of each broker: who connects through one stays behind them. */
export async function startProxiedKafka(options: StartKafkaOptions = {}): Promise<ProxiedKafka> {
  const listener = 'PROXIED';
  const cluster = await startKafka({
    ...options,
    listeners: { ...options.listeners, [listener]: 'PLAINTEXT' },
    advertisedElsewhere: [...(options.advertisedElsewhere ?? []), listener],
  });
  const ports = cluster.portsOf(listener);
  const proxies = await Promise.all(
    ports.map(({ port, advertisedPort }) => KafkaProxy.start({ port: advertisedPort, brokerPort: port })),
  );
  return {
    cluster,
    bootstrapServers: ports.map(({ advertisedPort }) => `127.0.0.1:${advertisedPort}`).join(','),
    proxies,
    stop: async () => {
      await Promise.all(proxies.map((proxy) => proxy.stop()));
      await cluster.stop();
    },
  };
}
