import type { Clock, Logger, Random } from '@pilothouse/base';
import { assert, silentLogger } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import { Balancer, type CallOptions } from './balancer.ts';
import type { Dial } from './connection.ts';
import { parseEndpoint, type EtcdTls } from './endpoint.ts';
import { callUnary, EtcdKv } from './kv.ts';
import { EtcdLease } from './lease.ts';
import { streamSnapshot, type OnBlob } from './snapshot.ts';
import { EtcdWatcher } from './watch.ts';

export interface EtcdClientOptions {
  /** `http://h:p`, `https://h:p`, `unix:/path` …; at least one. */
  readonly endpoints: readonly string[];
  /** A function is asked anew for each connection, so that rotated certificates are picked up. */
  readonly tls?: EtcdTls | (() => EtcdTls);
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** Sent with each call, e.g. a token of etcd's own authentication. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Instead of sockets, in tests. */
  readonly dial?: Dial;
}

/** What an API server needs of an etcd v3 cluster, ours or any other. */
export interface EtcdClient {
  readonly kv: EtcdKv;
  readonly watcher: EtcdWatcher;
  readonly lease: EtcdLease;
  /** The member in use; with `endpoint` that one, through a connection of its own. */
  status(endpoint?: string, options?: CallOptions): Promise<etcdserverpb.StatusResponse>;
  memberList(options?: CallOptions): Promise<etcdserverpb.MemberListResponse>;
  /** Adds a member that has not started yet; a learner becomes a voter once it has caught up and is promoted. */
  memberAdd(
    peerUrls: readonly string[],
    options?: CallOptions & { readonly isLearner?: boolean },
  ): Promise<etcdserverpb.MemberAddResponse>;
  /** `id`: as memberList gives it. */
  memberRemove(id: string | number | bigint, options?: CallOptions): Promise<void>;
  memberPromote(id: string | number | bigint, options?: CallOptions): Promise<void>;
  /** The whole store as of now, from the member in use, piece by piece. */
  snapshot(onBlob: OnBlob): Promise<void>;
  readonly endpoints: readonly string[];
  /** Why the last connection that was lost or not made failed, in words for people. */
  readonly lastProblem: string | undefined;
  close(): void;
}

export function createEtcdClient(options: EtcdClientOptions): EtcdClient {
  assert(options.endpoints.length > 0, 'An etcd client needs at least one endpoint');
  const logger = options.logger ?? silentLogger;
  const balancerFor = (texts: readonly string[]): Balancer =>
    new Balancer({
      endpoints: texts.map((text) => parseEndpoint(text, options.tls !== undefined)),
      tls: options.tls,
      clock: options.clock,
      random: options.random,
      logger,
      metadata: options.metadata ?? {},
      ...(options.dial === undefined ? {} : { dial: options.dial }),
    });
  const balancer = balancerFor(options.endpoints);
  const watcher = new EtcdWatcher(balancer, options.clock, logger);
  const { Status } = etcdserverpb.MaintenanceService;
  return {
    kv: new EtcdKv(balancer),
    watcher,
    lease: new EtcdLease(balancer, options.clock),
    async status(endpoint, callOptions) {
      if (endpoint === undefined) return callUnary(balancer, 'readOnly', Status, {}, callOptions);
      const single = balancerFor([endpoint]);
      try {
        return await callUnary(single, 'readOnly', Status, {}, callOptions);
      } finally {
        single.close();
      }
    },
    memberList: (callOptions) =>
      callUnary(
        balancer,
        'readOnly',
        etcdserverpb.ClusterService.MemberList,
        { linearizable: true },
        callOptions,
      ),
    memberAdd: (peerUrls, addOptions = {}) =>
      callUnary(
        balancer,
        'write',
        etcdserverpb.ClusterService.MemberAdd,
        { peerURLs: [...peerUrls], isLearner: addOptions.isLearner ?? false },
        addOptions,
      ),
    async memberRemove(id, callOptions) {
      const ID = BigInt(id);
      await callUnary(balancer, 'write', etcdserverpb.ClusterService.MemberRemove, { ID }, callOptions);
    },
    async memberPromote(id, callOptions) {
      const ID = BigInt(id);
      await callUnary(balancer, 'write', etcdserverpb.ClusterService.MemberPromote, { ID }, callOptions);
    },
    snapshot: (onBlob) => streamSnapshot(balancer, options.clock, onBlob),
    endpoints: options.endpoints,
    get lastProblem() {
      return balancer.lastProblem;
    },
    close() {
      watcher.close();
      balancer.close();
    },
  };
}
