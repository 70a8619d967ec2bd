import { OffloadError } from '../errors.ts';

/** One Kafka property as it was written. */
export interface Property {
  /** Text as in a properties file; `startingOffsets` and `endingOffsets` may be JSON. */
  readonly value: string;
  /** Full path of the key in the file, for messages: `kafka.serverOptions.sasl.password`. */
  readonly where: string;
}

/** Kafka properties by name, without the prefix `kafka.`. */
export type Properties = ReadonlyMap<string, Property>;

/** Other spellings, the Java client's mostly, and the name they are known by here. */
const ALIASES: Readonly<Record<string, string>> = {
  'metadata.broker.list': 'bootstrap.servers',
  'sasl.mechanism': 'sasl.mechanisms',
  'max.partition.fetch.bytes': 'fetch.message.max.bytes',
  'fetch.max.wait.ms': 'fetch.wait.max.ms',
  'request.timeout.ms': 'socket.timeout.ms',
  'compression.codec': 'compression.type',
};

/** Several ways to say one thing: a layer that uses one of them sets the others of the layer below aside. */
const EXCLUSIVE: readonly (readonly string[])[] = [
  ['subscribe', 'subscribePattern', 'assign'],
  ['startingOffsets', 'startingTimestamp'],
  ['endingOffsets', 'endingTimestamp'],
  ['sasl.oauthbearer.token', 'sasl.oauthbearer.token.file', 'sasl.oauthbearer.token.command'],
  ['ssl.ca.location', 'ssl.ca.pem'],
  ['ssl.certificate.location', 'ssl.certificate.pem'],
  ['ssl.key.location', 'ssl.key.pem'],
];

/** Options of Spark's Kafka source and sink, which are known in any case. */
const SPARK_NAMES = new Map(
  [
    ...['subscribe', 'subscribePattern', 'assign', 'startingOffsets', 'endingOffsets', 'startingTimestamp'],
    ...['endingTimestamp', 'failOnDataLoss', 'minPartitions', 'maxOffsetsPerTrigger', 'includeHeaders', 'topic'],
  ].map((name) => [name.toLowerCase(), name]),
);

/** Keys whose value is a mapping of partitions, not a group of longer keys. */
const JSON_KEYS = new Set(['startingOffsets', 'endingOffsets', 'assign']);
/** A secret written without quotes can look like a mapping to YAML: its pieces must not pass for keys, which are shown. */
const SECRET =
  /(password|passphrase|secret|token|token\.command|jaas\.config|\.pem|keystore\.key|certificate\.chain|user\.info)$/;

/**
 * Reads the layers of Kafka properties of one client, each over the one before.
 *
 * Keys may carry the prefix `kafka.` and may be nested (`sasl: { username: x }`); other spellings become the name known
 * here. A JAAS line becomes user and password, PEM stores become the files they stand for.
 *
 * @throws OffloadError CONFIG_INVALID for a key given twice with different values in one layer, and what cannot be read.
 */
export function mergeProperties(
  layers: readonly { readonly where: string; readonly tree: Readonly<Record<string, unknown>> | null | undefined }[],
): Properties {
  const merged = new Map<string, Property>();
  for (const { where, tree } of layers) {
    const layer = canonicalLayer(flatten(tree ?? {}, where));
    for (const group of EXCLUSIVE) {
      const [first, second] = group.filter((key) => layer.has(key));
      if (first !== undefined && second !== undefined) {
        throw invalid(`${layer.get(first)?.where} and ${layer.get(second)?.where} are both set; keep one of them`);
      }
      if (first !== undefined) for (const key of group) merged.delete(key);
    }
    for (const [key, property] of layer) merged.set(key, property);
  }
  return merged;
}

function flatten(tree: Readonly<Record<string, unknown>>, where: string, prefix = ''): [string, Property][] {
  return Object.entries(tree).flatMap(([name, value]): [string, Property][] => {
    const path = `${where}.${name}`;
    const key = `${prefix}${name}`;
    if (value === null || value === undefined) return [];
    if (typeof value === 'string') return [[key, { value, where: path }]];
    if (typeof value === 'number' || typeof value === 'boolean') return [[key, { value: String(value), where: path }]];
    if (typeof value === 'object' && !Array.isArray(value)) {
      if (JSON_KEYS.has(withoutPrefix(key))) return [[key, { value: JSON.stringify(value), where: path }]];
      if (SECRET.test(key)) throw invalid(`${path} must be text; put it in quotes`);
      return flatten(value as Record<string, unknown>, path, `${key}.`);
    }
    throw invalid(`${path} must be one value, not a list; separate several by commas`);
  });
}

function canonicalLayer(entries: readonly [string, Property][]): Map<string, Property> {
  const layer = new Map<string, Property>();
  const set = (key: string, property: Property) => {
    const earlier = layer.get(key);
    if (earlier !== undefined && earlier.value !== property.value) {
      throw invalid(`${earlier.where} and ${property.where} mean the same and differ; keep one of them`);
    }
    layer.set(key, property);
  };
  for (const [name, property] of entries) {
    const key = withoutPrefix(name);
    set(ALIASES[key] ?? key, property);
  }
  expandJaas(layer, set);
  expandTokenUrl(layer, set);
  expandPemStores(layer, set);
  return layer;
}

function withoutPrefix(key: string): string {
  const name = key.startsWith('kafka.') ? key.slice('kafka.'.length) : key;
  return SPARK_NAMES.get(name.toLowerCase()) ?? name;
}

/** `org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";` */
function expandJaas(layer: Map<string, Property>, set: (key: string, property: Property) => void): void {
  const jaas = layer.get('sasl.jaas.config');
  if (jaas === undefined) return;
  layer.delete('sasl.jaas.config');
  const { where } = jaas;
  const module = /^\s*([\w.$]+)\s+(?:required|requisite|sufficient|optional)\b/i.exec(jaas.value)?.[1] ?? '';
  const simpleName = module.split('.').at(-1);
  if (simpleName === 'Krb5LoginModule') {
    set('sasl.mechanisms', { value: 'GSSAPI', where });
    return;
  }
  // Its options are for fetching tokens: without any, it says no more than the mechanism does.
  if (simpleName === 'OAuthBearerLoginModule' && !jaas.value.includes('=')) {
    set('sasl.mechanisms', { value: 'OAUTHBEARER', where });
    return;
  }
  if (simpleName !== 'PlainLoginModule' && simpleName !== 'ScramLoginModule') {
    throw invalid(
      `${where} is no JAAS line that can be used here; expected PlainLoginModule or ScramLoginModule, then ` +
        '"required", username="..." and password="..."; or set sasl.mechanism, sasl.username and sasl.password',
    );
  }
  const options = new Map<string, string>();
  for (const match of jaas.value.matchAll(/([\w.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')/g)) {
    options.set(match[1] ?? '', (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1'));
  }
  for (const option of ['username', 'password']) {
    const value = options.get(option);
    if (value === undefined) throw invalid(`${where} has no ${option}="..." that can be read`);
    set(`sasl.${option}`, { value, where });
  }
  if (simpleName === 'PlainLoginModule') set('sasl.mechanisms', { value: 'PLAIN', where });
}

/** Java reads a token from a file where the URL of the endpoint is one of a file; others are refused later. */
function expandTokenUrl(layer: Map<string, Property>, set: (key: string, property: Property) => void): void {
  const url = layer.get('sasl.oauthbearer.token.endpoint.url');
  if (url === undefined || !url.value.trim().startsWith('file:')) return;
  layer.delete('sasl.oauthbearer.token.endpoint.url');
  set('sasl.oauthbearer.token.file', url);
}

/** Java's PEM stores hold what librdkafka takes as files or text; JKS and PKCS12 are refused later, with a way out. */
function expandPemStores(layer: Map<string, Property>, set: (key: string, property: Property) => void): void {
  const move = (from: string, ...targets: string[]) => {
    const property = layer.get(from);
    if (property === undefined) return;
    layer.delete(from);
    for (const target of targets) set(target, property);
  };
  const isPem = (type: string) => layer.get(type)?.value.toUpperCase() === 'PEM';
  if (isPem('ssl.truststore.type')) {
    layer.delete('ssl.truststore.type');
    move('ssl.truststore.location', 'ssl.ca.location');
    move('ssl.truststore.certificates', 'ssl.ca.pem');
  }
  if (isPem('ssl.keystore.type')) {
    layer.delete('ssl.keystore.type');
    // One file with the certificates and the key.
    move('ssl.keystore.location', 'ssl.certificate.location', 'ssl.key.location');
    move('ssl.keystore.certificate.chain', 'ssl.certificate.pem');
    move('ssl.keystore.key', 'ssl.key.pem');
  }
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
