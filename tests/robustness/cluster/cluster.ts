import { rmSync } from 'node:fs';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { stationsMax } from '../sandbox/sandbox.ts';
import { gatewayCall, memberStatus } from './gateway.ts';
import type { MemberStatus } from './gateway.ts';
import { Member } from './member.ts';
import type { Target } from './target.ts';

export interface ClusterOptions {
  readonly sandbox: Sandbox;
  readonly target: Target;
  readonly size: number;
  readonly flags: readonly string[];
  readonly hasFakeClock: boolean;
  /** First port where members share an address. */
  readonly basePort: number;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The members of one round. */
export class Cluster {
  readonly members: Member[] = [];
  readonly options: ClusterOptions;
  #stations = 0;

  constructor(options: ClusterOptions) {
    this.options = options;
  }

  async #newMember(): Promise<Member> {
    const { sandbox, target, flags, hasFakeClock, basePort } = this.options;
    const station = ++this.#stations;
    if (station > stationsMax) throw new Error('No station is left for another member');
    const address = sandbox.address(station);
    const isShared = address === '127.0.0.1';
    const port = (which: number): number => (isShared ? basePort + 2 * station + which : 2379 + which);
    return new Member({
      station,
      sandbox,
      target,
      flags,
      hasFakeClock,
      disk: await sandbox.openDisk(`m${station}`),
      clientUrl: `http://${address}:${port(0)}`,
      peerUrl: `http://${address}:${port(1)}`,
    });
  }

  /** Makes and starts all members; resolves when they have a leader and answer. */
  async start(): Promise<void> {
    for (let at = 0; at < this.options.size; at++) this.members.push(await this.#newMember());
    const all = this.#initialCluster(this.members);
    for (const member of this.members) {
      member.bootstrap = [
        `--initial-cluster=${all}`,
        '--initial-cluster-state=new',
        '--initial-cluster-token=robust',
      ];
      member.start();
    }
    // A busy machine takes its time to start processes; how soon a cluster comes back after faults is asked elsewhere.
    await this.healthy(120_000);
  }

  #initialCluster(members: readonly Member[]): string {
    return members.map(({ name, options }) => `${name}=${options.peerUrl}`).join(',');
  }

  get running(): Member[] {
    return this.members.filter((member) => member.isRunning && !member.isPaused);
  }

  async statuses(): Promise<Map<Member, MemberStatus>> {
    const result = new Map<Member, MemberStatus>();
    await Promise.all(
      this.running.map(async (member) => {
        const status = await memberStatus(member.clientUrl);
        if (status) result.set(member, status);
      }),
    );
    return result;
  }

  /** Whoever leads the newest term. */
  async leader(): Promise<Member | undefined> {
    let best: { member: Member; term: number } | undefined;
    for (const [member, { isLeader, term }] of await this.statuses())
      if (isLeader && term > (best?.term ?? 0)) best = { member, term };
    return best?.member;
  }

  /** Every member that is not meant to be down writes and reads through the cluster. Throws when one cannot in time. */
  async healthy(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (const member of this.members) {
      if (member.isExpectedDown) continue;
      for (;;) {
        try {
          const key = Buffer.from(`alive/${member.name}`).toString('base64');
          await gatewayCall(member.clientUrl, 'kv/put', { key, value: key }, 2000);
          await gatewayCall(member.clientUrl, 'kv/range', { key }, 2000);
          break;
        } catch (error) {
          if (performance.now() > deadline)
            throw new Error(
              `${member.name} does not serve ${withinMs} ms after the faults ended: ${String(error)}`,
            );
          await pause(200);
        }
      }
    }
  }

  /** Any member that answers; after a fault it may take a while until one does. Throws when none has in 20 s. */
  async anyUrl(except?: Member): Promise<string> {
    for (const deadline = performance.now() + 20_000; performance.now() < deadline; await pause(200)) {
      const statuses = await this.statuses();
      for (const [member] of statuses) if (member !== except) return member.clientUrl;
    }
    throw new Error('No member answers');
  }

  /** Removes a member by its ID, empties its disk, and lets it join anew under the same name. */
  async replace(member: Member, id: string): Promise<void> {
    await member.kill();
    const url = await this.anyUrl(member);
    await this.#reconfigure(url, 'cluster/member/remove', { ID: id });
    rmSync(member.dataDirectory, { recursive: true, force: true });
    await this.#join(member, url);
  }

  async #join(member: Member, url: string): Promise<void> {
    await this.#reconfigure(url, 'cluster/member/add', { peerURLs: [member.options.peerUrl] });
    const others = this.members.filter((each) => each !== member);
    member.bootstrap = [
      `--initial-cluster=${this.#initialCluster([...others, member])}`,
      '--initial-cluster-state=existing',
    ];
    member.start();
  }

  /** Changes are refused until all members have told their names and have been connected for a while. */
  async #reconfigure(url: string, method: string, body: object): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await gatewayCall(url, method, body, 5000);
        return;
      } catch (error) {
        if (/not found|already exists/.test(String(error)) && attempt > 0) return;
        if (attempt >= 20) throw error;
        await pause(500);
      }
    }
  }

  /** Adds one member, then removes the one with the ID. */
  async exchange(leaver: Member, id: string): Promise<void> {
    const joiner = await this.#newMember();
    await this.#join(joiner, await this.anyUrl(leaver));
    this.members.push(joiner);
    await this.healthy(20_000);
    await this.#reconfigure(await this.anyUrl(leaver), 'cluster/member/remove', { ID: id });
    leaver.isExpectedDown = true;
    await leaver.exitWithin(3000);
    await leaver.kill();
    this.members.splice(this.members.indexOf(leaver), 1);
  }

  async idOf(member: Member): Promise<string> {
    interface Members {
      readonly members: readonly { readonly ID: string; readonly name?: string }[];
    }
    const { members } = await gatewayCall<Members>(await this.anyUrl(member), 'cluster/member/list', {});
    const id = members.find(({ name }) => name === member.name)?.ID;
    if (id === undefined) throw new Error(`${member.name} is not in the member list`);
    return id;
  }

  async kill(): Promise<void> {
    await Promise.all(this.members.map((member) => (member.resume(), member.kill())));
  }
}
