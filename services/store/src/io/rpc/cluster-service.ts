import { createHash } from 'node:crypto';
import { etcdserverpb } from '@pilothouse/proto';
import { memberMessage, StoreError } from '../../core/index.ts';
import type { MemberId, MemberInfo } from '../../core/replication.ts';
import type { GrpcServer } from './grpc-server.ts';
import type { LeaderCalls } from './leader-calls.ts';
import type { StoreService } from './store-service.ts';

/** First eight bytes, big endian, of SHA-1 over the sorted peer URLs, the cluster token and, for later members, the time. */
export function memberIdOf(peerUrls: readonly string[], token: string, unixSeconds?: number): MemberId {
  const text = [...peerUrls].sort().join('') + token + (unixSeconds === undefined ? '' : String(unixSeconds));
  return createHash('sha1').update(text).digest().readBigUInt64BE(0) as MemberId;
}

/** The same over the members' IDs in ascending order. */
export function clusterIdOf(memberIds: readonly bigint[]): bigint {
  const bytes = Buffer.alloc(memberIds.length * 8);
  [...memberIds]
    .sort((a, b) => (a < b ? -1 : 1))
    .forEach((id, index) => bytes.writeBigUInt64BE(id, index * 8));
  return createHash('sha1').update(bytes).digest().readBigUInt64BE(0);
}

/** Registers etcdserverpb.Cluster. */
export function registerCluster(server: GrpcServer, service: StoreService, leader: LeaderCalls): void {
  const { machine, options } = service;
  const { ClusterService } = etcdserverpb;
  const header = (): object => service.header(0);
  const list = (): object => ({ header: header(), members: machine.members.list().map(memberMessage) });

  server.unary(ClusterService.MemberList, async (request, call) => {
    machine.auth.checkLoggedIn(service.authInfo(call));
    if (request.linearizable) await service.readBarrier();
    return list();
  });

  server.unary(ClusterService.MemberAdd, async (request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    checkUrls(request.peerURLs);
    service.checkNotLearner();
    await service.readBarrier();
    const members = machine.members.list();
    checkUrlsFree(members, request.peerURLs);
    if (request.isLearner) {
      if (members.filter(({ isLearner }) => isLearner).length >= options.maxLearners)
        throw new StoreError('tooManyLearners');
    } else if (options.strictReconfigCheck) checkQuorumAfterAdd(members);
    if (options.strictReconfigCheck) checkConnectedForAdd(service, members);
    const unixSeconds = Math.floor(options.clock.now() / 1000);
    const member: MemberInfo = {
      id: memberIdOf(request.peerURLs, options.initialClusterToken, unixSeconds),
      name: '',
      peerUrls: request.peerURLs,
      clientUrls: [],
      isLearner: request.isLearner,
    };
    if (machine.members.get(member.id) !== undefined) throw new StoreError('memberExists');
    await service.consensus(service.replication.changeMembership({ kind: 'add', member }));
    return { ...list(), member: memberMessage(member) };
  });

  server.unary(ClusterService.MemberRemove, async (request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    service.checkNotLearner();
    await service.readBarrier();
    const members = machine.members.list();
    const member = machine.members.get(request.ID as MemberId);
    if (member === undefined) throw new StoreError('memberNotFound');
    if (options.strictReconfigCheck && !member.isLearner) {
      checkQuorumAfterRemove(members, member);
      checkConnectedForRemove(service, members, member);
    }
    await service.consensus(service.replication.changeMembership({ kind: 'remove', id: member.id }));
    return list();
  });

  server.unary(ClusterService.MemberUpdate, async (request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    checkUrls(request.peerURLs);
    service.checkNotLearner();
    await service.readBarrier();
    const member = machine.members.get(request.ID as MemberId);
    if (member === undefined) throw new StoreError('memberNotFound');
    checkUrlsFree(
      machine.members.list().filter(({ id }) => id !== member.id),
      request.peerURLs,
    );
    await service.consensus(
      service.replication.changeMembership({
        kind: 'update',
        member: { ...member, peerUrls: request.peerURLs },
      }),
    );
    return list();
  });

  server.unary(ClusterService.MemberPromote, async (request, call) => {
    machine.auth.checkAdmin(service.authInfo(call));
    service.checkNotLearner();
    await leader.promote(request.ID as MemberId);
    await service.readBarrier();
    return list();
  });
}

function checkUrls(urls: readonly string[]): void {
  if (urls.length === 0) throw new StoreError('memberBadUrls');
  for (const url of urls)
    if (!/^(https?|unixs?):\/\/[^/:]+(:\d+)?$/.test(url)) throw new StoreError('memberBadUrls');
}

function checkUrlsFree(members: readonly MemberInfo[], urls: readonly string[]): void {
  for (const member of members) {
    if (member.peerUrls.some((url) => urls.includes(url))) throw new StoreError('peerUrlExists');
  }
}

/** A member counts as started once it has published its name. */
const isStarted = (member: MemberInfo): boolean => member.name !== '';

function checkQuorumAfterAdd(members: readonly MemberInfo[]): void {
  const voters = members.filter(({ isLearner }) => !isLearner);
  const started = voters.filter(isStarted).length;
  // Growing from one to two is allowed although the newcomer is not started: there is no other way.
  if (started === 1 && voters.length === 1) return;
  if (started < Math.floor((voters.length + 1) / 2) + 1) throw new StoreError('notEnoughStarted');
}

function checkQuorumAfterRemove(members: readonly MemberInfo[], leaving: MemberInfo): void {
  const voters = members.filter(({ isLearner, id }) => !isLearner && id !== leaving.id);
  if (members.filter(({ isLearner }) => !isLearner).length === 1) throw new StoreError('notEnoughStarted');
  if (voters.filter(isStarted).length < Math.floor(voters.length / 2) + 1)
    throw new StoreError('notEnoughStarted');
}

/** A connection must have held this many election timeouts, at most five seconds, to count as healthy. */
const healthElections = 5;
const healthMsMax = 5000;

/** How many of `members` this one has been able to reach for a while, itself included. */
function countHealthy(service: StoreService, members: readonly MemberInfo[]): number {
  const { clock, connectedSinceMs, electionMs, memberId } = service.options;
  const since = clock.monotonic() - Math.min(healthMsMax, healthElections * electionMs);
  return members.filter(({ id }) => id === memberId || (connectedSinceMs(id) ?? Infinity) <= since).length;
}

/** The voters that are well must be a quorum even when the newcomer never comes up. */
function checkConnectedForAdd(service: StoreService, members: readonly MemberInfo[]): void {
  const voters = members.filter(({ isLearner }) => !isLearner);
  if (voters.length === 1) return;
  if (countHealthy(service, voters) < Math.floor((voters.length + 1) / 2) + 1)
    throw new StoreError('unhealthy');
}

/** A voter that is well may leave only while the others that are well are a quorum of what is left. */
function checkConnectedForRemove(
  service: StoreService,
  members: readonly MemberInfo[],
  leaving: MemberInfo,
): void {
  const { connectedSinceMs, memberId } = service.options;
  if (leaving.id !== memberId && connectedSinceMs(leaving.id) === undefined) return;
  const voters = members.filter(({ isLearner }) => !isLearner);
  const rest = voters.length - 1;
  if (countHealthy(service, voters) - 1 < Math.floor(rest / 2) + 1) throw new StoreError('unhealthy');
}
