import type { Clock, Logger, Timer } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import { hexId, StoreError } from '../core/index.ts';
import type { MemberId } from '../core/replication.ts';
import type { PeerPost } from './rpc/leader-calls.ts';
import type { StoreService } from './rpc/store-service.ts';

const hashTimeoutMs = 10_000;

/** A member's hash over its keys up to a revision; comparable where revision and compaction are equal. */
export interface KeyHash {
  readonly member: MemberId;
  readonly hash: number;
  readonly compactRevision: number;
}

/**
 * Who holds other data than the majority of all `memberCount`; `undefined` stands for "somebody, but no majority tells who".
 * Hashes after different compactions cannot be compared and count as unknown.
 */
export function findCorrupt(hashes: readonly KeyHash[], memberCount: number): MemberId[] | undefined {
  const groups = new Map<string, KeyHash[]>();
  for (const each of hashes) {
    const key = `${each.compactRevision}/${each.hash}`;
    groups.set(key, [...(groups.get(key) ?? []), each]);
  }
  const all = [...groups.values()];
  const conflicts = (a: KeyHash, b: KeyHash): boolean =>
    a.compactRevision === b.compactRevision && a.hash !== b.hash;
  const conflicting = hashes.filter((a) => hashes.some((b) => conflicts(a, b)));
  if (conflicting.length === 0) return [];
  const majority = all.find((group) => group.length > memberCount / 2)?.[0];
  if (majority === undefined) return undefined;
  return conflicting.filter((each) => conflicts(each, majority)).map(({ member }) => member);
}

/** Compares what the members hold, and raises the CORRUPT alarm for the one that differs. */
export class CorruptionCheck {
  readonly #service: StoreService;
  readonly #post: PeerPost;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timers: Timer[] = [];
  #checkedCompaction = 0;
  #isBusy = false;

  constructor(service: StoreService, post: PeerPost) {
    this.#service = service;
    this.#post = post;
    this.#clock = service.options.clock;
    this.#logger = service.options.logger;
  }

  /** The leader compares every `intervalMs`, and every `compactIntervalMs` at a compaction that was not compared yet; 0: never. */
  start(intervalMs: number, compactIntervalMs: number): void {
    const { store } = this.#service.machine;
    if (intervalMs > 0)
      this.#timers.push(this.#clock.setInterval(() => void this.#run(store.currentRevision), intervalMs));
    if (compactIntervalMs > 0) {
      this.#timers.push(
        this.#clock.setInterval(() => {
          const { compactRevision } = store;
          if (compactRevision <= this.#checkedCompaction || store.hasCompactionWork) return;
          this.#checkedCompaction = compactRevision;
          void this.#run(compactRevision);
        }, compactIntervalMs),
      );
    }
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  async #run(revision: number): Promise<void> {
    if (this.#isBusy || !this.#service.isLeader) return;
    this.#isBusy = true;
    try {
      await this.#service.readBarrier();
      const corrupt = await this.compare(revision);
      if (corrupt === undefined) await this.#alarm(0n as MemberId);
      else for (const member of corrupt) await this.#alarm(member);
    } catch (error) {
      this.#logger.warn('failed to compare the members', { revision, error: errorMessage(error) });
    } finally {
      this.#isBusy = false;
    }
  }

  /** Members whose keys up to `revision` differ from the majority's; undefined when none is the majority. */
  async compare(revision: number): Promise<MemberId[] | undefined> {
    const { machine, options } = this.#service;
    const members = machine.members.list();
    const own = machine.store.hash(revision);
    const hashes: KeyHash[] = [{ member: options.memberId, ...own }];
    await Promise.all(
      members
        .filter(({ id }) => id !== options.memberId)
        .map(async ({ id, peerUrls }) => {
          const answer = await this.#ask(peerUrls, revision);
          if (answer !== undefined) hashes.push({ member: id, ...answer });
        }),
    );
    return findCorrupt(hashes, members.length);
  }

  /** Undefined when the member does not answer or is not at that revision. */
  async #ask(urls: readonly string[], revision: number): Promise<Omit<KeyHash, 'member'> | undefined> {
    for (const url of urls) {
      try {
        const answer = JSON.parse(
          await this.#post(`${url}/members/hashkv`, JSON.stringify({ revision }), hashTimeoutMs),
        ) as {
          hash?: number;
          compactRevision?: number;
        };
        if (answer.hash === undefined || answer.compactRevision === undefined) return undefined;
        return { hash: answer.hash, compactRevision: answer.compactRevision };
      } catch (error) {
        this.#logger.debug('failed to ask a member for its hash', { url, error: errorMessage(error) });
      }
    }
    return undefined;
  }

  async #alarm(member: MemberId): Promise<void> {
    const { CORRUPT } = etcdserverpb.AlarmType;
    if (this.#service.machine.alarms.some(({ memberId, type }) => memberId === member && type === CORRUPT))
      return;
    this.#logger.error('found data inconsistency with peers; raising the CORRUPT alarm', {
      'corrupted-member-id': hexId(member),
    });
    await this.#service.propose({ alarm: { action: 1, memberID: member, alarm: CORRUPT } });
  }
}

/** Answers `POST /members/hashkv`: `{"revision": n}` with the hash, or with the error. */
export function answerHash(service: StoreService, body: string): string {
  try {
    const { revision } = JSON.parse(body) as { revision: number };
    return JSON.stringify(service.machine.store.hash(Number(revision)));
  } catch (error) {
    return JSON.stringify({ error: error instanceof StoreError ? error.code : 'malformed' });
  }
}
