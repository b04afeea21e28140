import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { sleep } from '@pilothouse/base';
import { loadKubeconfig } from '@pilothouse/client';
import { createEtcdClient } from '@pilothouse/etcd-client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { planeStatus } from '../commands/status.ts';
import { CommandError } from '../errors.ts';
import { kubeconfigPath, pkiDirectory } from '../plane/layout.ts';
import { setProgram } from '../plane/programs.ts';
import { isAlive, readState } from '../plane/state-file.ts';
import type { PlaneState } from '../plane/state-file.ts';
import { pilothouseCommand } from '../self.ts';
import { cannotCutLoopback, cutLoopback, runBeside } from './privileges.ts';
import type { Cut, Target, TargetProcess, Undo } from './target.ts';

const send = (pid: number, signal: NodeJS.Signals): void => {
  if (pid > 0 && isAlive(pid)) process.kill(pid, signal);
};

/** `pilothouse` itself, to its end, beside the load. */
function pilothouse(...args: string[]): Promise<string> {
  const [program, ...rest] = pilothouseCommand() as [string, ...string[]];
  return runBeside(program, [...rest, ...args]);
}

/** A plane that `pilothouse up` runs on this host. */
export function localTarget(dataDir: string, next: string): Target {
  const state = (): PlaneState => {
    const found = readState(dataDir);
    if (!found || !isAlive(found.supervisorPid))
      throw new CommandError(
        `No plane runs in "${dataDir}"; start one with: pilothouse up --data-dir ${dataDir}`,
      );
    return found;
  };
  const first = state();
  const record = (name: string): { pid: number; address: string } => {
    const found = state().processes.find((each) => each.name === name);
    return found ?? { pid: 0, address: '' };
  };
  const peerPort = (name: string): number => {
    const found = readFileSync(`/proc/${record(name).pid}/cmdline`, 'utf8')
      .split('\0')
      .find((each) => each.startsWith('--listen-peer-urls='));
    return Number(found?.slice(found.lastIndexOf(':') + 1));
  };
  const stores = (): string[] =>
    state()
      .processes.filter((each) => each.component === 'store')
      .map((each) => each.name);
  const clockFile = (name: string): string | undefined =>
    /FAKETIME_TIMESTAMP_FILE=([^\0]+)/.exec(readFileSync(`/proc/${record(name).pid}/environ`, 'utf8'))?.[1];

  let access = loadKubeconfig(kubeconfigPath(dataDir, 'admin'));
  const target: Target = {
    kind: 'local',
    flag: `--data-dir ${dataDir}${next === '' ? '' : ` --next ${next}`}`,
    get access() {
      return access;
    },
    hasNodes: first.processes.some((each) => each.component === 'node-agent'),
    async processes(): Promise<readonly TargetProcess[]> {
      const { processes } = await planeStatus(dataDir, state());
      const found = new Set(processes.map((each) => each.name));
      // Between its end and its next start the supervisor does not count a process.
      const missing = first.processes.filter((each) => !found.has(each.name));
      return [...processes, ...missing.map((each) => ({ ...each, pid: 0, ready: false }))];
    },
    kill(names) {
      for (const name of names) send(record(name).pid, 'SIGKILL');
      return Promise.resolve();
    },
    freeze(names): Promise<Undo> {
      const pids = names.map((name) => record(name).pid);
      for (const pid of pids) send(pid, 'SIGSTOP');
      return Promise.resolve(() => {
        for (const pid of pids) send(pid, 'SIGCONT');
        return Promise.resolve();
      });
    },
    async restart(name) {
      const { pid } = record(name);
      send(pid, 'SIGTERM');
      for (let turn = 0; turn < 600 && isAlive(pid); turn++) await sleep(nodeClock, 50);
      if (isAlive(pid)) throw new CommandError(`${name} (${pid}) does not end on SIGTERM`);
    },
    cannotCut: () => Promise.resolve(cannotCutLoopback()),
    cut: (name: string, how: Cut) =>
      Promise.resolve(
        cutLoopback({
          pid: record(name).pid,
          peerPort: peerPort(name),
          otherPeerPorts: stores()
            .filter((each) => each !== name)
            .map(peerPort),
          how,
        }),
      ),
    cannotReplace: () =>
      stores().length < 3 ? 'a member can be replaced only where others remain' : undefined,
    async replaceMember(name) {
      const { supervisorPid } = state();
      const { pid, address } = record(name);
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
        .split('\0')
        .filter((each) => each !== '');
      const url = (flag: string): string =>
        argv.find((each) => each.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? '';
      const endpoints = stores()
        .filter((each) => each !== name)
        .map((each) => `https://${record(each).address}`);
      const pki = (file: string): string =>
        readFileSync(path.join(pkiDirectory(dataDir), 'etcd', file), 'utf8');
      const client = createEtcdClient({
        endpoints,
        tls: { ca: pki('ca.crt'), cert: pki('client.crt'), key: pki('client.key') },
        clock: nodeClock,
        random: nodeRandom,
      });
      // The supervisor must not start it again before its new identity is there.
      process.kill(supervisorPid, 'SIGSTOP');
      try {
        send(pid, 'SIGKILL');
        const place = url('--data-dir');
        const aside = `${place}.lost`;
        rmSync(aside, { recursive: true, force: true });
        if (existsSync(place)) renameSync(place, aside);
        rmSync(aside, { recursive: true, force: true });
        process.kill(supervisorPid, 'SIGCONT');
        // It refuses to start as who it was; the plane's supervisor keeps trying.
        const members = async (): Promise<readonly { ID: bigint; name: string; isLearner: boolean }[]> =>
          (await client.memberList({ timeoutMs: 5000 })).members;
        const refused = await waitForLog(
          path.join(dataDir, 'logs', `${name}.log`),
          'has already been bootstrapped',
        );
        if (!refused) throw new CommandError(`${name} came back with an empty data directory as who it was`);
        process.kill(supervisorPid, 'SIGSTOP');
        // The one that the supervisor started last ends by itself, or stays with the refusal.
        await startReplacement(argv, endpoints);
        process.kill(supervisorPid, 'SIGCONT');
        for (let turn = 0; turn < 120; turn++) {
          const own = (await members()).find((each) => each.name === name);
          if (own?.isLearner === true) await client.memberPromote(own.ID).catch(() => undefined);
          else if (own) return;
          await sleep(nodeClock, 250);
        }
        throw new CommandError(`${name} did not become a voter within 30 s (${address})`);
      } finally {
        send(supervisorPid, 'SIGCONT');
        client.close();
      }
    },
    cannotRotate: () => undefined,
    async rotateCertificates() {
      const directory = pkiDirectory(dataDir);
      const addresses = state().processes.map((each) => each.address.slice(0, each.address.lastIndexOf(':')));
      await pilothouse(
        'certs',
        'renew',
        `--cert-dir=${directory}`,
        `--server=${first.server}`,
        `--hosts=${[...new Set(addresses)].join(',')}`,
        '--service-address=10.0.0.1',
      );
      return 'all leaf certificates';
    },
    async replaceAuthorities(step) {
      for (const name of ['trust', 'sign', 'drop']) {
        step(name);
        await pilothouse('certs', 'rotate-ca', '--data-dir', dataDir, '--until', name);
        access = loadKubeconfig(kubeconfigPath(dataDir, 'admin'));
      }
    },
    cannotRestore: () =>
      first.arguments === undefined ? 'the plane was started by an older version: restart it' : undefined,
    async restoreFromBackup({ backedUp, down }) {
      const file = path.join(dataDir, 'drill-backup.db');
      rmSync(file, { force: true });
      const { arguments: given = [] } = state();
      const value = (name: string, fallback: string): string => {
        for (const [index, each] of given.entries()) {
          if (each === `--${name}`) return given[index + 1] ?? fallback;
          if (each.startsWith(`--${name}=`)) return each.slice(name.length + 3);
        }
        return fallback;
      };
      await pilothouse('backup', file, '--data-dir', dataDir);
      await backedUp();
      await down();
      const members = String(stores().length);
      await pilothouse('down', '--data-dir', dataDir);
      await pilothouse(
        'restore',
        file,
        '--data-dir',
        dataDir,
        '--members',
        members,
        '--port',
        value('port', '6443'),
      );
      await pilothouse('up', ...given.filter((each) => !/^--?detach(=.*)?$/.test(each)), '--detach');
      rmSync(file, { force: true });
    },
    cannotMoveClock: () =>
      Promise.resolve(
        stores().every((each) => clockFile(each) !== undefined)
          ? undefined
          : 'the plane was not started with --faketime (libfaketime)',
      ),
    moveClock(name, seconds) {
      const file = clockFile(name) as string;
      writeFileSync(file, `${seconds >= 0 ? '+' : ''}${seconds}\n`);
      return Promise.resolve(() => Promise.resolve(writeFileSync(file, '+0\n')));
    },
    cannotUpgrade: () => {
      if (next === '') return '--next does not name the next version’s pilothouse program';
      return existsSync(next) ? undefined : `there is no program "${next}" (--next)`;
    },
    upgrade(name) {
      setProgram(dataDir, name, path.resolve(next));
      return target.restart(name);
    },
    redis() {
      if (record('redis').pid === 0)
        return Promise.resolve(
          'the plane has no Redis: start it with pilothouse up --redis $(which redis-server)',
        );
      return Promise.resolve({
        stop() {
          // It hangs, which is worse than to be gone; then it dies and the supervisor starts it with nothing in it.
          const { pid } = record('redis');
          send(pid, 'SIGSTOP');
          return Promise.resolve(() => Promise.resolve(send(pid, 'SIGKILL')));
        },
      });
    },
  };
  return target;
}

async function waitForLog(file: string, text: string): Promise<boolean> {
  for (let turn = 0; turn < 120; turn++) {
    if (readFileSync(file, 'utf8').slice(-20_000).includes(text)) return true;
    await sleep(nodeClock, 100);
  }
  return false;
}

/** Lets a member make its new identity under `--replace-lost-member`, and ends it, so that the supervisor's next start finds it. */
async function startReplacement(argv: readonly string[], endpoints: readonly string[]): Promise<void> {
  const { spawn } = await import('node:child_process');
  const [program, ...rest] = argv as [string, ...string[]];
  const child = spawn(program, [...rest, `--replace-lost-member=${endpoints.join(',')}`], {
    stdio: 'ignore',
  });
  const dataDir = rest.find((each) => each.startsWith('--data-dir='))?.slice('--data-dir='.length) ?? '';
  for (let turn = 0; turn < 400; turn++) {
    if (existsSync(path.join(dataDir, 'member', 'identity.json'))) break;
    if (child.exitCode !== null)
      throw new CommandError(`The replacement ended with status ${child.exitCode}`);
    await sleep(nodeClock, 50);
  }
  await sleep(nodeClock, 1000);
  child.kill('SIGTERM');
  for (let turn = 0; turn < 200 && child.exitCode === null && child.signalCode === null; turn++)
    await sleep(nodeClock, 50);
  child.kill('SIGKILL');
}
