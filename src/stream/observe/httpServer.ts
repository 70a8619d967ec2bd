/** A small HTTP server: answers of a few paths to whoever asks, and to nobody who is not meant. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import { messageOf, OffloadError } from '../../errors.ts';

export interface Answer {
  readonly status?: number;
  readonly contentType: string;
  readonly body: string | Buffer;
}

export type Routes = Readonly<Record<string, (query: URLSearchParams) => Answer | Promise<Answer>>>;

export interface Listening {
  /** `http://127.0.0.1:9464`. */
  readonly url: string;
  /** Does not wait for who keeps a connection open. Safe to call twice. */
  close(): Promise<void>;
}

/** Nothing from elsewhere, nothing inline: what a name or a path brings in stays text. */
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};
const MAX_CONNECTIONS = 128;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * @param option Whose port it is, for messages.
 * @param port 0: any that is free.
 * @throws OffloadError IO_FAILED where the port cannot be had, USAGE where the host is no address of this machine.
 */
export async function listen(
  option: string,
  { host, port }: { readonly host: string; readonly port: number },
  routes: Routes,
): Promise<Listening> {
  const isLocal = isLoopback(host);
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    void answer(request, response, routes, isLocal);
  });
  server.maxConnections = MAX_CONNECTIONS;
  // The stream keeps the process alive, not those who look at it.
  server.unref();
  await opened(server, option, host, port);
  const address = server.address() as AddressInfo;
  const shown = isIP(host) === 6 ? `[${host}]` : host;
  return {
    url: `http://${shown}:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function opened(server: Server, option: string, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, option, host, port)));
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      // A connection that breaks is its own matter.
      server.on('error', () => {});
      resolve();
    });
  });
}

function listenError(error: NodeJS.ErrnoException, option: string, host: string, port: number): OffloadError {
  const attempt = `cannot listen on ${host}, port ${port} (${option})`;
  const options = { cause: error, context: { host, port, systemCode: error.code ?? '' } };
  switch (error.code) {
    case 'EADDRINUSE':
      return new OffloadError(
        'IO_FAILED',
        `${attempt}: another process has the port; end it, or choose another one (0: any that is free)`,
        options,
      );
    case 'EACCES':
      return new OffloadError('IO_FAILED', `${attempt}: permission denied; choose a port from 1024 on`, options);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EINVAL':
      return new OffloadError(
        'USAGE',
        `${attempt}: --listen names no address of this machine; 127.0.0.1 is for this machine alone, 0.0.0.0 for all`,
        options,
      );
    default:
      return new OffloadError('IO_FAILED', `${attempt}: ${messageOf(error)}`, options);
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  routes: Routes,
  isLocal: boolean,
): Promise<void> {
  const { status = 200, contentType, body } = await answerTo(request, routes, isLocal);
  response.writeHead(status, {
    ...HEADERS,
    ...(status === 405 ? { Allow: 'GET, HEAD' } : {}),
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function answerTo(request: IncomingMessage, routes: Routes, isLocal: boolean): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return plain(405, 'GET and HEAD only');
  // A page from elsewhere may make a browser ask here by a name of its own that leads to this machine.
  if (isLocal && !isLoopback(hostOf(request.headers.host)))
    return plain(403, 'this address is for localhost only; --listen HOST serves others');
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (!route) return plain(404, `nothing here; there are ${Object.keys(routes).join(', ')}`);
  try {
    return await route(new URLSearchParams(query));
  } catch (error) {
    return plain(500, messageOf(error));
  }
}

export function plain(status: number, text: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${text}\n` };
}

export function json(value: unknown): Answer {
  return { contentType: 'application/json; charset=utf-8', body: JSON.stringify(value) };
}

/** Without its port and without brackets. */
function hostOf(header: string | undefined): string {
  return (header ?? '').replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
}

function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  if (isIP(name) === 4) return name.startsWith('127.');
  return name === 'localhost' || name.endsWith('.localhost') || name === '::1';
}
