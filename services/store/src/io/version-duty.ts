import type { Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { decideClusterVersion, isTooOldFor } from '../core/cluster-version.ts';
import { hexId } from '../core/index.ts';
import { versions, type StoreService } from './rpc/store-service.ts';

/** As etcd's monitor. */
const lookMs = 4000;
const askTimeoutMs = 2000;

/** Asks a member's peer URL for a path and resolves to the body. Rejects when it does not answer. */
export type AskPeer = (url: string, timeoutMs: number) => Promise<string>;

/** Follows the versions of the members while this one leads: raises the cluster's version when all are newer, carries out a downgrade, tells what differs. */
export class VersionDuty {
  readonly #service: StoreService;
  readonly #ask: AskPeer;
  readonly #own: string;
  /** Last told versions, so that a difference is told once. */
  #told = '';
  #timer: Timer | undefined;
  #isLooking = false;

  constructor(service: StoreService, ask: AskPeer, own: string = versions.server) {
    this.#service = service;
    this.#ask = ask;
    this.#own = own;
  }

  start(): void {
    this.#timer = this.#service.options.clock.setInterval(() => void this.look(), lookMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** One look. Never rejects. */
  async look(): Promise<void> {
    const { machine, replication, options } = this.#service;
    if (this.#isLooking || replication.status().role !== 'leader') return;
    this.#isLooking = true;
    try {
      const members = machine.members.list();
      const found = await Promise.all(
        members.map(({ id, peerUrls }) =>
          id === options.memberId ? Promise.resolve(this.#own) : this.#versionOf(peerUrls),
        ),
      );
      this.#tell(members.map(({ id }, index) => ({ id, version: found[index] })));
      const decision = decideClusterVersion({
        cluster: machine.clusterVersion,
        downgradeTarget: machine.downgradeTarget,
        members: found,
      });
      if (decision.kind === 'keep') return;
      if (decision.kind === 'set') {
        options.logger.info('updating cluster version', {
          from: machine.clusterVersion,
          to: decision.version,
        });
        await this.#service.propose({ clusterVersionSet: { ver: decision.version } });
      } else {
        options.logger.info('the cluster has been downgraded', { 'cluster-version': decision.version });
        await this.#service.propose({ downgradeInfoSet: { enabled: false } });
      }
    } catch (error) {
      options.logger.debug('failed to follow the versions of the members', { error: errorMessage(error) });
    } finally {
      this.#isLooking = false;
    }
  }

  async #versionOf(urls: readonly string[]): Promise<string | undefined> {
    for (const url of urls)
      try {
        const answer = JSON.parse(await this.#ask(`${url}/version`, askTimeoutMs)) as {
          etcdserver?: unknown;
        };
        if (typeof answer.etcdserver === 'string') return answer.etcdserver;
      } catch {
        // The next URL, or it does not tell.
      }
    return undefined;
  }

  #tell(members: readonly { readonly id: bigint; readonly version: string | undefined }[]): void {
    const others = members.filter(({ version }) => version !== undefined && version !== this.#own);
    const text = others.map(({ id, version }) => `${id}=${version}`).join();
    if (text === this.#told) return;
    this.#told = text;
    for (const { id, version = '' } of others)
      this.#service.options.logger.warn(
        isTooOldFor(this.#own, version)
          ? 'leader found higher-versioned member'
          : 'members run different versions',
        {
          'local-member-version': this.#own,
          'remote-member-id': hexId(id),
          'remote-member-version': version,
        },
      );
  }
}
