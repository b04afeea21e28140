import { errorMessage } from '@pilothouse/base';
import { etcdserverpb, v3electionpb, v3lockpb, type MessageInput, type MethodInfo } from '@pilothouse/proto';
import { StoreError } from '../../core/index.ts';
import { GrpcError, type BidiCall, type Call, type CallHeaders, type GrpcServer } from './grpc-server.ts';
import { fromJson, ProtoJsonError, toJson } from './proto-json.ts';

/** One HTTP request with its response, whichever HTTP version it came over. */
export interface HttpExchange {
  readonly method: string;
  readonly path: string;
  readonly headers: CallHeaders;
  body(bytesMax: number): Promise<string>;
  start(status: number, headers: Readonly<Record<string, string>>): void;
  /** False when the socket is behind. */
  write(text: string): boolean;
  onDrain(listener: () => void): void;
  end(text?: string): void;
  onClose(listener: () => void): void;
}

const { KVService, WatchService, LeaseService, ClusterService, MaintenanceService, AuthService } =
  etcdserverpb;
const { LockService } = v3lockpb;
const { ElectionService } = v3electionpb;

const routes: Readonly<Record<string, MethodInfo<never, never>>> = {
  'kv/range': KVService.Range,
  'kv/put': KVService.Put,
  'kv/deleterange': KVService.DeleteRange,
  'kv/txn': KVService.Txn,
  'kv/compaction': KVService.Compact,
  watch: WatchService.Watch,
  'lease/grant': LeaseService.LeaseGrant,
  'lease/revoke': LeaseService.LeaseRevoke,
  'lease/keepalive': LeaseService.LeaseKeepAlive,
  'lease/timetolive': LeaseService.LeaseTimeToLive,
  'lease/leases': LeaseService.LeaseLeases,
  'kv/lease/revoke': LeaseService.LeaseRevoke,
  'kv/lease/timetolive': LeaseService.LeaseTimeToLive,
  'kv/lease/leases': LeaseService.LeaseLeases,
  'cluster/member/add': ClusterService.MemberAdd,
  'cluster/member/remove': ClusterService.MemberRemove,
  'cluster/member/update': ClusterService.MemberUpdate,
  'cluster/member/list': ClusterService.MemberList,
  'cluster/member/promote': ClusterService.MemberPromote,
  'maintenance/alarm': MaintenanceService.Alarm,
  'maintenance/status': MaintenanceService.Status,
  'maintenance/defragment': MaintenanceService.Defragment,
  'maintenance/hash': MaintenanceService.Hash,
  'maintenance/hashkv': MaintenanceService.HashKV,
  'maintenance/snapshot': MaintenanceService.Snapshot,
  'maintenance/transfer-leadership': MaintenanceService.MoveLeader,
  'maintenance/downgrade': MaintenanceService.Downgrade,
  'auth/enable': AuthService.AuthEnable,
  'auth/disable': AuthService.AuthDisable,
  'auth/status': AuthService.AuthStatus,
  'auth/authenticate': AuthService.Authenticate,
  'auth/user/add': AuthService.UserAdd,
  'auth/user/get': AuthService.UserGet,
  'auth/user/list': AuthService.UserList,
  'auth/user/delete': AuthService.UserDelete,
  'auth/user/changepw': AuthService.UserChangePassword,
  'auth/user/grant': AuthService.UserGrantRole,
  'auth/user/revoke': AuthService.UserRevokeRole,
  'auth/role/add': AuthService.RoleAdd,
  'auth/role/get': AuthService.RoleGet,
  'auth/role/list': AuthService.RoleList,
  'auth/role/delete': AuthService.RoleDelete,
  'auth/role/grant': AuthService.RoleGrantPermission,
  'auth/role/revoke': AuthService.RoleRevokePermission,
  'lock/lock': LockService.Lock,
  'lock/unlock': LockService.Unlock,
  'election/campaign': ElectionService.Campaign,
  'election/proclaim': ElectionService.Proclaim,
  'election/leader': ElectionService.Leader,
  'election/observe': ElectionService.Observe,
  'election/resign': ElectionService.Resign,
} as unknown as Record<string, MethodInfo<never, never>>;

const httpStatus: Readonly<Record<number, number>> = {
  3: 400,
  9: 400,
  11: 400,
  5: 404,
  7: 403,
  16: 401,
  14: 503,
  4: 504,
  8: 429,
  1: 499,
  12: 501,
};

export interface GatewayOptions {
  readonly server: GrpcServer;
  readonly receiveBytesMax: number;
  /** Allowed origins; `*` for all. */
  readonly cors: readonly string[];
}

/** Serves the JSON form of the API under /v3/; false for any other path. */
export function serveGateway(exchange: HttpExchange, options: GatewayOptions): boolean {
  const match = /^\/v3(?:beta)?\/([^?]*)/.exec(exchange.path);
  if (match === null) return false;
  const origin = typeof exchange.headers['origin'] === 'string' ? exchange.headers['origin'] : '';
  const allowed = options.cors.includes('*') ? '*' : options.cors.includes(origin) ? origin : '';
  const cors: Record<string, string> =
    allowed === ''
      ? {}
      : {
          'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
          'access-control-allow-origin': allowed,
          'access-control-allow-headers': 'accept, content-type, authorization',
        };
  const headers = { 'content-type': 'application/json', ...cors };
  if (exchange.method === 'OPTIONS') {
    exchange.start(200, cors);
    exchange.end();
    return true;
  }
  const info = routes[match[1] as string];
  if (info === undefined || exchange.method !== 'POST' || !options.server.has(info.path)) {
    const isKnown = info !== undefined;
    exchange.start(isKnown ? 501 : 404, headers);
    exchange.end(
      JSON.stringify(
        isKnown ? { code: 12, message: 'Method Not Allowed' } : { code: 5, message: 'Not Found' },
      ),
    );
    return true;
  }
  const fail = (error: unknown): void => {
    const { code, message } = describe(error);
    exchange.start(httpStatus[code] ?? 500, headers);
    exchange.end(JSON.stringify({ code, message }));
  };
  exchange.body(options.receiveBytesMax).then(async (body) => {
    let request: never;
    try {
      request = parseRequest(info, body);
    } catch (error) {
      fail(error);
      return;
    }
    await options.server.prepare(exchange.headers);
    if (info.responseStream) stream(exchange, options.server, info, request, headers);
    else {
      let isCancelled = false;
      exchange.onClose(() => (isCancelled = true));
      const call: Call = {
        headers: exchange.headers,
        commonName: undefined,
        get isCancelled() {
          return isCancelled;
        },
        onClose: (listener) => exchange.onClose(listener),
      };
      options.server.callUnary(info, request, call).then((response) => {
        exchange.start(200, headers);
        exchange.end(JSON.stringify(toJson(info.response, response)));
      }, fail);
    }
  }, fail);
  return true;
}

function parseRequest(info: MethodInfo<never, never>, body: string): never {
  let parsed: unknown;
  try {
    parsed = body.trim() === '' ? {} : JSON.parse(body);
  } catch (error) {
    throw new ProtoJsonError(errorMessage(error));
  }
  return fromJson(info.request, parsed);
}

function describe(error: unknown): { code: number; message: string } {
  if (error instanceof StoreError || error instanceof GrpcError)
    return { code: error.grpcStatus, message: error.message };
  return { code: error instanceof ProtoJsonError ? 3 : 2, message: errorMessage(error) };
}

/** Runs a streaming method with the one request that the body holds; each message becomes a line `{"result": …}`. */
function stream(
  exchange: HttpExchange,
  server: GrpcServer,
  info: MethodInfo<never, never>,
  request: never,
  headers: Readonly<Record<string, string>>,
): void {
  let isStarted = false;
  let isEnded = false;
  const closeListeners: (() => void)[] = [];
  const finish = (): void => {
    if (isEnded) return;
    isEnded = true;
    for (const listener of closeListeners) listener();
  };
  const start = (): void => {
    if (!isStarted) exchange.start(200, headers);
    isStarted = true;
  };
  exchange.onClose(finish);
  let onMessage: (message: never) => void = () => {};
  let onHalfClose: () => void = () => {};
  const call: BidiCall<never, never> = {
    headers: exchange.headers,
    commonName: undefined,
    get isCancelled() {
      return isEnded;
    },
    write(message: MessageInput<never>) {
      if (isEnded) return false;
      start();
      return exchange.write(`${JSON.stringify({ result: toJson(info.response, message) })}\n`);
    },
    onDrain: (listener) => exchange.onDrain(listener),
    onClose: (listener) => void closeListeners.push(listener),
    onMessage: (listener) => {
      onMessage = listener;
    },
    onHalfClose: (listener) => {
      onHalfClose = listener;
    },
    end(error) {
      if (isEnded) return;
      if (error !== undefined) {
        const described = describe(error);
        if (isStarted) exchange.write(`${JSON.stringify({ error: described })}\n`);
        else exchange.start(httpStatus[described.code] ?? 500, headers);
        exchange.end(isStarted ? '' : JSON.stringify(described));
      } else {
        start();
        exchange.end();
      }
      finish();
    },
  };
  server.callStream(info, call);
  onMessage(request);
  // A watch goes on until its client leaves; a keep-alive answers once.
  if (info.method !== 'Watch') onHalfClose();
}
