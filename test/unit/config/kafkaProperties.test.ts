import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { issueCertificate, makeAuthority } from '../../helpers/certificates.ts';
import { configOf, errorOf, makeWorkspace } from './workspace.ts';

const { folder, write, resolve } = await makeWorkspace();
const PEM = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';

/** Settings of a cluster by its `serverOptions` and the `accessOptions` over them. */
async function settings(server: Record<string, unknown>, access: Record<string, unknown> = {}) {
  const { source, notes } = await resolve(configOf({ server, access }));
  return { ...source.kafka, notes };
}

describe('Kafka properties', () => {
  it('have defaults', async () => {
    expect(await settings({})).toEqual({
      connection: {
        bootstrap: [{ host: 'broker', port: 9092 }],
        clientId: 'kafkaload',
        tls: null,
        sasl: null,
        connectTimeoutMs: 10_000,
        requestTimeoutMs: 30_000,
        deadlineMs: 60_000,
        retryBackoffMs: 100,
        retryBackoffMaxMs: 1_000,
      },
      fetch: {
        isolationLevel: 'read_committed',
        maxBytes: 2_097_152,
        maxWaitMs: 500,
        checkCrcs: true,
        maxBatchBytes: 268_435_456,
        clientRack: '',
      },
      rdkafka: {
        'bootstrap.servers': 'broker:9092',
        'client.id': 'kafkaload',
        'security.protocol': 'plaintext',
        'socket.connection.setup.timeout.ms': 10_000,
        'socket.timeout.ms': 30_000,
        'retry.backoff.ms': 100,
        'retry.backoff.max.ms': 1_000,
      },
      notes: [],
    });
  });

  it('may carry the prefix kafka., be nested, and be overridden by the access options of the topic', async () => {
    const { connection, fetch, rdkafka, notes } = await settings(
      { 'kafka.client.id': 'server', client: { rack: 'r1' }, 'request.timeout.ms': 5_000 },
      {
        'bootstrap.servers': '[::1]:1, other',
        'kafka.client.id': 'mine',
        'check.crcs': 'false',
        'kafka.isolation.level': 'READ_UNCOMMITTED',
        'default.api.timeout.ms': 9_000,
        'fetch.max.wait.ms': 20,
        'max.partition.fetch.bytes': 4_096,
        'statistics.interval.ms': '7',
      },
    );
    expect(connection.bootstrap).toEqual([
      { host: '::1', port: 1 },
      { host: 'other', port: 9092 },
    ]);
    expect(connection).toMatchObject({ clientId: 'mine', requestTimeoutMs: 5_000, deadlineMs: 9_000 });
    expect(fetch).toMatchObject({ isolationLevel: 'read_uncommitted', maxBytes: 4_096, maxWaitMs: 20 });
    expect(fetch).toMatchObject({ checkCrcs: false, clientRack: 'r1' });
    expect(rdkafka).toMatchObject({ 'bootstrap.servers': '[::1]:1,other:9092', 'client.id': 'mine' });
    expect(rdkafka).toMatchObject({ 'statistics.interval.ms': 7, 'client.rack': 'r1', 'socket.timeout.ms': 5_000 });
    expect(notes).toEqual([
      'kafka.topics.orders.accessOptions.statistics.interval.ms applies to metadata and offsets only: ' +
        'messages are read over a connection of their own',
    ]);
  });

  it.each([
    ['key.deserializer', 'fields decides how keys and values are read'],
    ['value.serializer', 'fields decides how keys and values are read'],
    ['maxOffsetsPerTrigger', 'it is for streaming; maxRead limits a run'],
    ['kafkaConsumer.pollTimeoutMs', 'it is for the Kafka source of Spark'],
    ['max.request.size', 'it is for the JVM'],
    ['compression.type', 'it says how the topic is written'],
    ['partition.assignment.strategy', 'no consumer group and no producer of librdkafka carries messages'],
    ['enable.auto.commit', 'no consumer group and no producer of librdkafka carries messages'],
    ['interceptor.classes', 'it is for the JVM'],
    ['sasl.client.callback.handler.class', 'it is for the JVM'],
    ['auto.offset.reset', 'startingOffsets decides where the first run begins'],
    ['ssl.enabled.protocols', 'TLS 1.2 or 1.3 is agreed on with the broker'],
  ])('accept %s with one note', async (key, reason) => {
    const { notes } = await settings({ [key]: 'org.example.Thing' });
    expect(notes).toEqual([`kafka.serverOptions.${key} has no effect here: ${reason}`]);
  });

  it.each([
    [{ 'bootstrap.servers': null }, 'kafka.serverOptions.bootstrap.servers is missing'],
    [
      { 'bootstrap.servers': 'SSL://a:1' },
      'kafka.serverOptions.bootstrap.servers has "SSL://a:1"; write HOST:PORT alone, and the protocol in security.protocol',
    ],
    [
      { 'bootstrap.servers': 'a:99999' },
      'kafka.serverOptions.bootstrap.servers has "a:99999"; write HOST:PORT, several separated by commas',
    ],
    [
      { 'sokcet.keepalive.enable': true },
      'unknown property kafka.serverOptions.sokcet.keepalive.enable; did you mean socket.keepalive.enable?',
    ],
    [
      { startingOffset: 'latest' },
      'unknown property kafka.serverOptions.startingOffset; did you mean startingOffsets?',
    ],
    [{ 'q.q': 1 }, 'unknown property kafka.serverOptions.q.q; neither kafkaload nor librdkafka knows it'],
    [
      { 'socket.keepalive.enable': 'on' },
      'kafka.serverOptions.socket.keepalive.enable is "on"; it must be true or false',
    ],
    [{ 'statistics.interval.ms': '1s' }, 'kafka.serverOptions.statistics.interval.ms is "1s"; it must be a number'],
    [
      { 'broker.address.family': 'v5' },
      'kafka.serverOptions.broker.address.family is "v5"; it must be one of any, v4, v6',
    ],
    [
      { 'socket.timeout.ms': 5 },
      'kafka.serverOptions.socket.timeout.ms is 5; it must be a whole number from 10 to 300000',
    ],
    [
      { 'fetch.wait.max.ms': 40_000 },
      'fetch.wait.max.ms (40000) must be below socket.timeout.ms (30000), else every request without news times out',
    ],
    [{ rebalance_cb: 'x' }, 'kafka.serverOptions.rebalance_cb is a function in librdkafka; a file cannot set it'],
    [
      { 'client.id': 'a', 'kafka.client.id': 'b' },
      'kafka.serverOptions.client.id and kafka.serverOptions.kafka.client.id mean the same and differ; keep one of them',
    ],
    [{ 'client.id': ['a'] }, 'kafka.serverOptions.client.id must be one value, not a list; separate several by commas'],
    [
      { 'ssl.cipher.suites': 'x' },
      'kafka.serverOptions.ssl.cipher.suites: messages are read over the TLS of Node.js, which cannot honour it; remove it',
    ],
    [
      { 'schema.registry.url': 'http://user:pass@registry' },
      'kafka.serverOptions.schema.registry.url: schema registries are not in this version: remove it, and let fields read the bytes, as "value as BINARY"',
    ],
    [
      { subscribe: 'a', subscribePattern: 'a.*' },
      'kafka.serverOptions.subscribe and kafka.serverOptions.subscribePattern are both set; keep one of them',
    ],
  ])('refuse %o', async (server, message) => {
    expect(await errorOf(() => settings(server))).toBe(`CONFIG_INVALID: ${message}`);
  });
});

describe('security', () => {
  const user = { 'sasl.username': 'u', 'sasl.password': 'p' };

  it('logs in both ways alike, by librdkafka names or a JAAS line', async () => {
    const plain = await settings({ 'security.protocol': 'SASL_PLAINTEXT', 'sasl.mechanisms': 'plain', ...user });
    const jaas = await settings({
      'security.protocol': 'SASL_PLAINTEXT',
      'sasl.jaas.config': 'org.apache.kafka.common.security.plain.PlainLoginModule required username="u" password="p";',
    });
    expect(plain.connection).toMatchObject({ tls: null, sasl: { mechanism: 'PLAIN', username: 'u', password: 'p' } });
    expect(plain.rdkafka).toMatchObject({ 'security.protocol': 'sasl_plaintext', 'sasl.mechanisms': 'PLAIN', ...user });
    expect(jaas).toEqual(plain);
  });

  it('reads quotes and backslashes of a JAAS line', async () => {
    const { connection } = await settings({
      'security.protocol': 'sasl_plaintext',
      'sasl.mechanism': 'SCRAM-SHA-512',
      'sasl.jaas.config':
        'org.apache.kafka.common.security.scram.ScramLoginModule required\n username=\'a b\'\n password="x\\"y\\\\z=1;";',
    });
    expect(connection.sasl).toEqual({ mechanism: 'SCRAM-SHA-512', username: 'a b', password: 'x"y\\z=1;' });
  });

  it('takes the log-in of the topic over that of the server', async () => {
    const { connection } = await settings(
      { 'security.protocol': 'sasl_plaintext', 'sasl.mechanism': 'SCRAM-SHA-256', ...user },
      { 'sasl.jaas.config': 'x.ScramLoginModule required username="v" password="q";' },
    );
    expect(connection.sasl).toEqual({ mechanism: 'SCRAM-SHA-256', username: 'v', password: 'q' });
  });

  it('hands a bearer token to the data path', async () => {
    const { connection, rdkafka } = await settings({
      'security.protocol': 'sasl_plaintext',
      'sasl.mechanism': 'OAUTHBEARER',
      'sasl.oauthbearer.token': 'abc',
    });
    expect(connection.sasl?.bearer).toMatchObject({ kind: 'text', token: 'abc' });
    const from = async (more: Record<string, string>) =>
      (await settings({ 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'OAUTHBEARER', ...more })).connection.sasl;
    const jaas = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required ;';
    expect(await from({ 'sasl.oauthbearer.token.command': 'get-token' })).toMatchObject({
      bearer: { kind: 'command', command: 'get-token', where: 'kafka.serverOptions.sasl.oauthbearer.token.command' },
    });
    for (const key of ['sasl.oauthbearer.token.file', 'sasl.oauthbearer.token.endpoint.url']) {
      expect(await from({ [key]: 'file:///run/token', 'sasl.jaas.config': jaas })).toMatchObject({
        bearer: { kind: 'file', path: '/run/token', where: `kafka.serverOptions.${key}` },
      });
    }
    expect(JSON.stringify(rdkafka)).not.toContain('abc');
  });

  it('reads PEM files for the data path and names them, absolute, to librdkafka', async () => {
    const authority = await makeAuthority(folder, 'ca');
    const { store } = await issueCertificate(authority, folder, 'client', { passphrase: 'opens' });
    const [ca, client] = await Promise.all([authority.certificate, store].map((path) => readFile(path, 'utf8')));
    const { connection, rdkafka } = await settings({
      'security.protocol': 'SSL',
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': 'ca.pem',
      'ssl.certificate.location': 'client.store.pem',
      'ssl.key.location': 'client.store.pem',
      'ssl.key.password': 'opens',
      'ssl.endpoint.identification.algorithm': '',
      'enable.ssl.certificate.verification': 'false',
    });
    expect(connection.tls).toEqual({
      ca,
      cert: client,
      key: client,
      passphrase: 'opens',
      checkHostName: false,
      verify: false,
    });
    expect(rdkafka).toMatchObject({
      'security.protocol': 'ssl',
      'ssl.ca.location': `${folder}/ca.pem`,
      'ssl.certificate.location': `${folder}/client.store.pem`,
      'ssl.key.location': `${folder}/client.store.pem`,
      'ssl.key.password': 'opens',
      'ssl.endpoint.identification.algorithm': 'none',
      'enable.ssl.certificate.verification': false,
    });
  });

  it('opens certificates and keys before a broker is asked, and says which cannot be used', async () => {
    const authority = await makeAuthority(folder, 'ca');
    await issueCertificate(authority, folder, 'locked', { passphrase: 'opens' });
    await issueCertificate(authority, folder, 'other');
    await write('broken.pem', PEM);
    const client = { 'security.protocol': 'SSL', 'ssl.certificate.location': 'locked.pem' };
    const locked = { ...client, 'ssl.key.location': 'locked.key' };
    const cases: [Record<string, unknown>, string][] = [
      [{ ...locked, 'ssl.key.password': 'opens not' }, 'ssl.key.location cannot be used: ssl.key.password does not'],
      [locked, 'ssl.key.location cannot be used: it is encrypted; set ssl.key.password'],
      [
        { ...client, 'ssl.key.location': 'other.key' },
        'ssl.key.location cannot be used: it is not the key of the cert',
      ],
      [{ 'security.protocol': 'SSL', 'ssl.ca.location': 'broken.pem' }, 'ssl.ca.location cannot be used: ERR_OSSL'],
    ];
    for (const [server, message] of cases) {
      const error = await errorOf(() => settings(server));
      expect(error).toContain(`CONFIG_INVALID: kafka.serverOptions.${message}`);
      expect(error).not.toContain('opens not');
    }
  });

  it('notes settings that the protocol leaves without effect', async () => {
    const { notes, connection } = await settings({ ...user, 'ssl.ca.pem': PEM });
    expect(connection).toMatchObject({ tls: null, sasl: null });
    expect(notes).toEqual(
      ['sasl.username', 'sasl.password', 'ssl.ca.pem'].map(
        (key) => `kafka.serverOptions.${key} has no effect: security.protocol is plaintext`,
      ),
    );
  });

  it.each([
    [
      { 'security.protocol': 'TLS' },
      'kafka.serverOptions.security.protocol is "TLS"; it must be one of plaintext, ssl, sasl_plaintext, sasl_ssl',
    ],
    [
      { 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'GSSAPI' },
      'kafka.serverOptions.sasl.mechanism: Kerberos (GSSAPI) is not in this version; brokers can offer PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER beside it',
    ],
    [
      { 'security.protocol': 'SASL_SSL', ...user },
      'sasl.mechanism is missing; it must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER',
    ],
    [
      { 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'PLAIN', 'sasl.username': 'u' },
      'sasl.password is missing; sasl.mechanism PLAIN needs it',
    ],
    [
      { 'security.protocol': 'SSL', 'ssl.ca.location': 'gone.pem' },
      `cannot read ${folder}/gone.pem, which kafka.serverOptions.ssl.ca.location names: there is no such file`,
    ],
    [
      { 'security.protocol': 'SSL', 'ssl.certificate.pem': PEM },
      'kafka.serverOptions.ssl.certificate.pem is set without ssl.key.location; a client certificate needs both',
    ],
    [
      { 'security.protocol': 'SSL', 'ssl.ca.pem': PEM, 'ssl.ca.location': 'x' },
      'kafka.serverOptions.ssl.ca.location and kafka.serverOptions.ssl.ca.pem are both set; keep one of them',
    ],
    [
      { 'security.protocol': 'SSL', 'ssl.ca.pem': 'MIIB' },
      'kafka.serverOptions.ssl.ca.pem is not PEM text (-----BEGIN ...); turn a PKCS#12 store into it with "openssl pkcs12 -in STORE.p12 -nodes -out STORE.pem"',
    ],
    [
      { 'ssl.truststore.location': '/t.jks' },
      'kafka.serverOptions.ssl.truststore.location: Java key stores cannot be read here: convert with "keytool -importkeystore -srckeystore STORE.jks -destkeystore STORE.p12 -deststoretype PKCS12", then "openssl pkcs12 -in STORE.p12 -nodes -out STORE.pem", and name the PEM file in ssl.ca.location (trust store) or ssl.certificate.location and ssl.key.location (key store)',
    ],
    [
      { 'sasl.jaas.config': 'org.example.OAuthBearerLoginModule required clientId="a" clientSecret="b";' },
      'kafka.serverOptions.sasl.jaas.config is no JAAS line that can be used here; expected PlainLoginModule or ScramLoginModule, then "required", username="..." and password="..."; or set sasl.mechanism, sasl.username and sasl.password',
    ],
    [
      { 'sasl.oauthbearer.method': 'oidc' },
      'kafka.serverOptions.sasl.oauthbearer.method: tokens are not fetched here: let a command print one (sasl.oauthbearer.token.command), or another program renew a file (sasl.oauthbearer.token.file)',
    ],
  ])('refuses %o', async (server, message) => {
    expect(await errorOf(() => settings(server))).toBe(`CONFIG_INVALID: ${message}`);
  });
});
