import type { Clock, Logger, Random } from '@pilothouse/base';
import { encodeMessage, etcdserverpb, type MessageInput } from '@pilothouse/proto';
import {
  grpcStatus,
  StoreError,
  type ApplyResult,
  type AuthInfo,
  type Command,
  type StoreErrorCode,
  type StoreStateMachine,
} from '../../core/index.ts';
import type { MemberId, Replication } from '../../core/replication.ts';
import { ReplicationError } from '../../core/replication-error.ts';
import { limits } from '../../core/limits.ts';
import type { Work, WorkMetrics } from '../work-metrics.ts';
import type { AuthTokens } from './auth-tokens.ts';
import { GrpcError, type Call } from './grpc-server.ts';

/** Versions that clients and tools compare. */
export const versions = { server: '3.7.1', cluster: '3.7.0', storage: '3.7.0' } as const;

export interface StoreServiceOptions {
  readonly machine: StoreStateMachine;
  readonly replication: Replication;
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly electionMs: number;
  readonly maxRequestBytes: number;
  readonly maxTxnOps: number;
  /** 0: no quota. */
  readonly quotaBytes: number;
  readonly initialClusterToken: string;
  readonly strictReconfigCheck: boolean;
  readonly maxLearners: number;
  /** Monotonic time since when another member can be reached; undefined: it cannot. */
  readonly connectedSinceMs: (peer: MemberId) => number | undefined;
  /** The common name of a client certificate is the user. */
  readonly clientCertAuth: boolean;
  readonly tokens: AuthTokens;
  /** Counts for metrics. */
  readonly onProposal?: (outcome: 'pending' | 'done' | 'failed') => void;
  readonly metrics?: WorkMetrics;
}

/** What all services share: proposing, reading linearizably, headers, alarms. */
export class StoreService {
  readonly machine: StoreStateMachine;
  readonly replication: Replication;
  readonly options: StoreServiceOptions;
  #refusedAt: number | undefined;
  /** The question that reads of this turn share, and the same with its errors translated. */
  #asked: Promise<void> | undefined;
  #barrier: Promise<void> | undefined;

  constructor(options: StoreServiceOptions) {
    this.options = options;
    this.machine = options.machine;
    this.replication = options.replication;
  }

  get hasLeader(): boolean {
    return this.replication.status().leader !== undefined;
  }

  get isLeader(): boolean {
    return this.replication.status().role === 'leader';
  }

  header(revision?: number): { clusterId: bigint; memberId: bigint; revision: number; raftTerm: number } {
    return {
      clusterId: this.options.clusterId,
      memberId: this.options.memberId,
      revision: revision ?? this.machine.store.currentRevision,
      raftTerm: this.replication.status().term,
    };
  }

  /** Completes the header of a response that came from the state machine. */
  withHeader<T extends object>(response: T): T {
    const revision = (response as { header?: { revision?: number } }).header?.revision;
    return { ...response, header: this.header(revision) };
  }

  /**
   * Puts a command through the log for `info` (default: the server itself) and returns the state machine's response. With `term`, an expiry
   * takes effect only if it is committed in that term. Throws StoreError.
   */
  async propose<T>(
    command: MessageInput<Command>,
    info: AuthInfo | undefined = this.ownAuthInfo(),
    term?: number,
  ): Promise<T> {
    const header = {
      ...(info === undefined ? {} : { username: info.username, authRevision: info.revision }),
      ...(term === undefined ? {} : { ID: BigInt(term) }),
    };
    const payload = encodeMessage(
      etcdserverpb.InternalRaftRequest,
      info === undefined && term === undefined ? command : { ...command, header },
    );
    if (payload.length > this.options.maxRequestBytes) throw new StoreError('requestTooLarge');
    this.options.onProposal?.('pending');
    let result: ApplyResult;
    try {
      result = (await this.replication.propose(payload)) as ApplyResult;
      this.options.onProposal?.('done');
    } catch (error) {
      this.options.onProposal?.('failed');
      throw translate(error);
    }
    if ('error' in result) throw result.error;
    return result.response as T;
  }

  /** Resolves once everything committed before the call is applied here. Throws StoreError. */
  readBarrier(): Promise<void> {
    const asked = this.replication.readBarrier();
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#barrier = this.#translated(asked);
    }
    return this.#barrier as Promise<void>;
  }

  async #translated(asked: Promise<void>): Promise<void> {
    try {
      await asked;
    } catch (error) {
      const { metrics } = this.options;
      const code = error instanceof ReplicationError ? error.code : '';
      if (code.startsWith('timeout')) metrics?.readIndexesSlow.inc();
      else if (code !== 'stopped') metrics?.readIndexesFailed.inc();
      throw translate(error);
    }
  }

  /** Does it, and measures how long it takes. */
  async measured<T>(work: Work, action: () => T | Promise<T>): Promise<T> {
    const { clock, metrics } = this.options;
    const began = clock.monotonic();
    const result = await action();
    metrics?.observe(work, clock.monotonic() - began);
    return result;
  }

  /** Runs something of the replication interface with its errors translated. */
  async consensus<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw translate(error);
    }
  }

  /** What every request but status and alarms must pass. */
  checkHealthy(): void {
    if (this.machine.hasAlarm(etcdserverpb.AlarmType.CORRUPT)) throw new StoreError('corrupt');
  }

  checkNotLearner(): void {
    if (this.replication.status().role === 'learner') throw new StoreError('notSupportedForLearner');
  }

  /** Bytes in use when a request was last refused for the quota; undefined when none was since the last call. */
  takeRefusedAt(): number | undefined {
    const bytes = this.#refusedAt;
    this.#refusedAt = undefined;
    return bytes;
  }

  /** Refuses what would not fit into the quota, and tells the whole cluster the first time. */
  reserve(bytes: number): Promise<void> | undefined {
    const { quotaBytes } = this.options;
    if (this.machine.hasAlarm(etcdserverpb.AlarmType.NOSPACE)) throw new StoreError('noSpace');
    if (quotaBytes <= 0 || this.machine.store.liveBytes + bytes < quotaBytes) return undefined;
    return this.#refuseForSpace();
  }

  async #refuseForSpace(): Promise<void> {
    const { quotaBytes, memberId, logger } = this.options;
    const { NOSPACE } = etcdserverpb.AlarmType;
    this.#refusedAt = this.machine.store.liveBytes;
    logger.warn('backend quota exceeded; raising the NOSPACE alarm', { 'quota-size-bytes': quotaBytes });
    await this.propose({ alarm: { action: 1, memberID: memberId, alarm: NOSPACE } }).catch(() => {});
    throw new StoreError('noSpace');
  }

  putCost(request: { readonly key: Uint8Array; readonly value: Uint8Array }): number {
    return limits.putOverheadBytes + request.key.length + request.value.length;
  }

  /** A positive random 63-bit number. */
  randomId(): bigint {
    for (;;) {
      const bytes = this.options.random.bytes(8);
      const value = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0) & 0x7fffffffffffffffn;
      if (value !== 0n) return value;
    }
  }

  /** Resolves when the running compaction has removed everything; the shell does the steps. */
  async compactionDone(): Promise<void> {
    while (this.machine.store.hasCompactionWork) {
      await new Promise<void>((resolve) => void this.options.clock.setTimeout(resolve, 5));
    }
    await this.machine.flush();
  }

  /** Who calls: by token, else by client certificate; undefined while authentication is off or for nobody. */
  authInfo(call: Call): AuthInfo | undefined {
    const { auth } = this.machine;
    if (!auth.isEnabled) return undefined;
    const header = call.headers['token'] ?? call.headers['authorization'];
    if (typeof header === 'string' && header !== '') {
      return this.options.tokens.resolve(header.replace(/^Bearer /, ''), auth);
    }
    const name = this.options.clientCertAuth ? call.commonName : undefined;
    return name === undefined ? undefined : { username: name, revision: auth.revision };
  }

  /** The caller of a change. A request without a user stays one: it must not run as the server itself. */
  caller(call: Call): AuthInfo | undefined {
    return this.machine.auth.isEnabled ? (this.authInfo(call) ?? { username: '', revision: 0 }) : undefined;
  }

  /** For what the server does on its own behalf. */
  ownAuthInfo(): AuthInfo | undefined {
    const { auth } = this.machine;
    return auth.isEnabled ? { username: 'root', revision: auth.revision } : undefined;
  }
}

const codes: Readonly<Record<string, StoreErrorCode>> = {
  noLeader: 'noLeader',
  leaderChanged: 'leaderChanged',
  stopped: 'stopped',
  timeout: 'timeout',
  timeoutLeaderFailure: 'timeoutLeaderFailure',
  notLeader: 'notLeader',
  badLeaderTransferee: 'badLeaderTransferee',
  tooManyRequests: 'tooManyRequests',
  invalidMembershipChange: 'unhealthy',
};

/** Consensus errors in etcd's words. */
export function translate(error: unknown): unknown {
  if (!(error instanceof ReplicationError)) return error;
  const code = codes[error.code];
  return code === undefined ? new GrpcError(grpcStatus.unknown, error.message) : new StoreError(code);
}
