import { CodedError } from '@pilothouse/base';

/** gRPC status codes. */
export const grpcStatus = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** Every expected failure: code → gRPC status and the text that etcd's clients compare (after `etcdserver: `). */
export const storeErrors = {
  emptyKey: [3, 'key is not provided'],
  keyNotFound: [3, 'key not found'],
  valueProvided: [3, 'value is provided'],
  leaseProvided: [3, 'lease is provided'],
  tooManyOps: [3, 'too many operations in txn request'],
  duplicateKey: [3, 'duplicate key given in txn request'],
  invalidClientApiVersion: [3, 'invalid client api version'],
  invalidSortOption: [3, 'invalid sort option'],
  memberBadUrls: [3, 'given member URLs are invalid'],
  requestTooLarge: [3, 'request is too large'],
  compacted: [11, 'mvcc: required revision has been compacted'],
  futureRevision: [11, 'mvcc: required revision is a future revision'],
  leaseTtlTooLarge: [11, 'too large lease TTL'],
  noSpace: [8, 'mvcc: database space exceeded'],
  // The real server answers these two with status Unknown.
  tooManyRequests: [2, 'too many requests'],
  notEnoughStarted: [2, 're-configuration failed due to not enough started members'],
  // Not in the table by which the real server translates: Unknown, and with another prefix.
  passwordForNoPasswordUser: [2, 'auth: authentication failed, password was given for no password user'],
  leaseNotFound: [5, 'requested lease not found'],
  memberNotFound: [5, 'member not found'],
  leaseExists: [9, 'lease already exists'],
  memberExists: [9, 'member ID already exist'],
  peerUrlExists: [9, 'Peer URLs already exists'],
  memberNotLearner: [9, 'can only promote a learner member'],
  learnerNotReady: [9, 'can only promote a learner member which is in sync with leader'],
  tooManyLearners: [9, 'too many learner members in cluster'],
  clusterIdMismatch: [9, 'cluster ID mismatch'],
  notLeader: [9, 'not leader'],
  notCapable: [9, 'not capable'],
  notSupportedForLearner: [9, 'rpc not supported for learner'],
  badLeaderTransferee: [9, 'bad leader transferee'],
  clusterVersionUnavailable: [9, 'cluster version not found during downgrade'],
  wrongDowngradeVersionFormat: [3, 'wrong downgrade target version format'],
  invalidDowngradeTargetVersion: [3, 'invalid downgrade target version'],
  downgradeInProcess: [9, 'cluster has a downgrade job in progress'],
  noInflightDowngrade: [9, 'no inflight downgrade job'],
  rootUserNotExist: [9, 'root user does not exist'],
  rootRoleNotExist: [9, 'root user does not have root role'],
  userAlreadyExist: [9, 'user name already exists'],
  userEmpty: [3, 'user name is empty'],
  userNotFound: [9, 'user name not found'],
  roleAlreadyExist: [9, 'role name already exists'],
  roleNotFound: [9, 'role name not found'],
  roleEmpty: [3, 'role name is empty'],
  authFailed: [3, 'authentication failed, invalid user ID or password'],
  permissionNotGiven: [3, 'permission not given'],
  permissionDenied: [7, 'permission denied'],
  roleNotGranted: [9, 'role is not granted to the user'],
  permissionNotGranted: [9, 'permission is not granted to the role'],
  authNotEnabled: [9, 'authentication is not enabled'],
  invalidAuthToken: [16, 'invalid auth token'],
  invalidAuthMgmt: [3, 'invalid auth management'],
  authOldRevision: [3, 'revision of auth store is old'],
  corrupt: [15, 'corrupt cluster'],
  noLeader: [14, 'no leader'],
  leaderChanged: [14, 'leader changed'],
  stopped: [14, 'server stopped'],
  timeout: [14, 'request timed out'],
  timeoutLeaderFailure: [14, 'request timed out, possibly due to previous leader failure'],
  timeoutConnectionLost: [14, 'request timed out, possibly due to connection lost'],
  timeoutWaitApplied: [14, 'request timed out, waiting for the applied index took too long'],
  unhealthy: [14, 'unhealthy cluster'],
  watchCanceled: [1, 'watch canceled'],
  requestCanceled: [1, 'request canceled'],
} as const satisfies Record<string, readonly [number, string]>;

export type StoreErrorCode = keyof typeof storeErrors;

/** An expected failure of a request; `message` is what the client gets. */
export class StoreError extends CodedError {
  readonly grpcStatus: number;

  constructor(code: StoreErrorCode) {
    const [status, text] = storeErrors[code];
    super(code, text.startsWith('auth: ') ? text : `etcdserver: ${text}`);
    this.grpcStatus = status;
  }
}
