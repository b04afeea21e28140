import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { run, type CommandResult } from '../checks.ts';
import { repository } from '../tools.ts';
import { Cluster, findEtcd, type EtcdPrograms, type Side } from './cluster.ts';
import { etcdctlAreas, type EtcdctlCase } from './etcdctl-cases.ts';
import { normalise, sortJson, sortLines, squeeze, type Outcome } from './normalise.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Longer than etcdctl waits by itself: on a busy machine a login, which costs a hash of a password, takes seconds. */
const patience = (args: readonly string[]): Record<string, string> =>
  args.some((arg) => /^--(?:command|dial)-timeout/.test(arg))
    ? {}
    : { ETCDCTL_COMMAND_TIMEOUT: '20s', ETCDCTL_DIAL_TIMEOUT: '10s' };

/** One cluster with the words that its commands have captured so far. */
class Bench {
  readonly side: Side;
  readonly cluster: Cluster;
  readonly #programs: EtcdPrograms;
  readonly #words: Record<string, string> = {};

  constructor(side: Side, port: number, programs: EtcdPrograms) {
    this.side = side;
    this.#programs = programs;
    this.#target = side === 'etcd' ? /\b3\.4(?:\.0)?\b/g : /\b3\.6(?:\.0)?\b/g;
    this.cluster = new Cluster({ side, programs, port, size: 3 });
  }

  async start(): Promise<void> {
    await this.cluster.start();
    for (const index of [0, 1, 2, 3]) {
      const { client, peer } = this.cluster.address(index);
      this.#words[`client${index}`] = client;
      this.#words[`peer${index}`] = peer;
    }
    this.#words['dir'] = this.cluster.directory;
    this.#words['target'] = this.side === 'etcd' ? '3.4.0' : '3.6.0';
  }

  /** Who leads may change; asked before each command that names it. */
  async #learnRoles(): Promise<void> {
    const answer = await this.#etcdctl(['endpoint', 'status', '-w', 'json']);
    const rows = JSON.parse(answer.stdout) as {
      Endpoint: string;
      Status: { header: { member_id: bigint | number }; leader: number };
    }[];
    const ids = [...answer.stdout.matchAll(/"member_id":(\d+)/g)].map(([, id]) => BigInt(id as string));
    const leaders = [...answer.stdout.matchAll(/"leader":(\d+)/g)].map(([, id]) => BigInt(id as string));
    rows.forEach(({ Endpoint }, index) => {
      const role = ids[index] === leaders[index] ? 'leader' : 'follower';
      this.#words[role] = Endpoint;
      this.#words[`${role}Id`] = (ids[index] as bigint).toString(16);
    });
    this.#words['voter'] = this.#words['leaderId'] as string;
  }

  #etcdctl(args: readonly string[], more: Partial<EtcdctlCase> = {}): Promise<CommandResult> {
    return run(this.#programs.etcdctl, args, {
      env: { ETCDCTL_ENDPOINTS: this.cluster.endpoints, ETCDCTL_API: '3', ...patience(args), ...more.env },
      ...(more.input === undefined ? {} : { input: more.input }),
      timeoutMs: more.untilMs ?? 30_000,
    });
  }

  async run(test: EtcdctlCase): Promise<Outcome> {
    const text = test.args.join(' ');
    if (/\{(leader|follower|voter)/.test(text)) await this.#learnRoles();
    const args = test.args.map((argument) =>
      argument.replace(/\{(\w+)\}/g, (_, word: string) => this.#words[word] ?? `no-${word}`),
    );
    if (test.startsMember) {
      const all = [0, 1, 2, 3].map((index) => `m${index}=${this.cluster.address(index).peer}`);
      await this.cluster.startMember(
        3,
        ['--initial-cluster', all.join(','), '--initial-cluster-state', 'existing'],
        false,
      );
      await pause(4000);
      // The commands go on asking the three first members.
      this.#fourth = this.cluster.members.pop();
    }
    let result = await this.#once(test, args);
    for (
      let tries = 0;
      test.retryUntil !== undefined && result.code !== test.retryUntil && tries < 30;
      tries++
    ) {
      await pause(500);
      result = await this.#once(test, args);
    }
    for (const [word, pattern] of Object.entries(test.capture ?? {}))
      this.#words[word] = pattern.exec(result.stdout)?.[1] ?? `no-${word}`;
    if (test.statusOnly) return { code: result.code, stdout: '', stderr: '' };
    const tidy = (output: string): string => {
      const plain = normalise(squeeze(sortJson(output)), this.#places()).replace(this.#target, '<target>');
      return test.sorted ? sortLines(plain) : plain;
    };
    return { code: result.code, stdout: tidy(result.stdout), stderr: tidy(result.stderr) };
  }

  #fourth: Cluster['members'][number] | undefined;

  #once(test: EtcdctlCase, args: readonly string[]): Promise<CommandResult> {
    if (test.program === 'etcdutl')
      return run(this.#programs.etcdutl, args, { timeoutMs: 30_000, cwd: this.cluster.directory });
    if (test.program === 'sh')
      return run('sh', ['-c', ...args], {
        env: { ETCDCTL: this.#programs.etcdctl, ETCDCTL_ENDPOINTS: this.cluster.endpoints },
        timeoutMs: test.untilMs ?? 30_000,
      });
    return this.#etcdctl(args, test);
  }

  /** The version to downgrade to, with and without the patch. */
  readonly #target: RegExp;

  #places(): Record<string, string> {
    const places: Record<string, string> = {
      [this.cluster.directory]: '<dir>',
    };
    for (const index of [0, 1, 2, 3]) {
      const { client, peer } = this.cluster.address(index);
      places[client.replace('http://', '')] = `<client${index}>`;
      places[peer.replace('http://', '')] = `<peer${index}>`;
    }
    return places;
  }

  async stop(): Promise<void> {
    await this.#fourth?.stop('SIGKILL');
    await this.cluster.stop();
  }
}

interface Row {
  readonly area: string;
  readonly command: string;
  tried: number;
  same: number;
  readonly differences: string[];
}

const same = (a: Outcome, b: Outcome): boolean =>
  a.code === b.code && a.stdout === b.stdout && a.stderr === b.stderr;

/** Runs every command against both clusters and writes docs/etcdctl.md. True when nothing differs unexplained. */
export async function etcdctlBattery(port: number, areas: readonly string[]): Promise<boolean> {
  const programs = await findEtcd();
  const theirs = new Bench('etcd', port, programs);
  const ours = new Bench('pilothouse', port + 20, programs);
  const rows: Row[] = [];
  let unexplained = 0;
  try {
    await Promise.all([theirs.start(), ours.start()]);
    for (const [area, cases] of Object.entries(etcdctlAreas)) {
      if (areas.length > 0 && !areas.some((wanted) => area.startsWith(wanted))) continue;
      for (const test of cases) {
        // Measurements must not disturb each other.
        const [wanted, got] = test.statusOnly
          ? [await theirs.run(test), await ours.run(test)]
          : await Promise.all([theirs.run(test), ours.run(test)]);
        let row = rows.find((other) => other.area === area && other.command === test.command);
        if (row === undefined)
          rows.push((row = { area, command: test.command, tried: 0, same: 0, differences: [] }));
        row.tried++;
        // A measurement may have met a busy moment; twice in a row it says something.
        if (same(wanted, got) || (test.statusOnly && same(wanted, await ours.run(test)))) {
          row.same++;
          continue;
        }
        const why = test.differs ?? knownDifference(test, wanted, got);
        if (why === undefined) unexplained++;
        row.differences.push(why ?? 'UNEXPLAINED');
        process.stdout.write(
          `${why === undefined ? 'DIFF' : 'diff'}  ${test.args.join(' ')}${why === undefined ? '' : ` (${why})`}\n` +
            `  etcd       ${wanted.code} ${JSON.stringify(wanted.stdout)} ${JSON.stringify(wanted.stderr)}\n` +
            `  pilothouse ${got.code} ${JSON.stringify(got.stdout)} ${JSON.stringify(got.stderr)}\n`,
        );
      }
    }
  } finally {
    await Promise.all([theirs.stop(), ours.stop()]);
  }
  const tried = rows.reduce((sum, row) => sum + row.tried, 0);
  const equal = rows.reduce((sum, row) => sum + row.same, 0);
  process.stdout.write(
    `${tried} commands, ${equal} same, ${tried - equal} differ, ${unexplained} of them unexplained\n`,
  );
  if (areas.length === 0)
    writeFileSync(path.join(repository, 'docs', 'etcdctl.md'), report(rows, tried, equal));
  return unexplained === 0;
}

/** Differences between etcd 3.5.1 and 3.7, by whose contract the store goes, that are not ours. */
function knownDifference(test: EtcdctlCase, wanted: Outcome, got: Outcome): string | undefined {
  const text = test.args.join(' ');
  if (/etcdserver: user name is empty/.test(got.stderr) && /member list|endpoint status/.test(text))
    return 'differs: with authentication on, only users may ask (as in 3.7); 3.5.1 answered everybody';
  if (
    /desc = auth: permission denied/.test(wanted.stderr) &&
    /etcdserver: permission denied/.test(got.stderr)
  )
    return 'differs: 3.5.1 sends the refusal as an unknown error with other words';
  if (/compaction/.test(text) && /permission denied/.test(got.stderr))
    return 'differs: only root may compact (as in 3.7); 3.5.1 let every user';
  if (/timetolive.*--keys/.test(text) && /permission denied/.test(got.stderr))
    return 'differs: the keys of a lease are told to those who may read them (as in 3.7); 3.5.1 told everybody';
  return undefined;
}

function report(rows: readonly Row[], tried: number, equal: number): string {
  const lines = [
    '# etcdctl, command by command',
    '',
    'Written by `npm run e2e -- etcdctl`: etcdctl and etcdutl 3.5.1 run each command against a cluster of three real etcd 3.5.1 members and',
    'against three members of our store, one after the other on both. Exit status, standard output and standard error are compared after',
    'addresses, IDs, times, sizes, raft terms and version numbers were replaced. "-w" rows stand for the formats simple, json, fields and table.',
    '',
    `${tried} calls, ${equal} the same, ${tried - equal} different.`,
  ];
  let area = '';
  for (const row of rows) {
    if (row.area !== area) {
      area = row.area;
      lines.push(
        '',
        `## ${area[0]?.toUpperCase()}${area.slice(1)}`,
        '',
        '| command | calls | |',
        '|---|---|---|',
      );
    }
    const verdict = row.same === row.tried ? 'same' : [...new Set(row.differences)].join('; ');
    lines.push(`| \`${row.command.replaceAll('|', '\\|')}\` | ${row.tried} | ${verdict} |`);
  }
  return `${lines.join('\n')}\n`;
}
