import type { ConnectionSettings } from '../../src/config/kafkaSettings.ts';

/** Of a plain listener: `host:port,...`. */
export function connectionSettings(servers: string): ConnectionSettings {
  const bootstrap = servers.split(',').map((address) => {
    const [host = '', port] = address.split(':');
    return { host, port: Number(port) };
  });
  return {
    bootstrap,
    clientId: 'kafkaload-tests',
    tls: null,
    sasl: null,
    connectTimeoutMs: 5_000,
    requestTimeoutMs: 10_000,
    deadlineMs: 60_000,
    retryBackoffMs: 100,
    retryBackoffMaxMs: 1_000,
  };
}
