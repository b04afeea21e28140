import { decodeMessage, encodeMessage, etcdserverpb, type MessageInput } from '@pilothouse/proto';
import { AuthStore, type AuthInfo } from '../auth/auth-store.ts';
import type { Backend, BackendImage } from '../backend.ts';
import { StoreError } from '../errors.ts';
import { keyBytes } from '../key-text.ts';
import { Lessor } from '../lease/lessor.ts';
import { MvccStore, type WriteTxn } from '../mvcc/mvcc-store.ts';
import { StoredIndex } from '../mvcc/stored-index.ts';
import type {
  CommittedEntry,
  LogIndex,
  MemberId,
  MembershipChange,
  StateMachine,
  StateSnapshot,
  Term,
} from '../replication.ts';
import { WatchableStore } from '../watch/watchable-store.ts';
import { decodeCommand, type Command } from './command.ts';
import { encodeImage, ImageDecoder } from './image.ts';
import { hexId, MemberStore } from './member-store.ts';
import { executeRange, type RangeReply } from './range.ts';
import { TxnExecutor } from './txn.ts';

/** What a proposal comes back with: the response without the header's member fields, or the error for the client. */
export type ApplyResult = { readonly response: unknown } | { readonly error: StoreError };

export interface StateMachineOptions {
  readonly backend: Backend;
  /** Leases with a shorter TTL get this one. Must be the same on all members. Default 2. */
  readonly leaseTtlSecondsMin?: number;
  /** Monotonic milliseconds for lease expiry on the leader; it never influences replicated state. */
  readonly monotonic?: () => number;
}

/** Where durations go; milliseconds. */
export interface StateMachineTimings {
  onApplied(command: Command, isOk: boolean, ms: number): void;
  onRange(isOk: boolean, ms: number): void;
}

const appliedRecord = 'meta/applied';
const leasePrefix = 'lease/';
const checkpointPrefix = 'checkpoint/';
const alarmPrefix = 'alarm/';
const clusterVersionRecord = 'meta/cluster-version';
const downgradeRecord = 'meta/downgrade';

export interface Alarm {
  readonly memberId: bigint;
  readonly type: number;
}

/** The etcd server as a state machine: the log's commands in, results and watch events out. */
export class StoreStateMachine implements StateMachine {
  readonly store: MvccStore;
  readonly watchable: WatchableStore;
  readonly lessor: Lessor;
  readonly members: MemberStore;
  readonly auth: AuthStore;
  readonly #backend: Backend;
  readonly #executor: TxnExecutor;
  readonly #monotonic: () => number;
  #appliedIndex = 0 as LogIndex;
  #appliedTerm = 0 as Term;
  #durableIndex = 0 as LogIndex;
  #alarms: Alarm[] = [];
  #clusterVersion: string | undefined;
  #downgradeTarget: string | undefined;
  /** Called after each applied entry with the index; wakes those who wait for it. */
  onApplied: (index: LogIndex) => void = () => {};
  /** Called when members, alarms or the cluster version changed. */
  onClusterChange: () => void = () => {};

  /** Called when a compaction left space to reclaim. */
  onCompact: () => void = () => {};

  /** Told how long commands and local reads took, in milliseconds; for metrics. */
  timings: StateMachineTimings | undefined;

  constructor(options: StateMachineOptions) {
    this.#backend = options.backend;
    this.#monotonic = options.monotonic ?? (() => 0);
    this.store = new MvccStore(options.backend);
    this.lessor = new Lessor(options.leaseTtlSecondsMin ?? 2);
    this.members = new MemberStore(options.backend);
    this.auth = new AuthStore(options.backend);
    this.#executor = new TxnExecutor(this.store, this.lessor);
    this.#load();
    this.#durableIndex = this.#appliedIndex;
    this.watchable = new WatchableStore(this.store);
  }

  get backend(): Backend {
    return this.#backend;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get appliedTerm(): Term {
    return this.#appliedTerm;
  }

  /** What a crash cannot undo: the index as of the last {@link StoreStateMachine.flush}, or of the start. */
  durableIndex(): LogIndex {
    return this.#durableIndex;
  }

  async flush(): Promise<void> {
    const index = this.#appliedIndex;
    await this.#backend.flush();
    if (index > this.#durableIndex) this.#durableIndex = index;
  }

  get alarms(): readonly Alarm[] {
    return this.#alarms;
  }

  hasAlarm(type: number): boolean {
    return this.#alarms.some((alarm) => alarm.type === type);
  }

  /** The agreed version, such as `3.7.0`; undefined before the first leader set it. */
  get clusterVersion(): string | undefined {
    return this.#clusterVersion;
  }

  get downgradeTarget(): string | undefined {
    return this.#downgradeTarget;
  }

  #load(stored?: StoredIndex): void {
    const applied = this.#backend.readRecord(appliedRecord);
    if (applied === undefined) {
      this.#appliedIndex = 0 as LogIndex;
      this.#appliedTerm = 0 as Term;
    } else {
      const view = new DataView(applied.buffer, applied.byteOffset, applied.byteLength);
      this.#appliedIndex = view.getFloat64(0) as LogIndex;
      this.#appliedTerm = view.getFloat64(8) as Term;
    }
    this.lessor.clear();
    const remaining = new Map<bigint, number>();
    for (const [, bytes] of this.#backend.scanRecords(checkpointPrefix)) {
      const { ID, remainingTTL } = decodeMessage(etcdserverpb.LeaseCheckpoint, bytes);
      remaining.set(ID, remainingTTL);
    }
    for (const [, bytes] of this.#backend.scanRecords(leasePrefix)) {
      const { ID, TTL } = decodeMessage(etcdserverpb.LeaseGrantRequest, bytes);
      this.lessor.load(ID, TTL, remaining.get(ID));
    }
    this.store.load((key, lease) => this.lessor.attach(key, lease), stored);
    this.members.load();
    this.auth.load();
    this.#alarms = [];
    for (const [, bytes] of this.#backend.scanRecords(alarmPrefix)) {
      const { memberID, alarm } = decodeMessage(etcdserverpb.AlarmMember, bytes);
      this.#alarms.push({ memberId: memberID, type: alarm });
    }
    const version = this.#backend.readRecord(clusterVersionRecord);
    this.#clusterVersion =
      version === undefined ? undefined : decodeMessage(etcdserverpb.ClusterVersionSetRequest, version).ver;
    const downgrade = this.#backend.readRecord(downgradeRecord);
    const info =
      downgrade === undefined ? undefined : decodeMessage(etcdserverpb.DowngradeInfoSetRequest, downgrade);
    this.#downgradeTarget = info?.enabled ? info.ver : undefined;
  }

  apply(entry: CommittedEntry): ApplyResult | undefined {
    if (entry.index <= this.#appliedIndex) return undefined;
    this.#setApplied(entry.index, entry.term);
    let result: ApplyResult | undefined;
    if (entry.payload.length > 0) {
      const began = this.#monotonic();
      const command = decodeCommand(entry.payload);
      try {
        result = { response: this.#execute(command, entry.term) };
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        result = { error };
      }
      this.timings?.onApplied(command, 'response' in result, this.#monotonic() - began);
    }
    this.onApplied(entry.index);
    return result;
  }

  applyMembership(index: LogIndex, term: Term, change: MembershipChange): void {
    if (index <= this.#appliedIndex) return;
    this.#setApplied(index, term);
    this.members.apply(change);
    this.onClusterChange();
    this.onApplied(index);
  }

  #setApplied(index: LogIndex, term: Term): void {
    this.#backend.entryDone();
    this.#appliedIndex = index;
    this.#appliedTerm = term;
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setFloat64(0, index);
    view.setFloat64(8, term);
    this.#backend.writeRecord(appliedRecord, bytes);
  }

  #execute(command: Command, term: Term): unknown {
    const { header } = command;
    const info =
      header === undefined ? undefined : { username: header.username, revision: header.authRevision };
    if (command.put) {
      const request = command.put;
      this.auth.checkPut(info, request, this.#keysOfLease(request.lease));
      this.#refuseWhenFull();
      this.#executor.checkPut(request);
      return this.#inTxn((txn) => this.#executor.put(txn, request));
    }
    if (command.txn) {
      const request = command.txn;
      this.auth.checkTxn(info, request, (id) => this.#keysOfLease(id));
      if (this.hasAlarm(etcdserverpb.AlarmType.NOSPACE) && hasPut(request)) throw new StoreError('noSpace');
      const path = this.#executor.plan(request);
      return this.#inTxn((txn) => this.#executor.run(txn, path));
    }
    if (command.deleteRange) {
      const request = command.deleteRange;
      this.auth.checkDelete(info, request);
      return this.#inTxn((txn) => this.#executor.deleteRange(txn, request));
    }
    if (command.range) return this.range(command.range);
    if (command.compaction) {
      this.store.compact(command.compaction.revision);
      this.onCompact();
      return { header: { revision: this.store.currentRevision } };
    }
    if (command.leaseGrant) return this.#grant(command.leaseGrant);
    if (command.leaseRevoke) {
      // An expiry holds in the term whose leader counted the time: a later leader may have renewed the lease since.
      if (header !== undefined && header.ID !== 0n && header.ID !== BigInt(term))
        throw new StoreError('leaderChanged');
      this.auth.checkKeys(info, this.#keysOfLease(command.leaseRevoke.ID), 'write');
      return this.#revoke(command.leaseRevoke.ID);
    }
    if (command.leaseCheckpoint) {
      const isOfTerm = header?.ID === BigInt(term);
      return this.#checkpoint(command.leaseCheckpoint.checkpoints, isOfTerm);
    }
    if (command.alarm) return this.#alarm(command.alarm);
    if (command.clusterMemberAttrSet) {
      const { memberID, memberAttributes } = command.clusterMemberAttrSet;
      this.members.publish(
        memberID as MemberId,
        memberAttributes?.name ?? '',
        memberAttributes?.clientUrls ?? [],
      );
      this.onClusterChange();
      return {};
    }
    if (command.clusterVersionSet) {
      this.#clusterVersion = command.clusterVersionSet.ver;
      this.#backend.writeRecord(
        clusterVersionRecord,
        encodeMessage(etcdserverpb.ClusterVersionSetRequest, command.clusterVersionSet),
      );
      this.onClusterChange();
      return {};
    }
    if (command.downgradeInfoSet) {
      const { enabled, ver } = command.downgradeInfoSet;
      this.#downgradeTarget = enabled ? ver : undefined;
      this.#backend.writeRecord(
        downgradeRecord,
        encodeMessage(etcdserverpb.DowngradeInfoSetRequest, command.downgradeInfoSet),
      );
      this.onClusterChange();
      return {};
    }
    return this.#changeAuth(command, info);
  }

  #changeAuth(command: Command, info: AuthInfo | undefined): unknown {
    const { auth } = this;
    if (command.authenticate) {
      auth.assignToken(command.authenticate.simpleToken, command.authenticate.name, this.#monotonic());
      return {};
    }
    auth.checkAdmin(info);
    if (command.authEnable) auth.enable();
    else if (command.authDisable) auth.disable();
    else if (command.authUserAdd) auth.addUser(command.authUserAdd);
    else if (command.authUserDelete) auth.deleteUser(command.authUserDelete.name);
    else if (command.authUserChangePassword) {
      auth.changePassword(command.authUserChangePassword.name, command.authUserChangePassword.hashedPassword);
    } else if (command.authUserGrantRole)
      auth.grantRole(command.authUserGrantRole.user, command.authUserGrantRole.role);
    else if (command.authUserRevokeRole)
      auth.revokeRole(command.authUserRevokeRole.name, command.authUserRevokeRole.role);
    else if (command.authRoleAdd) auth.addRole(command.authRoleAdd.name);
    else if (command.authRoleDelete) auth.deleteRole(command.authRoleDelete.role);
    else if (command.authRoleGrantPermission) {
      auth.grantPermission(command.authRoleGrantPermission.name, command.authRoleGrantPermission.perm);
    } else if (command.authRoleRevokePermission) auth.revokePermission(command.authRoleRevokePermission);
    return {};
  }

  #keysOfLease(id: bigint): readonly Uint8Array[] {
    return id === 0n || !this.auth.isEnabled ? [] : (this.leaseKeys(id) ?? []);
  }

  #header(): { revision: number } {
    return { revision: this.store.currentRevision };
  }

  #refuseWhenFull(): void {
    if (this.hasAlarm(etcdserverpb.AlarmType.NOSPACE)) throw new StoreError('noSpace');
  }

  /** Runs writes as one revision and tells the watchers. */
  #inTxn<T>(body: (txn: WriteTxn) => T): T {
    const txn = this.store.write();
    let result: T;
    try {
      result = body(txn);
    } finally {
      const changes = txn.end();
      if (changes.length > 0) this.watchable.notify(changes);
    }
    return result;
  }

  #grant(request: etcdserverpb.LeaseGrantRequest): MessageInput<etcdserverpb.LeaseGrantResponse> {
    this.#refuseWhenFull();
    const lease = this.lessor.grant(request.ID, request.TTL, this.#monotonic());
    this.#backend.writeRecord(
      leasePrefix + hexId(lease.id),
      encodeMessage(etcdserverpb.LeaseGrantRequest, { ID: lease.id, TTL: lease.ttlSeconds }),
    );
    return { header: this.#header(), ID: lease.id, TTL: lease.ttlSeconds };
  }

  /** What is left of leases by the count of a leader. Later than its term it is not true any more: only taking one back does no harm then. */
  #checkpoint(
    checkpoints: readonly etcdserverpb.LeaseCheckpoint[],
    isOfTerm: boolean,
  ): MessageInput<etcdserverpb.LeaseCheckpointResponse> {
    for (const { ID, remainingTTL } of checkpoints) {
      if ((remainingTTL > 0 && !isOfTerm) || !this.lessor.checkpoint(ID, remainingTTL)) continue;
      const key = checkpointPrefix + hexId(ID);
      if (remainingTTL > 0)
        this.#backend.writeRecord(key, encodeMessage(etcdserverpb.LeaseCheckpoint, { ID, remainingTTL }));
      else this.#backend.deleteRecord(key);
    }
    return { header: this.#header() };
  }

  #revoke(id: bigint): MessageInput<etcdserverpb.LeaseRevokeResponse> {
    const keys = this.lessor.revoke(id);
    this.#backend.deleteRecord(leasePrefix + hexId(id));
    this.#backend.deleteRecord(checkpointPrefix + hexId(id));
    this.#inTxn((txn) => {
      for (const key of keys) txn.delete(key);
    });
    return { header: this.#header() };
  }

  #alarm(request: etcdserverpb.AlarmRequest): MessageInput<etcdserverpb.AlarmResponse> {
    const { AlarmRequest_AlarmAction: Action } = etcdserverpb;
    const key = `${alarmPrefix}${hexId(request.memberID)}/${request.alarm}`;
    const same = (alarm: Alarm): boolean =>
      alarm.memberId === request.memberID && alarm.type === request.alarm;
    let reply: readonly Alarm[] = [];
    if (request.action === Action.GET)
      reply = this.#alarms.filter(({ type }) => request.alarm === 0 || type === request.alarm);
    else if (request.action === Action.ACTIVATE) {
      if (request.alarm !== 0) {
        reply = [{ memberId: request.memberID, type: request.alarm }];
        if (!this.#alarms.some(same)) {
          this.#alarms.push(...reply);
          this.#backend.writeRecord(
            key,
            encodeMessage(etcdserverpb.AlarmMember, { memberID: request.memberID, alarm: request.alarm }),
          );
        }
      }
    } else if (this.#alarms.some(same)) {
      reply = this.#alarms.filter(same);
      this.#alarms = this.#alarms.filter((alarm) => !same(alarm));
      this.#backend.deleteRecord(key);
    }
    this.onClusterChange();
    return {
      header: this.#header(),
      alarms: reply.map(({ memberId, type }) => ({ memberID: memberId, alarm: type })),
    };
  }

  /** A local read. Throws StoreError. */
  range(request: etcdserverpb.RangeRequest): RangeReply & { readonly header: { revision: number } } {
    const began = this.#monotonic();
    let isDone = false;
    try {
      const reply = executeRange(this.store, request);
      isDone = true;
      return { header: this.#header(), ...reply };
    } finally {
      this.timings?.onRange(isDone, this.#monotonic() - began);
    }
  }

  /** A transaction without writes, on the local state. Throws StoreError. */
  readOnlyTxn(request: etcdserverpb.TxnRequest): MessageInput<etcdserverpb.TxnResponse> {
    return this.#executor.run(undefined, this.#executor.plan(request));
  }

  /** The stored state of this moment, for backups. Must be released. */
  snapshotImage(): BackendImage {
    return this.#backend.snapshot();
  }

  snapshot(): StateSnapshot {
    const image = this.#backend.snapshot();
    let released = false;
    return {
      index: this.#appliedIndex,
      term: this.#appliedTerm,
      async *chunks() {
        yield* encodeImage(image);
      },
      release() {
        if (!released) image.release();
        released = true;
      },
    };
  }

  async restore(image: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const decoder = new ImageDecoder();
    const next = this.#backend.replacement();
    const stored = new StoredIndex();
    try {
      for await (const chunk of image) {
        for (const entry of decoder.push(chunk)) {
          if (entry.kind === 'record') next.writeRecord(entry.key, entry.value);
          else {
            next.writeRevision(entry.main, entry.sub, entry.value);
            stored.add(entry.main, entry.sub, entry.value);
          }
        }
        await next.settled();
      }
      decoder.finish();
    } catch (error) {
      await next.abandon();
      throw error;
    }
    await next.install(() => this.#replaced(stored));
  }

  /** In one transition, so that no reader sees half a state. */
  #replaced(stored: StoredIndex): void {
    const previousRevision = this.store.currentRevision;
    this.#load(stored);
    this.watchable.reset(previousRevision);
    if (this.lessor.isPrimary) this.lessor.promote(this.#monotonic(), 0);
    this.onClusterChange();
    this.onApplied(this.#appliedIndex);
  }

  /** The keys attached to a lease, in order; undefined for an unknown lease. */
  leaseKeys(id: bigint): Uint8Array[] | undefined {
    const lease = this.lessor.get(id);
    return lease === undefined ? undefined : [...lease.keys].sort().map(keyBytes);
  }
}

function hasPut(request: etcdserverpb.TxnRequest): boolean {
  return [...request.success, ...request.failure].some(
    (op) => op.requestPut !== undefined || (op.requestTxn !== undefined && hasPut(op.requestTxn)),
  );
}
