import type { Logger, Random } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { KubeObject } from '@pilothouse/apimachinery';
import { formatIp, hasReason, isConditionTrue, parseIp } from '@pilothouse/apimachinery';
import type { InternalClient } from '../../rest/rest-storage.ts';
import { CidrRange } from './cidr-range.ts';

export type IpFamily = 'IPv4' | 'IPv6';

const group = 'networking.k8s.io';

/** What went wrong; the text is upstream's, put behind "failed to allocate IP …: ". */
export class IpAllocationError extends Error {}

export interface IpOwner {
  readonly namespace: string;
  readonly name: string;
}

/**
 * Cluster IPs of Services. An address is taken by creating the IPAddress object of its name, which the store lets happen once, so any number
 * of servers may allocate at the same time.
 */
export class IpAllocator {
  readonly #client: () => InternalClient;
  readonly #configured: readonly CidrRange[];
  readonly #random: Random;
  readonly #logger: Logger;

  constructor(client: () => InternalClient, cidrs: readonly string[], random: Random, logger: Logger) {
    this.#client = client;
    this.#configured = cidrs.map((cidr) => new CidrRange(cidr));
    this.#random = random;
    this.#logger = logger;
  }

  /** Families of the configured ranges, the default one first. */
  get families(): readonly IpFamily[] {
    return [...new Set(this.#configured.map((range) => range.family))];
  }

  get configured(): readonly CidrRange[] {
    return this.#configured;
  }

  /** Takes this address. Throws {@link IpAllocationError}. */
  async allocate(ip: string, owner: IpOwner, dryRun: boolean): Promise<void> {
    const bytes = parseIp(ip);
    if (bytes === undefined || !this.#ranges().some((range) => range.contains(ip))) {
      throw new IpAllocationError('the provided network does not match the current range');
    }
    const name = formatIp(bytes);
    if (!(await this.#take(name, owner, dryRun)))
      throw new IpAllocationError('provided IP is already allocated');
  }

  /** Takes any free address of a family. Throws {@link IpAllocationError} when all are taken. */
  async allocateNext(family: IpFamily, owner: IpOwner, dryRun: boolean): Promise<string> {
    const taken = this.#client().watchCache(group, 'ipaddresses');
    for (const range of this.#ranges()) {
      if (range.family !== family) continue;
      // What a dry run shows is a guess in any case; a search would not make it better.
      if (dryRun) return range.at(0);
      for (const candidate of range.candidates(this.#random)) {
        if (taken?.get('', candidate) !== undefined) continue;
        if (await this.#take(candidate, owner, dryRun)) return candidate;
      }
    }
    throw new IpAllocationError('range is full');
  }

  /** Gives an address back; one that is not taken is fine. */
  async release(ip: string): Promise<void> {
    const bytes = parseIp(ip);
    if (bytes === undefined) return;
    try {
      await this.#client().delete(group, 'v1', 'ipaddresses', '', formatIp(bytes));
    } catch (error) {
      if (!hasReason(error, 'NotFound')) {
        this.#logger.warn('Cannot release a cluster IP', { ip, error: errorMessage(error) });
      }
    }
  }

  /** The configured ranges and those of ServiceCIDR objects that are ready to be used. */
  #ranges(): readonly CidrRange[] {
    const ranges = [...this.#configured];
    const seen = new Set(ranges.map((range) => range.text));
    for (const object of this.#client().watchCache(group, 'servicecidrs')?.list() ?? []) {
      if ((object.metadata.deletionTimestamp ?? '') !== '') continue;
      if (!isConditionTrue(object['status']?.conditions as [], 'Ready')) continue;
      for (const cidr of (object['spec']?.cidrs ?? []) as string[]) {
        if (seen.has(cidr)) continue;
        seen.add(cidr);
        ranges.push(new CidrRange(cidr));
      }
    }
    return ranges;
  }

  async #take(ip: string, owner: IpOwner, dryRun: boolean): Promise<boolean> {
    if (dryRun) {
      try {
        await this.#client().get(group, 'v1', 'ipaddresses', '', ip);
        return false;
      } catch (error) {
        if (hasReason(error, 'NotFound')) return true;
        throw error;
      }
    }
    try {
      await this.#client().create(group, 'v1', 'ipaddresses', ipAddressObject(ip, owner));
      return true;
    } catch (error) {
      if (hasReason(error, 'AlreadyExists')) return false;
      throw error;
    }
  }
}

function ipAddressObject(ip: string, owner: IpOwner): KubeObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IPAddress',
    metadata: {
      name: ip,
      labels: {
        'ipaddress.kubernetes.io/ip-family': ip.includes(':') ? 'IPv6' : 'IPv4',
        'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
      },
    },
    spec: { parentRef: { resource: 'services', namespace: owner.namespace, name: owner.name } },
  };
}
