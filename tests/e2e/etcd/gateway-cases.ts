/** A request to the JSON gateway. */
export interface GatewayCase {
  readonly area: string;
  readonly what: string;
  /** Below `/v3/`. */
  readonly path: string;
  /** JSON, or a text that is sent as it is. `{word}` stands for what an answer was caught with. */
  readonly body: unknown;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream without an end: read for so long. */
  readonly readMs?: number;
  /** Kept from the answer, for later requests. */
  readonly capture?: Readonly<Record<string, RegExp>>;
  /** Only whether it succeeded counts: what it answers must differ. */
  readonly statusOnly?: boolean;
  /** Why the answers differ, where they may. */
  readonly differs?: string;
}

const b = (text: string): string => Buffer.from(text).toString('base64');
const everything = { key: 'AA==', range_end: 'AA==' };
const kv = (what: string, call: string, body: unknown, more: Partial<GatewayCase> = {}): GatewayCase => ({
  area: 'Keys',
  what,
  path: `kv/${call}`,
  body,
  ...more,
});
const put = (key: string, value: string): object => ({ requestPut: { key: b(key), value: b(value) } });
const get = (key: string): object => ({ requestRange: { key: b(key) } });
const area = (
  name: string,
  cases: readonly (readonly [string, string, unknown, Partial<GatewayCase>?])[],
): GatewayCase[] => cases.map(([what, path, body, more]) => ({ area: name, what, path, body, ...more }));

/** In this order on both: what comes later builds upon what came before. */
export const gatewayCases: readonly GatewayCase[] = [
  kv('put', 'put', { key: b('a'), value: b('1') }),
  kv('put with prev_kv', 'put', { key: b('a'), value: b('2'), prev_kv: true }),
  kv('put with prevKv', 'put', { key: b('a'), value: b('3'), prevKv: true }),
  kv('put without a value', 'put', { key: b('empty') }),
  kv('put without a key', 'put', { value: b('1') }),
  kv('put with an unknown lease', 'put', { key: b('a'), value: b('1'), lease: '4711' }),
  kv('put with ignore_value and a value', 'put', { key: b('a'), value: b('1'), ignore_value: true }),
  kv('put with a key that is no base64', 'put', { key: '%%%' }, { differs: 'the words of the JSON parser' }),
  kv('put with an unknown field', 'put', { key: b('a'), colour: 'red' }),
  kv(
    'put with a number where a text belongs',
    'put',
    { key: 7 },
    { differs: 'the words of the JSON parser' },
  ),
  kv('put with null', 'put', { key: b('n'), value: null }),
  kv('range of one', 'range', { key: b('a') }),
  kv('range of nothing', 'range', { key: b('absent') }),
  kv('range without a key', 'range', {}),
  kv('range of all', 'range', everything),
  kv('range with a limit', 'range', { ...everything, limit: 1 }),
  kv('range with a limit as a text', 'range', { ...everything, limit: '1' }),
  kv('range with keys only', 'range', { ...everything, keys_only: true }),
  kv('range with count only', 'range', { ...everything, count_only: true }),
  kv('range sorted by name', 'range', { ...everything, sort_order: 'DESCEND', sort_target: 'KEY' }),
  kv('range sorted by number', 'range', { ...everything, sort_order: 2, sort_target: 1 }),
  kv(
    'range with an unknown order',
    'range',
    { ...everything, sort_order: 'SIDEWAYS' },
    { differs: 'the words of the JSON parser' },
  ),
  kv('range at a revision', 'range', { key: b('a'), revision: 2 }),
  kv('range at a future revision', 'range', { key: b('a'), revision: '4000' }),
  kv('range, serializable', 'range', { key: b('a'), serializable: true }),
  kv('txn that succeeds', 'txn', {
    compare: [{ key: b('a'), target: 'VALUE', result: 'EQUAL', value: b('3') }],
    success: [put('t', '1'), get('a')],
    failure: [get('t')],
  }),
  kv('txn that fails', 'txn', {
    compare: [{ key: b('a'), target: 'VERSION', result: 'GREATER', version: '100' }],
    success: [put('t', '2')],
    failure: [get('t')],
  }),
  kv('txn without anything', 'txn', {}),
  kv('txn with a key twice', 'txn', { success: [put('t', '1'), put('t', '2')] }),
  kv('txn within a txn', 'txn', { success: [{ requestTxn: { success: [put('u', '1')] } }] }),
  kv('deleterange of one', 'deleterange', { key: b('t'), prev_kv: true }),
  kv('deleterange of nothing', 'deleterange', { key: b('absent') }),
  kv('compaction', 'compaction', { revision: '3' }),
  kv('compaction again', 'compaction', { revision: '3' }),
  kv('compaction of the future', 'compaction', { revision: '4000' }),
  kv('range at a compacted revision', 'range', { key: b('a'), revision: 2 }),
  kv('no JSON', 'range', 'this is not JSON', { differs: 'the words of the JSON parser' }),
  kv('an array', 'range', [], { differs: 'the words of the JSON parser' }),
  kv('no body', 'range', ''),
  kv('GET', 'range', undefined, { method: 'GET', differs: 'routing errors are JSON as from 3.6 on' }),
  kv('an unknown call', 'nothing', {}, { differs: 'routing errors are JSON as from 3.6 on' }),
  ...area('Leases', [
    ['grant', 'lease/grant', { TTL: 100, ID: 77 }],
    ['grant again', 'lease/grant', { TTL: '100', ID: '77' }],
    ['grant, too long', 'lease/grant', { TTL: '99999999999' }],
    ['put with it', 'kv/put', { key: b('leased'), value: b('1'), lease: 77 }],
    ['keepalive', 'lease/keepalive', { ID: 77 }],
    ['keepalive of an unknown one', 'lease/keepalive', { ID: 78 }],
    ['timetolive', 'lease/timetolive', { ID: 77, keys: true }],
    ['timetolive below kv/', 'kv/lease/timetolive', { ID: 77 }],
    ['timetolive of an unknown one', 'lease/timetolive', { ID: 78 }],
    ['leases', 'lease/leases', {}],
    ['revoke', 'lease/revoke', { ID: 77 }],
    ['revoke again', 'kv/lease/revoke', { ID: 77 }],
  ]),
  ...area('Watches', [
    ['from a revision', 'watch', { create_request: { key: b('a'), start_revision: '4' } }, { readMs: 700 }],
    [
      'of a compacted revision',
      'watch',
      { create_request: { key: b('a'), start_revision: '2' } },
      { readMs: 700 },
    ],
    [
      'with prev_kv and filters',
      'watch',
      {
        createRequest: {
          key: b('a'),
          rangeEnd: b('z'),
          startRevision: 5,
          prevKv: true,
          filters: ['NODELETE'],
        },
      },
      { readMs: 700 },
    ],
    ['without a create request', 'watch', {}, { readMs: 700 }],
  ]),
  ...area('Cluster', [
    ['member/list', 'cluster/member/list', {}, { capture: { member: /"ID":"(\d+)"/ } }],
    ['member/add without addresses', 'cluster/member/add', {}],
    [
      'member/add with an address that exists',
      'cluster/member/add',
      { peerURLs: ['http://127.0.0.1:1', 'nonsense'] },
    ],
    ['member/remove of an unknown one', 'cluster/member/remove', { ID: '12345' }],
    [
      'member/update of an unknown one',
      'cluster/member/update',
      { ID: '12345', peerURLs: ['http://127.0.0.1:1'] },
    ],
    [
      'member/promote of an unknown one',
      'cluster/member/promote',
      { ID: '12345' },
      { differs: '3.5.1 may wait without an end' },
    ],
    [
      'member/promote of a voter',
      'cluster/member/promote',
      { ID: '{member}' },
      { differs: '3.5.1 may wait without an end' },
    ],
  ]),
  ...area('Maintenance', [
    ['status', 'maintenance/status', {}, { statusOnly: true }],
    ['alarm, list', 'maintenance/alarm', {}],
    ['alarm, raise', 'maintenance/alarm', { action: 'ACTIVATE', memberID: '{member}', alarm: 'NOSPACE' }],
    ['put while it is raised', 'kv/put', { key: b('full'), value: b('1') }],
    ['alarm, list again', 'maintenance/alarm', { action: 'GET' }],
    [
      'alarm, take back',
      'maintenance/alarm',
      { action: 'DEACTIVATE', memberID: '{member}', alarm: 'NOSPACE' },
    ],
    ['defragment', 'maintenance/defragment', {}],
    ['hash', 'maintenance/hash', {}, { differs: 'the value is that of another file' }],
    ['hash of a future revision', 'maintenance/hash', { revision: 9999 }, { statusOnly: true }],
    ['transfer-leadership to nobody', 'maintenance/transfer-leadership', { targetID: '12345' }],
    ['downgrade, no version', 'maintenance/downgrade', { action: 'VALIDATE', version: 'x' }],
  ]),
  ...area('Users and roles', [
    ['status', 'auth/status', {}],
    ['role/add', 'auth/role/add', { name: 'r' }],
    ['role/add again', 'auth/role/add', { name: 'r' }],
    ['role/add without a name', 'auth/role/add', {}],
    [
      'role/grant',
      'auth/role/grant',
      { name: 'r', perm: { permType: 'READWRITE', key: b('a'), range_end: b('c') } },
    ],
    ['role/get', 'auth/role/get', { role: 'r' }],
    ['role/get of an unknown one', 'auth/role/get', { role: 'x' }],
    ['role/revoke of what it has not', 'auth/role/revoke', { role: 'r', key: b('z') }],
    ['role/list', 'auth/role/list', {}],
    ['user/add', 'auth/user/add', { name: 'u', password: 'pw' }],
    ['user/add without a name', 'auth/user/add', { password: 'pw' }],
    ['user/add of root', 'auth/user/add', { name: 'root', password: 'pw' }],
    ['user/grant', 'auth/user/grant', { user: 'u', role: 'r' }],
    ['user/grant of an unknown role', 'auth/user/grant', { user: 'u', role: 'x' }],
    ['user/grant of root', 'auth/user/grant', { user: 'root', role: 'root' }],
    ['user/get', 'auth/user/get', { name: 'u' }],
    ['user/list', 'auth/user/list', {}],
    ['user/changepw', 'auth/user/changepw', { name: 'u', password: 'pw2' }],
    ['authenticate while it is off', 'auth/authenticate', { name: 'u', password: 'pw2' }],
    ['enable', 'auth/enable', {}],
    ['authenticate, wrong password', 'auth/authenticate', { name: 'u', password: 'no' }],
    [
      'authenticate',
      'auth/authenticate',
      { name: 'u', password: 'pw2' },
      { capture: { token: /"token":"([^"]+)"/ } },
    ],
    ['range without a token', 'kv/range', { key: b('a') }],
    ['range with a token', 'kv/range', { key: b('a') }, { headers: { authorization: '{token}' } }],
    ['range of another key', 'kv/range', { key: b('z') }, { headers: { authorization: '{token}' } }],
    ['range with a wrong token', 'kv/range', { key: b('a') }, { headers: { authorization: 'nonsense.1' } }],
    ['disable by a user', 'auth/disable', {}, { headers: { authorization: '{token}' } }],
    [
      'authenticate root',
      'auth/authenticate',
      { name: 'root', password: 'pw' },
      { capture: { root: /"token":"([^"]+)"/ } },
    ],
    ['disable', 'auth/disable', {}, { headers: { authorization: '{root}' } }],
    ['user/revoke', 'auth/user/revoke', { name: 'u', role: 'r' }],
    ['user/delete', 'auth/user/delete', { name: 'u' }],
    ['role/delete', 'auth/role/delete', { role: 'r' }],
    ['role/delete again', 'auth/role/delete', { role: 'r' }],
  ]),
  ...area('Locks and elections', [
    ['lock', 'lock/lock', { name: b('l') }, { capture: { lock: /"key":"([^"]+)"/ } }],
    ['unlock', 'lock/unlock', { key: '{lock}' }],
    ['lock with an unknown lease', 'lock/lock', { name: b('l'), lease: 99 }],
    ['lock without a name', 'lock/lock', {}],
    ['campaign', 'election/campaign', { name: b('e'), value: b('me') }],
    ['leader', 'election/leader', { name: b('e') }],
    ['leader of nothing', 'election/leader', { name: b('nobody') }],
    ['observe', 'election/observe', { name: b('e') }, { readMs: 700 }],
    ['proclaim without a key', 'election/proclaim', { value: b('x') }],
    ['resign without a key', 'election/resign', {}],
  ]),
];
