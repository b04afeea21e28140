import http from 'node:http';
import https from 'node:https';
import { errorMessage } from '@pilothouse/base';
import type { Clock, Logger, Random } from '@pilothouse/base';
import type { EtcdClient, EtcdTls } from '@pilothouse/etcd-client';
import { createEtcdClient } from '@pilothouse/etcd-client';
import { bucketsOf, parseMetrics, quantileOf, valueOf } from '../core/metrics-text.ts';
import { limits } from '../limits.ts';

export interface StoreAccessOptions {
  readonly endpoints: readonly string[];
  readonly tls?: () => EtcdTls;
  /** Of all keys, e.g. `/registry`. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** One member as it sees itself; `problem` alone when it does not answer. Sizes in bytes, times in seconds. */
export interface MemberView {
  readonly endpoint: string;
  readonly id?: string;
  readonly name?: string;
  readonly version?: string;
  readonly role?: 'leader' | 'follower' | 'learner';
  readonly leader?: string;
  readonly term?: number;
  readonly raftIndex?: number;
  readonly appliedIndex?: number;
  /** Entries between the furthest member's log and what this one has applied. */
  readonly lag?: number;
  readonly revision?: number;
  readonly compactRevision?: number;
  readonly dbSize?: number;
  readonly dbSizeInUse?: number;
  readonly quota?: number;
  readonly keys?: number;
  readonly watchers?: number;
  readonly leaderChanges?: number;
  readonly proposalsPending?: number;
  readonly fsyncP99?: number;
  readonly commitP99?: number;
  readonly errors?: readonly string[];
  readonly problem?: string;
}

export interface StoreView {
  readonly members: readonly MemberView[];
  readonly leader: string;
  readonly term: number;
  readonly revision: number;
  readonly voters: number;
  readonly hasQuorum: boolean;
}

const wanted = new Set([
  'etcd_disk_wal_fsync_duration_seconds_bucket',
  'etcd_disk_backend_commit_duration_seconds_bucket',
  'etcd_server_leader_changes_seen_total',
  'etcd_server_proposals_pending',
  'etcd_server_quota_backend_bytes',
  'etcd_debugging_mvcc_keys_total',
  'etcd_debugging_mvcc_watcher_total',
  'etcd_debugging_mvcc_compact_revision',
]);

/** The store through etcd's client API and its metrics: ours or any other etcd. */
export class StoreAccess {
  readonly client: EtcdClient;
  readonly #options: StoreAccessOptions;

  constructor(options: StoreAccessOptions) {
    this.#options = options;
    const { endpoints, tls, clock, random, logger } = options;
    this.client = createEtcdClient({
      endpoints,
      clock,
      random,
      logger,
      ...(tls === undefined ? {} : { tls }),
    });
  }

  get prefix(): string {
    return this.#options.prefix;
  }

  /** Every member by itself, so that a partition shows as different answers. Never rejects. */
  async view(): Promise<StoreView> {
    const list = this.client
      .memberList({ timeoutMs: limits.storeTimeoutMs })
      .then((answer) => answer.members)
      .catch(() => []);
    const [known, ...asked] = await Promise.all([
      list,
      ...this.#options.endpoints.map((endpoint) => this.#member(endpoint)),
    ]);
    const alive = asked.filter((each) => each.problem === undefined);
    const term = Math.max(0, ...alive.map((each) => each.term ?? 0));
    const furthest = Math.max(0, ...alive.map((each) => each.raftIndex ?? 0));
    const members = asked.map((each): MemberView => {
      const entry = known.find((member) => member.ID.toString(16) === each.id);
      return {
        ...each,
        ...(entry?.name ? { name: entry.name } : {}),
        ...(each.appliedIndex === undefined ? {} : { lag: Math.max(0, furthest - each.appliedIndex) }),
      };
    });
    const leading = members.find((each) => each.role === 'leader' && each.term === term);
    const voters = known.filter((each) => !each.isLearner).length || this.#options.endpoints.length;
    const following = alive.filter((each) => each.leader !== '0' && each.role !== 'learner').length;
    return {
      members,
      leader: leading?.name ?? leading?.id ?? '',
      term,
      revision: Math.max(0, ...alive.map((each) => each.revision ?? 0)),
      voters,
      hasQuorum: following > Math.floor(voters / 2),
    };
  }

  close(): void {
    this.client.close();
  }

  async #member(endpoint: string): Promise<MemberView> {
    try {
      const [status, metrics] = await Promise.all([
        this.client.status(endpoint, { timeoutMs: limits.storeTimeoutMs }),
        this.#metrics(endpoint).catch(() => ''),
      ]);
      const samples = parseMetrics(metrics, wanted);
      const number = (key: string, metric: string): Record<string, number> => {
        const value = valueOf(samples, metric);
        return value === undefined ? {} : { [key]: value };
      };
      const slow = (key: string, metric: string): Record<string, number> => {
        const value = quantileOf(bucketsOf(samples, metric), 0.99);
        return value === undefined ? {} : { [key]: value };
      };
      const id = (status.header?.memberId ?? 0n).toString(16);
      const leader = status.leader.toString(16);
      return {
        endpoint,
        id,
        version: status.version,
        role: id === leader ? 'leader' : status.isLearner ? 'learner' : 'follower',
        leader,
        term: status.raftTerm,
        raftIndex: status.raftIndex,
        appliedIndex: status.raftAppliedIndex,
        revision: status.header?.revision ?? 0,
        dbSize: status.dbSize,
        dbSizeInUse: status.dbSizeInUse,
        errors: status.errors,
        ...number('quota', 'etcd_server_quota_backend_bytes'),
        ...number('keys', 'etcd_debugging_mvcc_keys_total'),
        ...number('watchers', 'etcd_debugging_mvcc_watcher_total'),
        ...number('compactRevision', 'etcd_debugging_mvcc_compact_revision'),
        ...number('leaderChanges', 'etcd_server_leader_changes_seen_total'),
        ...number('proposalsPending', 'etcd_server_proposals_pending'),
        ...slow('fsyncP99', 'etcd_disk_wal_fsync_duration_seconds'),
        ...slow('commitP99', 'etcd_disk_backend_commit_duration_seconds'),
      };
    } catch (error) {
      return { endpoint, problem: errorMessage(error) };
    }
  }

  /** /metrics of a member's client address. */
  #metrics(endpoint: string): Promise<string> {
    const tls = this.#options.tls?.();
    const url = new URL(
      '/metrics',
      /^https?:/.test(endpoint) ? endpoint : `${tls === undefined ? 'http' : 'https'}://${endpoint}`,
    );
    return new Promise((resolve, reject) => {
      const options = {
        agent: false as const,
        timeout: limits.storeTimeoutMs,
        ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
        ...(tls?.cert === undefined ? {} : { cert: tls.cert }),
        ...(tls?.key === undefined ? {} : { key: tls.key }),
      };
      const request = (url.protocol === 'https:' ? https : http).get(url, options, (response) => {
        const pieces: Buffer[] = [];
        let size = 0;
        response.on('data', (piece: Buffer) => {
          size += piece.length;
          if (size > limits.metricsBytesMax) request.destroy(new Error('Metrics are too long'));
          pieces.push(piece);
        });
        response.on('end', () => resolve(Buffer.concat(pieces).toString('utf8')));
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error('No answer in time')));
      request.on('error', reject);
    });
  }
}
