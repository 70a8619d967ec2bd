import { AclOperations, AclPermissionTypes, Admin, ResourcePatternTypes, ResourceTypes } from '@platformatic/kafka';
import { type KafkaCluster, startKafka } from './broker.ts';
import { type Certificate, issueCertificate, makeAuthority } from './certificates.ts';
import { waitFor } from './wait.ts';

/** One password for each user, and nothing else that looks like it: what is printed is searched for them. */
export const PASSWORDS = {
  loader: 'pw-loader-q7Zk=x',
  noRead: 'pw-noread-8Hs2',
  reader: 'pw-reader-5Tn4',
  writer: 'pw-writer-6Vb3',
} as const;
export type User = keyof typeof PASSWORDS;

export const CLIENT_KEY_PASSWORD = 'pw-clientkey-3Rw9';

export interface SecureKafka {
  readonly cluster: KafkaCluster;
  /** PEM files: the authority of the broker's certificates, another one, and a client's certificate. */
  readonly authority: Certificate;
  readonly stranger: Certificate;
  readonly client: Certificate;
}

const LISTENERS = {
  TLS: 'SSL',
  /** Its certificate names another host. */
  OTHERHOST: 'SSL',
  /** Asks for a client certificate. */
  MUTUAL: 'SSL',
  LOGIN: 'SASL_PLAINTEXT',
  TLSLOGIN: 'SASL_SSL',
  /** Offers PLAIN and OAUTHBEARER. */
  TOKEN: 'SASL_PLAINTEXT',
  /** Sessions end after SESSION_MS. */
  SHORT: 'SASL_PLAINTEXT',
} as const;

export const SESSION_MS = 2_000;
const SCRAM = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
const MODULES = 'org.apache.kafka.common.security';

/** One broker with every listener of LISTENERS and an authorizer; whoever comes in plain text may do everything. */
export async function startSecureKafka(folder: string): Promise<SecureKafka> {
  const authority = await makeAuthority(folder, 'authority');
  const stranger = await makeAuthority(folder, 'stranger');
  const own = await issueCertificate(authority, folder, 'broker', { subjectAltName: 'IP:127.0.0.1,DNS:localhost' });
  const other = await issueCertificate(authority, folder, 'other', { subjectAltName: 'DNS:broker.example' });
  const client = await issueCertificate(authority, folder, 'client', { passphrase: CLIENT_KEY_PASSWORD });
  const cluster = await startKafka({
    listeners: LISTENERS,
    properties: {
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': 'User:ANONYMOUS;User:loader;User:CN=client',
      'auto.create.topics.enable': 'false',
      // Quotas hold from the first second on.
      'quota.window.num': '2',
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': own.store,
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': authority.certificate,
      'listener.name.otherhost.ssl.keystore.location': other.store,
      'listener.name.mutual.ssl.client.auth': 'required',
      ...logins('login', ['PLAIN', ...SCRAM]),
      ...logins('tlslogin', ['SCRAM-SHA-512']),
      ...logins('token', ['PLAIN', 'OAUTHBEARER']),
      ...logins('short', ['PLAIN', ...SCRAM, 'OAUTHBEARER']),
      ...Object.fromEntries(
        ['plain', ...SCRAM, 'oauthbearer'].map((name) => [
          `listener.name.short.${name.toLowerCase()}.connections.max.reauth.ms`,
          String(SESSION_MS),
        ]),
      ),
    },
    formatArguments: SCRAM.flatMap((name) => ['--add-scram', `${name}=[name=loader,password="${PASSWORDS.loader}"]`]),
  });
  return { cluster, authority, stranger, client };
}

/** What a user may do. A broker that lets a user read a topic lets him describe it too. */
export interface Grant {
  readonly user: User;
  readonly on: 'TOPIC' | 'GROUP' | 'TRANSACTIONAL_ID' | 'CLUSTER';
  readonly name: string;
  readonly may: keyof typeof AclOperations;
}

/** Adds permissions; they hold afterwards. The controller answers milliseconds before the broker has them. */
export async function grant(bootstrapServers: string, grants: readonly Grant[]): Promise<void> {
  const admin = new Admin({ clientId: 'kafkaload-tests', bootstrapBrokers: bootstrapServers.split(',') });
  const creations = grants.map(({ user, on, name, may }) => ({
    resourceType: ResourceTypes[on],
    resourceName: name,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: `User:${user}`,
    host: '*',
    operation: AclOperations[may],
    permissionType: AclPermissionTypes.ALLOW,
  }));
  try {
    await admin.createAcls({ creations });
    for (const filter of creations) {
      const isKnown = async () => (await admin.describeAcls({ filter })).length > 0;
      await waitFor(`the broker to let ${filter.principal} use ${filter.resourceName}`, isKnown);
    }
  } finally {
    await admin.close();
  }
}

/** A bearer token as a broker's unsecured validator takes it: a JWS of algorithm `none` (RFC 7515, appendix A.5). */
export function unsecuredToken(user: string, lifetimeSeconds: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  return `${part({ alg: 'none' })}.${part({ sub: user, iat: now, exp: now + lifetimeSeconds })}.`;
}

export const TOKENS = { valid: unsecuredToken('loader', 3_600), expired: unsecuredToken('loader', -600) };

/** Properties of a client that logs in. */
export function login(mechanism: string, user: User = 'loader') {
  return {
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': mechanism,
    'sasl.username': user,
    'sasl.password': PASSWORDS[user],
  };
}

/** Properties of a client that shows a bearer token. */
export function bearer(token: string) {
  return {
    'security.protocol': 'SASL_PLAINTEXT',
    'sasl.mechanism': 'OAUTHBEARER',
    'sasl.oauthbearer.token': token,
  };
}

function logins(listener: string, mechanisms: readonly string[]): Record<string, string> {
  const users = Object.entries(PASSWORDS).map(([user, password]) => `user_${user}="${password}"`);
  const modules: Record<string, string> = {
    PLAIN: `${MODULES}.plain.PlainLoginModule required ${users.join(' ')};`,
    OAUTHBEARER: `${MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
  };
  const scram = `${MODULES}.scram.ScramLoginModule required;`;
  const prefix = `listener.name.${listener}.`;
  return {
    [`${prefix}sasl.enabled.mechanisms`]: mechanisms.join(','),
    ...Object.fromEntries(
      mechanisms.map((name) => [`${prefix}${name.toLowerCase()}.sasl.jaas.config`, modules[name] ?? scram]),
    ),
  };
}
