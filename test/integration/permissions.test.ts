import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Cluster } from '../../src/kafka/cluster.ts';
import { openGroupMember } from '../../src/stream/groupMember.ts';
import type { GroupMember } from '../../src/stream/types.ts';
import type { ProgramResult } from '../helpers/cache.ts';
import { runCommand, writeConfig } from '../helpers/command.ts';
import { connectionSettings } from '../helpers/connectionSettings.ts';
import { type Grant, grant, login, PASSWORDS } from '../helpers/secureBroker.ts';
import { useSecureRuns } from '../helpers/secureRuns.ts';
import { randomName } from '../helpers/topics.ts';
import { waitFor } from '../helpers/wait.ts';

/** What users may do at a real broker and what the command says they may not, and who may read the files it leaves. */

const secure = useSecureRuns();
const permit = (...grants: Grant[]) => grant(secure().kafka.cluster.bootstrapServers, grants);

describe('permissions', () => {
  test('none to read the topic: named', async () => {
    const options = login('PLAIN', 'noRead');
    const { topic } = secure().few;
    await permit({ user: 'noRead', on: 'TOPIC', name: topic, may: 'DESCRIBE' });
    await secure().expectRefused({ listener: 'LOGIN', options }, new RegExp(`Read .*topic ${topic}`, 'i'));
  });

  test('none to see the topic: named, or not found', async () => {
    const hidden = await secure().topics.create('hidden');
    await secure().expectRefused({ listener: 'LOGIN', options: login('PLAIN', 'noRead') }, new RegExp(hidden), {
      topic: hidden,
    });
  });

  test('none on the cluster: sizes are estimated from a sample', async () => {
    await permit({ user: 'reader', on: 'TOPIC', name: secure().few.topic, may: 'READ' });
    await secure().expectOffloaded({ listener: 'LOGIN', options: login('PLAIN', 'reader'), mode: 'FILE' });
  });

  test('to write the offsets topic: asked for step by step', async () => {
    const offsets = secure().topics.reserve('offsets');
    const attempt = { listener: 'LOGIN', options: login('PLAIN', 'reader'), mode: 'STREAM', offsets } as const;
    const allow = (may: 'READ' | 'WRITE' | 'CREATE') => permit({ user: 'reader', on: 'TOPIC', name: offsets, may });
    await secure().expectRefused(attempt, new RegExp(`permission Describe on topic ${offsets}`));
    await allow('READ');
    await secure().expectRefused(attempt, new RegExp(`create topic ${offsets}.*authoriz`, 'i'));
    await allow('CREATE');
    await secure().expectRefused(attempt, new RegExp(`transactional id kafkaload/${offsets}/one.*authoriz`, 'i'));
    const name = `kafkaload/${offsets}/one`;
    await permit({ user: 'reader', on: 'TRANSACTIONAL_ID', name, may: 'WRITE' });
    await secure().expectRefused(attempt, new RegExp(`write to topic ${offsets}.*authoriz`, 'i'), {
      logged: /warning: the run record stays: .*Producer attempted a transactional operation in an invalid state/,
    });
    await allow('WRITE');
    await secure().expectOffloaded(attempt);
  });
});

test('permissions of a member of a group are asked for one by one', async () => {
  const { topic } = secure().few;
  const groupId = randomName('group');
  const sasl = { mechanism: 'PLAIN', username: 'noRead', password: PASSWORDS.noRead } as const;
  const cluster = new Cluster({ ...connectionSettings(secure().kafka.cluster.listener('LOGIN')), sasl });
  const timeouts = { sessionTimeoutMs: 10_000, heartbeatIntervalMs: 500, rebalanceTimeoutMs: 10_000 };
  const ignore = async (): Promise<void> => {};
  let isAssigned: boolean = false;
  const assigned = async (): Promise<void> => {
    isAssigned = true;
  };
  const join = (): Promise<GroupMember> =>
    openGroupMember({
      ...{ cluster, settings: { groupId, instanceId: null, ...timeouts } },
      topics: async () => [{ topic, topicId: null, partitions: [0] }],
      listener: { assigned, revoked: ignore, lost: ignore },
      signal: new AbortController().signal,
    });
  const missing = (right: string) =>
    expect.objectContaining({
      code: 'NOT_AUTHORIZED',
      message: expect.stringContaining(`the user needs the permission ${right} (kafka-acls)`),
    });
  await expect(join()).rejects.toThrow(missing(`Read on group ${groupId}`));
  await permit({ user: 'noRead', on: 'GROUP', name: groupId, may: 'DESCRIBE' });
  await expect(join()).rejects.toThrow(missing(`Read on group ${groupId}`));
  await permit({ user: 'noRead', on: 'GROUP', name: groupId, may: 'READ' });
  const member = await join();
  try {
    await waitFor('the partition', () => isAssigned);
    await expect(member.commit([{ topic, partition: 0, offset: 1 }])).rejects.toThrow(
      missing(`Read on topic ${topic}`),
    );
    expect(member.signal.aborted).toBe(false);
  } finally {
    await member.close();
    cluster.close();
  }
});

describe('permissions to load', () => {
  test('are asked for one by one, and with all that were asked for it goes', async () => {
    const target = secure().topics.reserve('written');
    const progress = secure().topics.reserve('progress');
    const asked: string[] = [];
    const kinds = { topic: 'TOPIC', 'transactional id': 'TRANSACTIONAL_ID' } as const;
    for (;;) {
      const { code, stderr } = await attemptLoad(target, progress);
      if (code === 0) break;
      expect(code, stderr).toBe(1);
      const [, right = '', kind = '', name = ''] =
        /the user needs the permission (\w+) on (topic|transactional id) ([^\s,]+)/.exec(stderr) ?? [];
      expect(kind, stderr).not.toBe('');
      expect(asked, stderr).not.toContain(`${right} on ${name}`);
      asked.push(`${right} on ${name}`);
      const may = right.toUpperCase() as Grant['may'];
      await permit({ user: 'writer', on: kinds[kind as keyof typeof kinds], name, may });
    }
    expect(asked).toEqual(
      expect.arrayContaining([
        `Create on ${target}`,
        `Write on ${target}`,
        `Create on ${progress}`,
        `Write on ${progress}`,
      ]),
    );
  });
});

test('files of state are readable by their owner alone, data by the umask', async () => {
  const { code, stderr, work } = await secure().attempt({ listener: 'PLAINTEXT', options: {} });
  expect(code, stderr).toBe(0);
  const modes = async (path: string): Promise<number[]> => {
    const names = await readdir(path, { withFileTypes: true });
    const files = names.filter((entry) => entry.isFile());
    return await Promise.all(files.map(async ({ name }) => (await stat(join(path, name))).mode & 0o777));
  };
  const state = await modes(join(work, 'offsets'));
  expect(state.length).toBeGreaterThan(1);
  expect(new Set(state)).toEqual(new Set([0o600]));
  expect(new Set(await modes(join(work, 'out')))).toEqual(new Set([0o666 & ~process.umask()]));
});

/** Loads three rows as the user `writer`. */
async function attemptLoad(target: string, progress: string): Promise<ProgramResult> {
  const work = join(secure().folder, randomName('work'));
  const servers = secure().kafka.cluster.listener('LOGIN');
  await mkdir(work);
  await writeFile(join(work, 'in.csv'), 'key,value\n1,a\n2,b\n3,c\n');
  const conf = await writeConfig(work, {
    bootstrapServers: servers,
    mode: 'FILE',
    offsets: join(work, 'offsets'),
    topics: { copy: { topicName: target } },
    more: { progressTopic: progress, serverOptions: { 'bootstrap.servers': servers, ...login('PLAIN', 'writer') } },
  });
  const from = ['--path', 'in.csv', '--format', 'csv', '--options', 'header=true'];
  return await runCommand([...from, '--write-config', 'copy', '--conf', conf], { cwd: work });
}
