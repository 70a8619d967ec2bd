/** How a PostgreSQL server is reached: what a connection says, by the keys of libpq, of JDBC, or as a URL. */
import { OffloadError } from '../errors.ts';
import type { Connection } from './connections.ts';
import type { PostgresSettings } from './databaseSettings.ts';
import { didYouMean } from './nearest.ts';
import { mergeProperties, type Properties, type Property } from './properties.ts';
import { readTls } from './security.ts';

/** Other spellings, and the name they are known by here. */
const ALIASES: Readonly<Record<string, string>> = {
  dbname: 'database',
  username: 'user',
  sslrootcert: 'ssl.ca.location',
  sslcert: 'ssl.certificate.location',
  sslkey: 'ssl.key.location',
  sslpassword: 'ssl.key.password',
  connect_timeout: 'connectTimeout',
  application_name: 'ApplicationName',
};
const TLS_KEYS = [
  ...['ssl.ca.location', 'ssl.ca.pem', 'ssl.certificate.location', 'ssl.certificate.pem'],
  ...['ssl.key.location', 'ssl.key.pem', 'ssl.key.password'],
];
const KEYS = [
  ...['url', 'host', 'port', 'database', 'user', 'password', 'ssl', 'sslmode'],
  ...['connectTimeout', 'ApplicationName', 'driver', ...TLS_KEYS],
];
const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
const DRIVER = 'org.postgresql.Driver';
const DEFAULT_PORT = 5432;
const DEFAULT_CONNECT_TIMEOUT_S = 10;
const APPLICATION_NAME = 'kafkaload';

/**
 * @param cwd Relative paths of PEM files are taken from here.
 * @throws OffloadError CONFIG_INVALID naming the key, never its value where that may hold a secret.
 */
export async function readPostgres(
  connection: Extract<Connection, { type: 'POSTGRESQL' }>,
  cwd: string,
): Promise<PostgresSettings> {
  const { where, name } = connection;
  const given = named(mergeProperties([{ where, tree: connection.options }]));
  const url = given.get('url');
  const parts = url === undefined ? given : new Map([...readUrl(url), ...given]);
  const text = (key: string): string | null => parts.get(key)?.value.trim() || null;
  const driver = parts.get('driver');
  if (driver !== undefined && driver.value.trim() !== DRIVER) {
    throw invalid(`${driver.where} is "${driver.value}"; only ${DRIVER} has a meaning here`);
  }
  const required = (key: string): string => {
    const value = text(key);
    if (value === null) throw invalid(`${where}.${key} is missing${url ? `, and ${url.where} does not say it` : ''}`);
    return value;
  };
  return {
    where: `connections.${name}`,
    host: required('host'),
    port: wholeNumber(parts.get('port'), DEFAULT_PORT, 65_535),
    database: required('database'),
    user: required('user'),
    password: parts.get('password')?.value ?? null,
    tls: await readSslMode(parts, cwd),
    connectTimeoutMs: 1000 * wholeNumber(parts.get('connectTimeout'), DEFAULT_CONNECT_TIMEOUT_S, 3600),
    applicationName: text('ApplicationName') ?? APPLICATION_NAME,
  };
}

/** Keys in the one spelling known here. */
function named(properties: Properties): Map<string, Property> {
  const result = new Map<string, Property>();
  for (const [key, property] of properties) {
    const known = ALIASES[key] ?? KEYS.find((each) => each.toLowerCase() === key.toLowerCase());
    if (known === undefined) {
      const names = [...KEYS, ...Object.keys(ALIASES)];
      throw invalid(`unknown option ${property.where}; known here: ${KEYS.join(', ')}${didYouMean(key, names)}`);
    }
    const earlier = result.get(known);
    if (earlier !== undefined) throw invalid(`${earlier.where} and ${property.where} mean the same; keep one of them`);
    result.set(known, property);
  }
  return result;
}

/** `jdbc:postgresql://host:port/database?key=value`, or the same without `jdbc:` and with `user:password@`. */
function readUrl({ value, where }: Property): Map<string, Property> {
  const wrong = (why: string): OffloadError =>
    invalid(
      `${where} ${why}; write jdbc:postgresql://HOST:PORT/DATABASE, with user and password as options of their own`,
    );
  const match = /^(?:jdbc:)?postgres(?:ql)?:\/\/(.*)$/is.exec(value.trim());
  if (match === null) throw wrong('is no URL of PostgreSQL');
  if (/^[^/?]*,/.test(match[1] ?? '')) throw wrong('names several hosts, which is not in this version');
  let url: URL;
  try {
    url = new URL(`postgresql://${match[1]}`);
    const decoded = [
      ['host', url.hostname.replace(/^\[(.*)\]$/, '$1')],
      ['port', url.port],
      ['database', url.pathname.replace(/^\//, '')],
      ['user', url.username],
      ['password', url.password],
    ].map(([key, text]): [string, Property] => [key as string, { value: decodeURIComponent(text ?? ''), where }]);
    const query = [...url.searchParams].map(([key, text]): [string, Property] => [
      key,
      { value: text, where: `${key} in ${where}` },
    ]);
    return named(new Map([...decoded.filter(([, property]) => property.value !== ''), ...query]));
  } catch (error) {
    if (error instanceof OffloadError) throw error;
    // Its own message would show the text, a password perhaps.
    throw wrong('cannot be read');
  }
}

/** As libpq and JDBC have it: `require` encrypts and trusts whoever answers. */
async function readSslMode(parts: Properties, cwd: string): Promise<PostgresSettings['tls']> {
  const mode = parts.get('sslmode');
  const word = mode?.value.trim().toLowerCase();
  const known = SSL_MODES.find((each) => each === word);
  if (mode !== undefined && known === undefined) {
    throw invalid(`${mode.where} is "${mode.value}"; it must be one of ${SSL_MODES.join(', ')}`);
  }
  const ssl = parts.get('ssl');
  const flag = ssl?.value.trim().toLowerCase();
  if (ssl !== undefined && flag !== 'true' && flag !== 'false') {
    throw invalid(`${ssl.where} is "${ssl.value}"; it must be true or false, and sslmode says more`);
  }
  if (ssl !== undefined && known !== undefined && (flag === 'true') !== (known !== 'disable')) {
    throw invalid(`${ssl.where} and ${mode?.where} contradict one another; keep sslmode`);
  }
  const chosen = known ?? (flag === 'true' ? 'verify-full' : 'disable');
  if (chosen === 'disable') {
    const unused = TLS_KEYS.map((key) => parts.get(key)).find((property) => property !== undefined);
    if (unused !== undefined) throw invalid(`${unused.where} has no effect without TLS; add sslmode: verify-full`);
    return null;
  }
  const { settings } = await readTls(parts, cwd);
  return { ...settings, verify: chosen !== 'require', checkHostName: chosen === 'verify-full' };
}

function wholeNumber(property: Property | undefined, fallback: number, most: number): number {
  if (property === undefined) return fallback;
  const text = property.value.trim();
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= most) return Number(text);
  throw invalid(`${property.where} is "${property.value}"; it must be a whole number from 1 to ${most}`);
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
