import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Logger } from '@pilothouse/base';
import { FakeClock } from '@pilothouse/testkit';
import type { Command } from '../core/index.ts';
import { refuseTooOld } from './bootstrap.ts';
import { StartupError } from './startup-error.ts';
import { VersionDuty } from './version-duty.ts';
import type { StoreService } from './rpc/store-service.ts';

/** A leader of three whose others answer with what the test says; undefined: not at all. */
class Leader {
  clusterVersion: string | undefined = '3.7.0';
  downgradeTarget: string | undefined;
  role = 'leader';
  readonly others = new Map<string, string | undefined>([
    ['http://b', '3.7.1'],
    ['http://c', '3.7.1'],
  ]);
  readonly warned: string[] = [];
  readonly duty: VersionDuty;

  constructor(own: string) {
    const logger: Logger = {
      debug: () => undefined,
      info: () => undefined,
      warn: (message, fields) =>
        void this.warned.push(`${message} ${String(fields?.['remote-member-version'])}`),
      error: () => undefined,
      child: () => logger,
    };
    const leader = this;
    const service = {
      machine: {
        members: {
          list: () =>
            ['http://a', 'http://b', 'http://c'].map((url, index) => ({
              id: BigInt(index + 1),
              peerUrls: [url],
            })),
        },
        get clusterVersion() {
          return leader.clusterVersion;
        },
        get downgradeTarget() {
          return leader.downgradeTarget;
        },
      },
      replication: { status: () => ({ role: this.role }) },
      options: { clock: new FakeClock(), logger, memberId: 1n },
      propose: (command: Partial<Command>) => {
        if (command.clusterVersionSet) this.clusterVersion = command.clusterVersionSet.ver;
        if (command.downgradeInfoSet?.enabled === false) this.downgradeTarget = undefined;
        return Promise.resolve();
      },
    } as unknown as StoreService;
    this.duty = new VersionDuty(
      service,
      (url) => {
        const version = this.others.get(url.replace(/\/version$/, ''));
        if (version === undefined) return Promise.reject(new Error('refused'));
        return Promise.resolve(JSON.stringify({ etcdserver: version }));
      },
      own,
    );
  }
}

test('the version rises when the last member was upgraded, and what differs is told once', async () => {
  const leader = new Leader('3.8.0');
  await leader.duty.look();
  await leader.duty.look();
  assert.equal(leader.clusterVersion, '3.7.0');
  assert.deepEqual(leader.warned, [
    'members run different versions 3.7.1',
    'members run different versions 3.7.1',
  ]);
  leader.others.set('http://b', '3.8.0');
  leader.others.set('http://c', undefined);
  await leader.duty.look();
  assert.equal(leader.clusterVersion, '3.7.0');
  leader.others.set('http://c', '3.9.0');
  await leader.duty.look();
  assert.equal(leader.clusterVersion, '3.8.0');
  assert.equal(leader.warned.at(-1), 'leader found higher-versioned member 3.9.0');
});

test('a downgrade is carried out and ends; a follower does nothing', async () => {
  const leader = new Leader('3.7.1');
  leader.downgradeTarget = '3.6.0';
  leader.role = 'follower';
  await leader.duty.look();
  assert.equal(leader.clusterVersion, '3.7.0');
  leader.role = 'leader';
  await leader.duty.look();
  assert.equal(leader.clusterVersion, '3.6.0');
  await leader.duty.look();
  assert.equal(leader.downgradeTarget, '3.6.0');
  const older = new Leader('3.6.9');
  older.clusterVersion = '3.6.0';
  older.downgradeTarget = '3.6.0';
  older.others.set('http://b', '3.6.9').set('http://c', '3.6.9');
  await older.duty.look();
  assert.equal(older.downgradeTarget, undefined);
  assert.equal(older.clusterVersion, '3.6.0');
});

test('data of a newer cluster are refused at the start', () => {
  assert.throws(() => refuseTooOld('3.8.0'), StartupError);
  refuseTooOld('3.7.0');
  refuseTooOld(undefined);
});
