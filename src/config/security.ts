import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { OffloadError } from '../errors.ts';
import type { BearerSource, SaslSettings, TlsSettings } from './kafkaSettings.ts';
import type { Properties, Property } from './properties.ts';

const PROTOCOLS = ['plaintext', 'ssl', 'sasl_plaintext', 'sasl_ssl'] as const;
const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const;

/** Properties that this module reads; everything else that begins with `ssl.` or `sasl.` is somebody else's. */
export const SECURITY_KEYS: ReadonlySet<string> = new Set([
  'security.protocol',
  'sasl.mechanisms',
  'sasl.username',
  'sasl.password',
  'sasl.oauthbearer.token',
  'sasl.oauthbearer.token.file',
  'sasl.oauthbearer.token.command',
  'ssl.ca.location',
  'ssl.ca.pem',
  'ssl.certificate.location',
  'ssl.certificate.pem',
  'ssl.key.location',
  'ssl.key.pem',
  'ssl.key.password',
  'ssl.endpoint.identification.algorithm',
  'enable.ssl.certificate.verification',
]);

export interface Security {
  readonly tls: TlsSettings | null;
  readonly sasl: SaslSettings | null;
  /** The same for node-rdkafka. A bearer token is not among them: its clients are handed what `sasl.bearer` gives. */
  readonly rdkafka: Readonly<Record<string, string | boolean>>;
  readonly notes: readonly string[];
}

/**
 * TLS and log-in of both ways into Kafka, so that they cannot differ.
 *
 * @param cwd Relative paths of PEM files are taken from here.
 * @throws OffloadError CONFIG_INVALID for what one of the two ways cannot do, what is missing, or a file that cannot be
 *   read; no message holds a secret.
 */
export async function readSecurity(properties: Properties, cwd: string): Promise<Security> {
  const protocol = readChoice(properties, 'security.protocol', PROTOCOLS) ?? 'plaintext';
  const usesTls = protocol.endsWith('ssl');
  const usesSasl = protocol.startsWith('sasl');
  const tls = usesTls ? await readTls(properties, cwd) : null;
  const sasl = usesSasl ? readSasl(properties, cwd) : null;
  return {
    tls: tls?.settings ?? null,
    sasl: sasl?.settings ?? null,
    rdkafka: { 'security.protocol': protocol, ...tls?.rdkafka, ...sasl?.rdkafka },
    notes: [...properties].flatMap(([key, { where }]) => {
      const unused = (!usesTls && /ssl\./.test(key)) || (!usesSasl && /^sasl\./.test(key));
      return SECURITY_KEYS.has(key) && unused ? [`${where} has no effect: security.protocol is ${protocol}`] : [];
    }),
  };
}

function readSasl(properties: Properties, cwd: string): { settings: SaslSettings; rdkafka: Record<string, string> } {
  const given = properties.get('sasl.mechanisms');
  if (given?.value.trim().toUpperCase() === 'GSSAPI') {
    throw invalid(
      `${given.where}: Kerberos (GSSAPI) is not in this version; brokers can offer ${MECHANISMS.join(', ')} beside it`,
    );
  }
  const mechanism = readChoice(properties, 'sasl.mechanisms', MECHANISMS);
  if (mechanism === null) throw invalid(`sasl.mechanism is missing; it must be one of ${MECHANISMS.join(', ')}`);
  const rdkafka: Record<string, string> = { 'sasl.mechanisms': mechanism };
  if (mechanism === 'OAUTHBEARER') {
    return { settings: { mechanism, bearer: readBearerSource(properties, cwd) }, rdkafka };
  }
  const username = required(properties, 'sasl.username', mechanism);
  const password = required(properties, 'sasl.password', mechanism);
  return {
    settings: { mechanism, username, password },
    rdkafka: { ...rdkafka, 'sasl.username': username, 'sasl.password': password },
  };
}

/** What is read or run when somebody logs in, not now: a command may take long, and a token is for a while. */
function readBearerSource(properties: Properties, cwd: string): BearerSource {
  const given = (key: string): Property | null => {
    const property = properties.get(key);
    return property === undefined || property.value.trim() === '' ? null : property;
  };
  const file = given('sasl.oauthbearer.token.file');
  if (file !== null) return { kind: 'file', where: file.where, path: resolve(cwd, pathOf(file.value.trim())) };
  const command = given('sasl.oauthbearer.token.command');
  if (command !== null) return { kind: 'command', where: command.where, command: command.value };
  const token = given('sasl.oauthbearer.token');
  if (token !== null) return { kind: 'text', where: token.where, token: token.value };
  throw invalid(
    'sasl.oauthbearer.token is missing; sasl.mechanism OAUTHBEARER needs it, or sasl.oauthbearer.token.file, or ' +
      'sasl.oauthbearer.token.command',
  );
}

/** A path, or a `file:` URL as the Java client has it in `sasl.oauthbearer.token.endpoint.url`. */
function pathOf(file: string): string {
  return file.startsWith('file:') ? fileURLToPath(file) : file;
}

/**
 * TLS alone, by the keys `ssl.*`, which a client of another system may share.
 *
 * @throws OffloadError as `readSecurity`.
 */
export async function readTls(
  properties: Properties,
  cwd: string,
): Promise<{ settings: TlsSettings; rdkafka: Record<string, string | boolean> }> {
  const [ca, cert, key] = await Promise.all([
    readPem(properties, 'ssl.ca', cwd),
    readPem(properties, 'ssl.certificate', cwd),
    readPem(properties, 'ssl.key', cwd),
  ]);
  if ((cert === null) !== (key === null)) {
    const given = cert ?? key;
    const missing = cert === null ? 'ssl.certificate.location' : 'ssl.key.location';
    throw invalid(`${given?.where} is set without ${missing}; a client certificate needs both`);
  }
  const algorithm =
    properties.get('ssl.endpoint.identification.algorithm')?.value.trim() === ''
      ? 'none' // As the Java client writes it.
      : (readChoice(properties, 'ssl.endpoint.identification.algorithm', ['https', 'none']) ?? 'https');
  const verify = readChoice(properties, 'enable.ssl.certificate.verification', ['true', 'false']) !== 'false';
  const passphrase = properties.get('ssl.key.password')?.value;
  checkPem(ca, cert, key, passphrase);
  return {
    settings: {
      ...(ca && { ca: ca.text }),
      ...(cert && { cert: cert.text }),
      ...(key && { key: key.text }),
      ...(passphrase !== undefined && { passphrase }),
      checkHostName: algorithm === 'https',
      verify,
    },
    rdkafka: {
      ...ca?.rdkafka,
      ...cert?.rdkafka,
      ...key?.rdkafka,
      ...(passphrase !== undefined && { 'ssl.key.password': passphrase }),
      'ssl.endpoint.identification.algorithm': algorithm,
      'enable.ssl.certificate.verification': verify,
    },
  };
}

interface Pem {
  readonly text: string;
  readonly where: string;
  readonly rdkafka: Readonly<Record<string, string>>;
}

async function readPem(properties: Properties, name: string, cwd: string): Promise<Pem | null> {
  const inline = properties.get(`${name}.pem`);
  if (inline !== undefined) {
    requirePem(inline.value, inline, '');
    return { text: inline.value, where: inline.where, rdkafka: { [`${name}.pem`]: inline.value } };
  }
  const location = properties.get(`${name}.location`);
  if (location === undefined) return null;
  const path = resolve(cwd, location.value);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const reasons: Record<string, string> = {
      ENOENT: 'there is no such file',
      EACCES: 'permission denied',
      EISDIR: 'it is a folder; join its certificates into one file',
    };
    throw invalid(`cannot read ${path}, which ${location.where} names: ${reasons[code] ?? code}`);
  }
  requirePem(text, location, ` ${path}`);
  return { text, where: location.where, rdkafka: { [`${name}.location`]: path } };
}

/** Opens what was read, so that a wrong file or password is told before a broker is asked. */
function checkPem(ca: Pem | null, cert: Pem | null, key: Pem | null, passphrase: string | undefined): void {
  const unusable = (pem: Pem | null, error: unknown): OffloadError => {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const locked =
      passphrase === undefined ? 'it is encrypted; set ssl.key.password' : 'ssl.key.password does not open it';
    // Whether OpenSSL finds a password wrong or none at all depends on how the key is encrypted.
    const reasons: Record<string, string> = {
      ERR_OSSL_BAD_DECRYPT: locked,
      ERR_MISSING_PASSPHRASE: locked,
      ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: locked,
      ERR_OSSL_X509_KEY_VALUES_MISMATCH: `it is not the key of the certificate in ${cert?.where}`,
    };
    return invalid(`${pem?.where} cannot be used: ${reasons[code] ?? code}`);
  };
  const opens = (pem: Pem | null, open: () => unknown): void => {
    try {
      open();
    } catch (error) {
      throw unusable(pem, error);
    }
  };
  // A secure context takes authorities that it cannot read, and trusts nobody then.
  if (ca) opens(ca, () => new X509Certificate(ca.text));
  if (cert) opens(cert, () => createSecureContext({ cert: cert.text }));
  if (cert && key) {
    const opened = { cert: cert.text, key: key.text, ...(passphrase !== undefined && { passphrase }) };
    opens(key, () => createSecureContext(opened));
  }
}

function requirePem(text: string, { where }: Property, file: string): void {
  if (text.includes('-----BEGIN ')) return;
  throw invalid(
    `${where}${file} is not PEM text (-----BEGIN ...); turn a PKCS#12 store into it with ` +
      '"openssl pkcs12 -in STORE.p12 -nodes -out STORE.pem"',
  );
}

function required(properties: Properties, key: string, mechanism: string): string {
  const value = properties.get(key)?.value;
  if (value !== undefined && value !== '') return value;
  throw invalid(`${key} is missing; sasl.mechanism ${mechanism} needs it`);
}

/** One of a few words, any case; null when the key is absent. */
function readChoice<Choice extends string>(
  properties: Properties,
  key: string,
  choices: readonly Choice[],
): Choice | null {
  const property = properties.get(key);
  if (property === undefined) return null;
  const word = property.value.trim().toLowerCase();
  const choice = choices.find((each) => each.toLowerCase() === word);
  if (choice !== undefined) return choice;
  throw invalid(`${property.where} is "${property.value}"; it must be one of ${choices.join(', ')}`);
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
