import { OffloadError } from '../errors.ts';
import { DEFAULTS } from './defaults.ts';
import type { ConnectionSettings, FetchSettings, KafkaSettings } from './kafkaSettings.ts';
import { type KnownProperty, readKnownProperties } from './librdkafkaNames.ts';
import { didYouMean } from './nearest.ts';
import type { Properties, Property } from './properties.ts';
import { readAs, readBoundedNumber } from './propertyValues.ts';
import { readSecurity, SECURITY_KEYS } from './security.ts';

/** Read elsewhere, each for one side: options of Spark's Kafka source and sink, and what a producer compresses with. */
export const SIDE_PROPERTIES = {
  source: [
    ...['startingOffsets', 'endingOffsets', 'startingTimestamp', 'endingTimestamp', 'failOnDataLoss'],
    ...['subscribe', 'subscribePattern', 'assign', 'minPartitions', 'includeHeaders'],
  ],
  sink: ['topic', 'compression.type'],
} as const;

/** Why an option of the other side is left alone: one entry may be read from and written to. */
const OTHER_SIDE = { source: 'it says how the topic is read', sink: 'it says how the topic is written' } as const;

/** Numbers that steer both ways into Kafka, with the range librdkafka takes. */
const NUMBERS = {
  'socket.connection.setup.timeout.ms': [1_000, 300_000],
  'socket.timeout.ms': [10, 300_000],
  'retry.backoff.ms': [1, 300_000],
  'retry.backoff.max.ms': [1, 300_000],
  'fetch.wait.max.ms': [0, 300_000],
  'fetch.max.bytes': [1_024, 1_000_000_000],
  'fetch.message.max.bytes': [1_024, 1_000_000_000],
  'default.api.timeout.ms': [1_000, 86_400_000],
} as const satisfies Record<string, readonly [min: number, max: number]>;

/** Read here, beside `NUMBERS` and the security keys. */
const OTHER_KEYS = ['bootstrap.servers', 'client.id', 'client.rack', 'isolation.level', 'check.crcs'];

/** Both ways into Kafka must do the same; what only one of them can do is refused, with what to do. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  [
    /^ssl\.(truststore|keystore)\./,
    'Java key stores cannot be read here: convert with "keytool -importkeystore -srckeystore STORE.jks -destkeystore ' +
      'STORE.p12 -deststoretype PKCS12", then "openssl pkcs12 -in STORE.p12 -nodes -out STORE.pem", and name the PEM ' +
      'file in ssl.ca.location (trust store) or ssl.certificate.location and ssl.key.location (key store)',
  ],
  [
    /^sasl\.oauthbearer\.|unsecure\.jwt$/,
    'tokens are not fetched here: let a command print one (sasl.oauthbearer.token.command), or another program renew a ' +
      'file (sasl.oauthbearer.token.file)',
  ],
  [
    /^(ssl\.(cipher\.suites|curves\.list|sigalgs\.list|crl\.location|providers|engine\..*|ca\.certificate\.stores)|https\.ca\..*)$/,
    'messages are read over the TLS of Node.js, which cannot honour it; remove it',
  ],
  [/^plugin\.library\.paths$/, 'plug-ins do not see the messages here; remove it'],
  [
    /^schema\.registry\.|^basic\.auth\./,
    'schema registries are not in this version: remove it, and let fields read the bytes, as "value as BINARY"',
  ],
];

/** Accepted because configurations of the JVM tools hold them; nothing here depends on them. */
const WITHOUT_MEANING: readonly (readonly [RegExp, string])[] = [
  [/\.(de)?serializer$/, 'fields decides how keys and values are read'],
  [/^(key|value)\.(de)?serializer\./, 'fields decides how keys and values are read'],
  [/^(maxOffsetsPerTrigger|minOffsetsPerTrigger|maxTriggerDelay)$/, 'it is for streaming; maxRead limits a run'],
  [
    /^(kafkaConsumer\.pollTimeoutMs|fetchOffset\.(numRetries|retryIntervalMs)|groupIdPrefix)$/,
    'it is for the Kafka source of Spark',
  ],
  [/^(auto\.offset\.reset)$/, 'startingOffsets decides where the first run begins'],
  [/^sasl\.kerberos\./, 'Kerberos is not used'],
  [/^(buffer\.memory|max\.block\.ms|max\.request\.size|enable\.metrics\.push)$|^partitioner\./, 'it is for the JVM'],
  [/(^|\.)class(es)?($|\.)|\.provider$|\.algorithm$/, 'it is for the JVM'],
  [/^(metrics?|interceptor|sasl\.login)\./, 'it is for the JVM'],
  [
    /^ssl\.(protocol|enabled\.protocols|secure\.random\.implementation)$/,
    'TLS 1.2 or 1.3 is agreed on with the broker',
  ],
  [
    /^(max\.poll\.records|consumer\.timeout\.ms|exclude\.internal\.topics|auto\.include\.jmx\.reporter|security\.providers)$|^(send|receive)\.buffer\.bytes$|^socket\.connection\.setup\.timeout\.max\.ms$/,
    'it is for the JVM',
  ],
];

/**
 * Splits Kafka properties into what the raw data path needs and the properties of node-rdkafka.
 *
 * @param serverWhere Key to name when `bootstrap.servers` is missing.
 * @param side Whether the topic is read or written: options of the other side have no effect.
 * @param cwd Relative paths of PEM files are taken from here.
 * @returns The settings, and one line for each property that was accepted without having (its whole) effect.
 * @throws OffloadError CONFIG_INVALID naming the key; never with a secret in it.
 */
export async function resolveKafka(
  properties: Properties,
  options: {
    readonly serverWhere: string;
    readonly cwd: string;
    readonly maxBatchBytes: number;
    readonly side: 'source' | 'sink';
    /** Further properties that the caller reads by name. */
    readonly alsoRead?: readonly string[];
  },
): Promise<{ settings: KafkaSettings; notes: string[] }> {
  const known = await readKnownProperties();
  const security = await readSecurity(properties, options.cwd);
  const { passed, notes } = sortOut(properties, known, options.side, options.alsoRead ?? []);
  const value = (key: keyof typeof NUMBERS, fallback: number) => readNumber(properties, key, fallback);
  const bootstrapServers = properties.get('bootstrap.servers');
  if (bootstrapServers === undefined) throw invalid(`${options.serverWhere}.bootstrap.servers is missing`);
  const retryBackoffMs = value('retry.backoff.ms', DEFAULTS.retryBackoffMs);
  const connection: ConnectionSettings = {
    bootstrap: parseBootstrap(bootstrapServers),
    clientId: properties.get('client.id')?.value || DEFAULTS.clientId,
    tls: security.tls,
    sasl: security.sasl,
    connectTimeoutMs: value('socket.connection.setup.timeout.ms', DEFAULTS.connectTimeoutMs),
    requestTimeoutMs: value('socket.timeout.ms', DEFAULTS.requestTimeoutMs),
    deadlineMs: value('default.api.timeout.ms', DEFAULTS.deadlineMs),
    retryBackoffMs,
    retryBackoffMaxMs: Math.max(retryBackoffMs, value('retry.backoff.max.ms', DEFAULTS.retryBackoffMaxMs)),
  };
  const isolation = properties.get('isolation.level');
  const crcs = properties.get('check.crcs');
  const fetch: FetchSettings = {
    isolationLevel: isolation
      ? (readAs(isolation, ['read_committed', 'read_uncommitted']) as FetchSettings['isolationLevel'])
      : 'read_committed',
    maxBytes: value('fetch.max.bytes', value('fetch.message.max.bytes', DEFAULTS.fetchMaxBytes)),
    maxWaitMs: value(
      'fetch.wait.max.ms',
      Math.min(DEFAULTS.fetchMaxWaitMs, Math.floor(connection.requestTimeoutMs / 2)),
    ),
    checkCrcs: crcs === undefined || readAs(crcs, 'boolean') === true,
    maxBatchBytes: options.maxBatchBytes,
    clientRack: properties.get('client.rack')?.value ?? '',
  };
  if (fetch.maxWaitMs >= connection.requestTimeoutMs) {
    throw invalid(
      `fetch.wait.max.ms (${fetch.maxWaitMs}) must be below socket.timeout.ms (${connection.requestTimeoutMs}), ` +
        'else every request without news times out',
    );
  }
  const rdkafka = {
    ...passed,
    'bootstrap.servers': connection.bootstrap.map(formatAddress).join(','),
    'client.id': connection.clientId,
    'socket.connection.setup.timeout.ms': connection.connectTimeoutMs,
    'socket.timeout.ms': connection.requestTimeoutMs,
    'retry.backoff.ms': connection.retryBackoffMs,
    'retry.backoff.max.ms': connection.retryBackoffMaxMs,
    ...(fetch.clientRack !== '' && { 'client.rack': fetch.clientRack }),
    ...security.rdkafka,
  };
  return { settings: { connection, fetch, rdkafka }, notes: [...security.notes, ...notes] };
}

/**
 * Everything that is not read by name: passed to node-rdkafka, noted or refused.
 *
 * @param alsoRead Read by name for this job alone.
 */
function sortOut(
  properties: Properties,
  known: ReadonlyMap<string, KnownProperty>,
  side: 'source' | 'sink',
  alsoRead: readonly string[],
) {
  const otherSide = side === 'source' ? 'sink' : 'source';
  const own: ReadonlySet<string> = new Set(SIDE_PROPERTIES[side]);
  const foreign: ReadonlySet<string> = new Set(SIDE_PROPERTIES[otherSide]);
  const readByName = new Set([...own, ...OTHER_KEYS, ...Object.keys(NUMBERS), ...SECURITY_KEYS, ...alsoRead]);
  const passed: Record<string, string | number | boolean> = {};
  const notes: string[] = [];
  for (const [key, property] of properties) {
    if (readByName.has(key)) continue;
    const { where } = property;
    if (foreign.has(key)) {
      notes.push(`${where} has no effect here: ${OTHER_SIDE[otherSide]}`);
      continue;
    }
    const refused = REFUSED.find(([pattern]) => pattern.test(key));
    if (refused !== undefined) throw invalid(`${where}: ${refused[1]}`);
    const meaningless = WITHOUT_MEANING.find(([pattern]) => pattern.test(key));
    const definition = known.get(key);
    if (definition?.type === 'callback') throw invalid(`${where} is a function in librdkafka; a file cannot set it`);
    if (meaningless !== undefined) notes.push(`${where} has no effect here: ${meaningless[1]}`);
    else if (definition === undefined) {
      const hint = didYouMean(key, [...known.keys(), ...readByName]);
      throw invalid(`unknown property ${where}${hint || '; neither kafkaload nor librdkafka knows it'}`);
    } else if (definition.scope === 'client') {
      passed[key] = readAs(property, definition.type);
      notes.push(`${where} applies to metadata and offsets only: messages are read over a connection of their own`);
    } else notes.push(`${where} has no effect here: no consumer group and no producer of librdkafka carries messages`);
  }
  return { passed, notes };
}

function readNumber(properties: Properties, key: keyof typeof NUMBERS, fallback: number): number {
  return readBoundedNumber(properties, key, NUMBERS[key], fallback);
}

function parseBootstrap({ value, where }: Property): { host: string; port: number }[] {
  const addresses = value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (addresses.length === 0) throw invalid(`${where} is empty; write HOST:PORT, several separated by commas`);
  return addresses.map((address) => {
    if (address.includes('://')) {
      throw invalid(`${where} has "${address}"; write HOST:PORT alone, and the protocol in security.protocol`);
    }
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?$/.exec(address);
    const port = Number(match?.[3] ?? DEFAULTS.brokerPort);
    const host = match?.[1] ?? match?.[2];
    if (host === undefined || port < 1 || port > 65_535) {
      throw invalid(`${where} has "${address}"; write HOST:PORT, several separated by commas`);
    }
    return { host, port };
  });
}

function formatAddress({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
