import { decodeMessage, encodeMessage, etcdserverpb } from '@pilothouse/proto';
import type { Backend } from '../backend.ts';
import type { MemberId, MemberInfo, MembershipChange } from '../replication.ts';

const memberPrefix = 'member/';
const removedPrefix = 'removed/';

export const hexId = (id: bigint): string => BigInt.asUintN(64, id).toString(16).padStart(16, '0');

/** The replicated member list: who belongs to the cluster, under which URLs, and which IDs never may again. */
export class MemberStore {
  readonly #backend: Backend;
  #members = new Map<MemberId, MemberInfo>();
  #removed = new Set<MemberId>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  load(): void {
    this.#members = new Map();
    this.#removed = new Set();
    for (const [, bytes] of this.#backend.scanRecords(memberPrefix)) {
      const stored = decodeMessage(etcdserverpb.Member, bytes);
      const id = stored.ID as MemberId;
      this.#members.set(id, {
        id,
        name: stored.name,
        peerUrls: stored.peerURLs,
        clientUrls: stored.clientURLs,
        isLearner: stored.isLearner,
      });
    }
    for (const [key] of this.#backend.scanRecords(removedPrefix)) {
      this.#removed.add(BigInt(`0x${key.slice(removedPrefix.length)}`) as MemberId);
    }
  }

  /** In the order of their IDs. */
  list(): MemberInfo[] {
    return [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  get(id: MemberId): MemberInfo | undefined {
    return this.#members.get(id);
  }

  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  apply(change: MembershipChange): void {
    switch (change.kind) {
      case 'add':
        this.#write(change.member);
        return;
      case 'remove':
        this.#members.delete(change.id);
        this.#removed.add(change.id);
        this.#backend.deleteRecord(memberPrefix + hexId(change.id));
        this.#backend.writeRecord(removedPrefix + hexId(change.id), new Uint8Array(0));
        return;
      case 'promote': {
        const member = this.#members.get(change.id);
        if (member !== undefined) this.#write({ ...member, isLearner: false });
        return;
      }
      case 'update': {
        const member = this.#members.get(change.member.id);
        if (member !== undefined) this.#write({ ...member, peerUrls: change.member.peerUrls });
        return;
      }
    }
  }

  /** A member tells its name and client URLs once it is up. */
  publish(id: MemberId, name: string, clientUrls: readonly string[]): void {
    const member = this.#members.get(id);
    if (member !== undefined) this.#write({ ...member, name, clientUrls });
  }

  #write(member: MemberInfo): void {
    this.#members.set(member.id, member);
    this.#backend.writeRecord(
      memberPrefix + hexId(member.id),
      encodeMessage(etcdserverpb.Member, {
        ID: member.id,
        name: member.name,
        peerURLs: member.peerUrls,
        clientURLs: member.clientUrls,
        isLearner: member.isLearner,
      }),
    );
  }
}

export function memberMessage(member: MemberInfo): {
  ID: bigint;
  name: string;
  peerURLs: readonly string[];
  clientURLs: readonly string[];
  isLearner: boolean;
} {
  return {
    ID: member.id,
    name: member.name,
    peerURLs: member.peerUrls,
    clientURLs: member.clientUrls,
    isLearner: member.isLearner,
  };
}
