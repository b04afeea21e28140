/** One call of etcdctl that is made the same on both sides. */
export interface EtcdctlCase {
  /** As the table shows it; with the same text as another case it is one row with it. */
  readonly command: string;
  readonly args: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** For commands that go on until they are stopped; their output until then counts. */
  readonly untilMs?: number;
  /** Takes a word of the output for later arguments: `{name}`. */
  readonly capture?: Readonly<Record<string, RegExp>>;
  /** Which program: etcdctl unless given. */
  readonly program?: 'etcdutl' | 'sh';
  /** Compares only the exit status, where the text holds measurements. */
  readonly statusOnly?: boolean;
  /** Lines may come in any order. */
  readonly sorted?: boolean;
  /** Tried again until it gives this exit status: the cluster needs a moment to get there. */
  readonly retryUntil?: number;
  /** What the two sides may differ in, and why. */
  readonly differs?: string;
  /** Starts the fourth member with these flags before the call. */
  readonly startsMember?: boolean;
}

const formats = ['simple', 'json', 'fields', 'table'] as const;

/** The same call in every output format. */
function inFormats(command: string, args: readonly string[], more: Partial<EtcdctlCase> = {}): EtcdctlCase[] {
  return formats.map((format) => ({ command: `${command} -w`, args: [...args, '-w', format], ...more }));
}

const c = (command: string, ...args: string[]): EtcdctlCase => ({ command, args });

const keys: readonly EtcdctlCase[] = [
  c('version', 'version'),
  c('put', 'put', 'k1', 'v1'),
  c('put', 'put', 'k2', 'v2'),
  { command: 'put (value from stdin)', args: ['put', 'k3'], input: 'from stdin' },
  c('put --prev-kv', 'put', 'k1', 'v1b', '--prev-kv'),
  c('put --ignore-value', 'put', 'k1', '--ignore-value'),
  c('put --ignore-value', 'put', 'absent', '--ignore-value'),
  c('put --ignore-lease', 'put', 'k1', 'v1c', '--ignore-lease'),
  c('put --ignore-lease', 'put', 'absent', 'x', '--ignore-lease'),
  c('put --lease (unknown)', 'put', 'k', 'v', '--lease=123'),
  c('put (empty key)', 'put', '', 'v'),
  c('put (no arguments)', 'put'),
  ...inFormats('put', ['put', 'k4', 'v4']),
  ...inFormats('put --prev-kv', ['put', 'k4', 'v5', '--prev-kv']),
  c('get', 'get', 'k1'),
  c('get (absent)', 'get', 'nothing'),
  c('get (empty key)', 'get', ''),
  c('get (no arguments)', 'get'),
  c('get range', 'get', 'k1', 'k3'),
  c('get range (inverted)', 'get', 'k3', 'k1'),
  c('get --prefix', 'get', 'k', '--prefix'),
  c('get --prefix', 'get', '', '--prefix'),
  c('get --from-key', 'get', 'k2', '--from-key'),
  c('get --prefix --from-key', 'get', 'k', '--prefix', '--from-key'),
  c('get --keys-only', 'get', 'k', '--prefix', '--keys-only'),
  c('get --print-value-only', 'get', 'k1', '--print-value-only'),
  c('get --count-only', 'get', 'k', '--prefix', '--count-only', '-w', 'fields'),
  c('get --limit', 'get', 'k', '--prefix', '--limit=2'),
  c('get --limit', 'get', 'k', '--prefix', '--limit=2', '-w', 'json'),
  c('get --rev', 'get', 'k1', '--rev=2'),
  c('get --rev (future)', 'get', 'k1', '--rev=99999'),
  c('get --consistency', 'get', 'k1', '--consistency=s'),
  c('get --consistency', 'get', 'k1', '--consistency=l'),
  c('get --consistency', 'get', 'k1', '--consistency=x'),
  c('get --hex', 'get', 'k1', '--hex'),
  c('get --hex', 'get', 'k1', '--hex', '-w', 'json'),
  ...['ASCEND', 'DESCEND', 'WRONG'].flatMap((order) =>
    ['CREATE', 'KEY', 'MODIFY', 'VALUE', 'VERSION', 'WRONG'].map((by) =>
      c('get --order --sort-by', 'get', 'k', '--prefix', `--order=${order}`, `--sort-by=${by}`),
    ),
  ),
  c('get -w (unknown)', 'get', 'k1', '-w', 'nothing'),
  ...inFormats('get', ['get', 'k', '--prefix']),
  ...inFormats('get (absent)', ['get', 'nothing']),
  c('del', 'del', 'k4'),
  c('del', 'del', 'k4'),
  c('del --prev-kv', 'del', 'k3', '--prev-kv'),
  c('del (empty key)', 'del', ''),
  c('put', 'put', 'd/1', '1'),
  c('put', 'put', 'd/2', '2'),
  c('put', 'put', 'd/3', '3'),
  c('del range', 'del', 'd/1', 'd/2'),
  c('del --prefix', 'del', 'd/', '--prefix', '--prev-kv'),
  ...inFormats('del', ['del', 'k2', '--prev-kv']),
  c('put', 'put', 'e1', '1'),
  c('put', 'put', 'e2', '2'),
  c('del --from-key', 'del', 'zz', '--from-key'),
  { command: 'txn', args: ['txn'], input: 'value("k1") = "v1c"\n\nput t 1\nget k1\n\nput t 2\n\n' },
  { command: 'txn', args: ['txn'], input: 'mod("k1") > "1000"\n\nput t 3\n\nget t\ndel t\n\n' },
  {
    command: 'txn -i',
    args: ['txn', '-i'],
    input: 'version("k1") = "3"\ncreate("k1") < "100"\n\nget k --prefix\n\n\n',
  },
  {
    command: 'txn (every compare)',
    args: ['txn'],
    input: 'ver("k1") > "0"\nc("k1") != "0"\nm("k1") > "1"\nval("k1") != "x"\n\nput t 9\n\n\n',
  },
  { command: 'txn (duplicate key)', args: ['txn'], input: '\nput t 1\nput t 2\n\n\n' },
  { command: 'txn (bad compare)', args: ['txn'], input: 'nothing("k1") = "1"\n\n\n\n' },
  ...inFormats('txn', ['txn'], { input: 'value("k1") = "v1c"\n\nget k1\nput t 5\ndel t\n\n\n' }),
  c('compaction', 'compaction', '5'),
  c('compaction (again)', 'compaction', '5'),
  c('compaction (future)', 'compaction', '99999'),
  c('compaction --physical', 'compaction', '6', '--physical'),
  c('compaction (no number)', 'compaction', 'x'),
  c('get --rev (compacted)', 'get', 'k1', '--rev=2'),
];

const watching: readonly EtcdctlCase[] = [
  { command: 'watch --rev', args: ['watch', 'k', '--prefix', '--rev=7'], untilMs: 1500 },
  {
    command: 'watch --rev --prev-kv',
    args: ['watch', 'k', '--prefix', '--rev=7', '--prev-kv'],
    untilMs: 1500,
  },
  { command: 'watch range', args: ['watch', 'k1', 'k3', '--rev=7'], untilMs: 1500 },
  { command: 'watch -w json', args: ['watch', 'k', '--prefix', '--rev=7', '-w', 'json'], untilMs: 1500 },
  { command: 'watch -w fields', args: ['watch', 'k', '--prefix', '--rev=7', '-w', 'fields'], untilMs: 1500 },
  { command: 'watch (compacted)', args: ['watch', 'k1', '--rev=2'], untilMs: 3000 },
  {
    command: 'watch --progress-notify',
    args: ['watch', 'k', '--prefix', '--rev=7', '--progress-notify'],
    untilMs: 1500,
  },
  {
    command: 'watch -i',
    args: ["(printf 'watch k1 --rev=7\\nwatch k2 --rev=7\\nprogress\\n'; sleep 1) | $ETCDCTL watch -i"],
    program: 'sh',
    sorted: true,
  },
  {
    command: 'watch -- command',
    args: [
      'watch',
      'e1',
      '--rev=7',
      '--',
      'sh',
      '-c',
      'echo "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE $ETCD_WATCH_REVISION"',
    ],
    untilMs: 1500,
  },
];

const leases: readonly EtcdctlCase[] = [
  { ...c('lease grant', 'lease', 'grant', '600'), capture: { lease: /lease ([0-9a-f]+) granted/ } },
  c('lease grant (too long)', 'lease', 'grant', '9000000001'),
  c('lease grant (no number)', 'lease', 'grant', 'x'),
  c('lease grant (negative)', 'lease', 'grant', '--', '-5'),
  ...inFormats('lease grant', ['lease', 'grant', '900']),
  c('put --lease', 'put', 'l/1', 'a', '--lease={lease}'),
  c('put --lease', 'put', 'l/2', 'b', '--lease={lease}'),
  ...inFormats('get (with a lease)', ['get', 'l/1']),
  { ...c('lease timetolive', 'lease', 'timetolive', '{lease}') },
  c('lease timetolive --keys', 'lease', 'timetolive', '{lease}', '--keys'),
  ...inFormats('lease timetolive --keys', ['lease', 'timetolive', '{lease}', '--keys']),
  c('lease timetolive (unknown)', 'lease', 'timetolive', '1234'),
  ...inFormats('lease timetolive (unknown)', ['lease', 'timetolive', '1234']),
  c('lease list', 'lease', 'list'),
  ...inFormats('lease list', ['lease', 'list']),
  c('lease keep-alive --once', 'lease', 'keep-alive', '--once', '{lease}'),
  ...inFormats('lease keep-alive --once', ['lease', 'keep-alive', '--once', '{lease}']),
  { command: 'lease keep-alive', args: ['lease', 'keep-alive', '{lease}'], untilMs: 1000 },
  { command: 'lease keep-alive (unknown)', args: ['lease', 'keep-alive', '1234'], untilMs: 2000 },
  {
    command: 'lease keep-alive --once (unknown)',
    args: ['lease', 'keep-alive', '--once', '1234'],
    untilMs: 5000,
  },
  c('lease revoke', 'lease', 'revoke', '{lease}'),
  c('lease revoke (unknown)', 'lease', 'revoke', '{lease}'),
  c('get (lease revoked)', 'get', 'l/', '--prefix'),
];

const concurrency: readonly EtcdctlCase[] = [
  c('lock NAME COMMAND', 'lock', 'mutex', 'echo', 'held'),
  c('lock NAME COMMAND', 'lock', 'mutex', '--', 'sh', '-c', 'echo $ETCD_LOCK_KEY $ETCD_LOCK_REV; exit 3'),
  c('lock --ttl', 'lock', '--ttl=5', 'mutex', 'true'),
  { command: 'lock NAME', args: ['lock', 'mutex2'], untilMs: 1500 },
  { command: 'elect NAME VALUE', args: ['elect', 'chief', 'one'], untilMs: 1500 },
  { command: 'elect --listen', args: ['elect', '-l', 'chief'], untilMs: 1500 },
  c('elect (no arguments)', 'elect'),
];

const clusterCases: readonly EtcdctlCase[] = [
  ...inFormats('member list', ['member', 'list'], { sorted: true }),
  c('member list --hex', 'member', 'list', '-w', 'json', '--hex'),
  c('member add (URL in use)', 'member', 'add', 'x', '--peer-urls={peer0}'),
  c('member add (bad URL)', 'member', 'add', 'x', '--peer-urls=nothing'),
  c('member add (no URL)', 'member', 'add', 'x'),
  c('member remove (unknown)', 'member', 'remove', '1234'),
  c('member remove (no ID)', 'member', 'remove', 'zz'),
  c('member update (unknown)', 'member', 'update', '1234', '--peer-urls=http://127.0.0.1:9'),
  c('member promote (a voter)', 'member', 'promote', '{voter}'),
  {
    ...c('member add --learner', 'member', 'add', 'm3', '--learner', '--peer-urls={peer3}'),
    capture: { learner: /Member +([0-9a-f]+) added/ },
    retryUntil: 0,
  },
  c('member add --learner (too many)', 'member', 'add', 'm4', '--learner', '--peer-urls=http://127.0.0.1:9'),
  c('member promote (not in sync)', 'member', 'promote', '{learner}'),
  { ...c('member list (with a learner)', 'member', 'list'), startsMember: true, sorted: true },
  { ...c('get (at a learner)', '--endpoints={client3}', 'get', 'k1', '--consistency=l'), retryUntil: 1 },
  c('get --consistency=s (at a learner)', '--endpoints={client3}', 'get', 'k1', '--consistency=s'),
  c('put (at a learner)', '--endpoints={client3}', 'put', 'k1', 'x'),
  c('member list (at a learner)', '--endpoints={client3}', 'member', 'list', '-w', 'json'),
  c('endpoint status (of a learner)', '--endpoints={client3}', 'endpoint', 'status', '-w', 'json'),
  { ...c('member promote', 'member', 'promote', '{learner}'), retryUntil: 0 },
  c('member promote (again)', 'member', 'promote', '{learner}'),
  c('member update', 'member', 'update', '{learner}', '--peer-urls={peer3}'),
  { ...c('member remove', 'member', 'remove', '{learner}'), retryUntil: 0 },
  { ...c('member list (after a removal)', 'member', 'list'), sorted: true },
  ...inFormats('endpoint health', ['endpoint', 'health'], { sorted: true }),
  { ...c('endpoint health --cluster', 'endpoint', 'health', '--cluster'), sorted: true },
  c('endpoint health (nobody there)', '--endpoints=127.0.0.1:9', 'endpoint', 'health'),
  ...inFormats('endpoint status', ['endpoint', 'status']),
  { ...c('endpoint status --cluster', 'endpoint', 'status', '--cluster', '-w', 'json'), sorted: true },
  ...inFormats('endpoint hashkv', ['endpoint', 'hashkv']),
  c('endpoint hashkv --rev', 'endpoint', 'hashkv', '--rev=8'),
  c('move-leader (not by the leader)', '--endpoints={follower}', 'move-leader', '{followerId}'),
  c('move-leader (unknown)', '--endpoints={leader}', 'move-leader', '1234'),
  c('move-leader', '--endpoints={leader}', 'move-leader', '{followerId}'),
];

const maintenance: readonly EtcdctlCase[] = [
  c('alarm list', 'alarm', 'list'),
  ...inFormats('alarm list', ['alarm', 'list']),
  c('alarm disarm', 'alarm', 'disarm'),
  c('defrag', 'defrag'),
  { ...c('defrag --cluster', 'defrag', '--cluster'), sorted: true },
  c('snapshot save', '--endpoints={client0}', 'snapshot', 'save', '{dir}/snap.db'),
  {
    ...c(
      'snapshot save -w json',
      '--endpoints={client0}',
      'snapshot',
      'save',
      '{dir}/snap2.db',
      '-w',
      'json',
    ),
  },
  { command: 'etcdutl snapshot status', args: ['snapshot', 'status', '{dir}/snap.db'], program: 'etcdutl' },
  {
    command: 'etcdutl snapshot status -w',
    args: ['snapshot', 'status', '{dir}/snap.db', '-w', 'json'],
    program: 'etcdutl',
  },
  {
    command: 'etcdutl snapshot status -w',
    args: ['snapshot', 'status', '{dir}/snap.db', '-w', 'table'],
    program: 'etcdutl',
  },
  {
    command: 'etcdutl snapshot status -w',
    args: ['snapshot', 'status', '{dir}/snap.db', '-w', 'fields'],
    program: 'etcdutl',
  },
  {
    command: 'etcdutl snapshot restore',
    args: ['snapshot', 'restore', '{dir}/snap.db', '--data-dir', '{dir}/restored'],
    program: 'etcdutl',
  },
  { command: 'snapshot status', args: ['snapshot', 'status', '{dir}/snap.db', '-w', 'json'] },
  {
    command: 'snapshot restore',
    args: ['snapshot', 'restore', '{dir}/snap.db', '--data-dir', '{dir}/restored2'],
  },
  { command: 'snapshot save (several endpoints)', args: ['snapshot', 'save', '{dir}/snap3.db'] },
  {
    command: 'make-mirror',
    args: ['make-mirror', '--prefix=k', '--dest-prefix=mirror/', '{client1}'],
    untilMs: 2500,
  },
  { ...c('get (mirrored)', 'get', 'mirror/', '--prefix') },
  c('downgrade validate', 'downgrade', 'validate', '{target}'),
  c('downgrade validate (bad)', 'downgrade', 'validate', '1.2'),
  c('downgrade validate (no version)', 'downgrade', 'validate', 'x'),
  c('downgrade cancel', 'downgrade', 'cancel'),
  c('completion', 'completion', 'bash'),
  c('help', 'help'),
  c('unknown command', 'nothing'),
  c('unknown flag', 'get', 'k', '--nothing'),
  c('--command-timeout (nobody there)', '--endpoints=127.0.0.1:9', '--command-timeout=1s', 'get', 'k1'),
];

/** They write an unforeseeable number of keys. */
const load: readonly EtcdctlCase[] = [
  { command: 'check perf', args: ['check', 'perf', '--load=s'], untilMs: 75_000, statusOnly: true },
  {
    command: 'check datascale',
    args: ['check', 'datascale', '--load=s', '--prefix=/datascale/'],
    untilMs: 60_000,
    statusOnly: true,
  },
];

const root = '--user=root:pw';
const auth: readonly EtcdctlCase[] = [
  c('auth status', 'auth', 'status'),
  c('auth enable (no root)', 'auth', 'enable'),
  c('auth disable (not enabled)', 'auth', 'disable'),
  c('user list (empty)', 'user', 'list'),
  c('role list (empty)', 'role', 'list'),
  c('user add', 'user', 'add', 'root:pw'),
  c('user add (again)', 'user', 'add', 'root:pw'),
  {
    command: 'user add --interactive=false',
    args: ['user', 'add', 'alice', '--interactive=false'],
    input: 'secret\n',
  },
  c('user add --no-password', 'user', 'add', 'cert', '--no-password'),
  c('user add --new-user-password', 'user', 'add', 'bob', '--new-user-password=bobpw'),
  c('user add (empty name)', 'user', 'add', ':pw'),
  c('user get', 'user', 'get', 'alice'),
  c('user get (unknown)', 'user', 'get', 'nobody'),
  c('user delete (unknown)', 'user', 'delete', 'nobody'),
  { command: 'user passwd', args: ['user', 'passwd', 'alice', '--interactive=false'], input: 'secret2\n' },
  {
    command: 'user passwd (unknown)',
    args: ['user', 'passwd', 'nobody', '--interactive=false'],
    input: 'x\n',
  },
  c('role add', 'role', 'add', 'reader'),
  c('role add (again)', 'role', 'add', 'reader'),
  c('role add (empty name)', 'role', 'add', ''),
  c('role get (unknown)', 'role', 'get', 'nothing'),
  c('role delete (unknown)', 'role', 'delete', 'nothing'),
  c('role grant-permission', 'role', 'grant-permission', 'reader', 'read', 'k', '--prefix'),
  c('role grant-permission', 'role', 'grant-permission', 'reader', 'readwrite', 'both'),
  c('role grant-permission', 'role', 'grant-permission', 'reader', 'write', 'w1', 'w5'),
  c('role grant-permission --from-key', 'role', 'grant-permission', 'reader', 'read', 'x', '--from-key'),
  c('role grant-permission (unknown role)', 'role', 'grant-permission', 'nothing', 'read', 'k'),
  c('role grant-permission (wrong type)', 'role', 'grant-permission', 'reader', 'all', 'k'),
  c('role get', 'role', 'get', 'reader'),
  ...inFormats('role get', ['role', 'get', 'reader']),
  c('role revoke-permission', 'role', 'revoke-permission', 'reader', 'both'),
  c('role revoke-permission (not granted)', 'role', 'revoke-permission', 'reader', 'other'),
  c('role revoke-permission --from-key', 'role', 'revoke-permission', 'reader', 'x', '--from-key'),
  c('user grant-role', 'user', 'grant-role', 'root', 'root'),
  c('user grant-role', 'user', 'grant-role', 'alice', 'reader'),
  c('user grant-role (unknown role)', 'user', 'grant-role', 'alice', 'nothing'),
  c('user grant-role (unknown user)', 'user', 'grant-role', 'nobody', 'reader'),
  c('user revoke-role (not granted)', 'user', 'revoke-role', 'bob', 'reader'),
  c('user get --detail', 'user', 'get', 'alice', '--detail'),
  ...inFormats('user get', ['user', 'get', 'alice']),
  ...inFormats('user list', ['user', 'list']),
  ...inFormats('role list', ['role', 'list']),
  ...inFormats('auth status', ['auth', 'status']),
  c('auth enable', 'auth', 'enable'),
  c('auth enable (again)', root, 'auth', 'enable'),
  c('auth status', root, 'auth', 'status'),
  c('(nobody) get', 'get', 'k1'),
  c('(nobody) put', 'put', 'k1', 'v'),
  c('(nobody) member list', 'member', 'list'),
  c('(nobody) endpoint status', 'endpoint', 'status'),
  c('(nobody) auth status', 'auth', 'status'),
  c('(wrong password) get', '--user=root:no', 'get', 'k1'),
  c('(unknown user) get', '--user=nobody:no', 'get', 'k1'),
  c('(user without password) get', '--user=cert:x', 'get', 'k1'),
  { command: '(--password) get', args: ['--user=alice', '--password=secret2', 'get', 'k1'] },
  c('(reader) get', '--user=alice:secret2', 'get', 'k1'),
  c('(reader) get outside', '--user=alice:secret2', 'get', 'e1'),
  c('(reader) get --prefix', '--user=alice:secret2', 'get', 'k', '--prefix', '--count-only', '-w', 'fields'),
  c('(reader) get --prefix too wide', '--user=alice:secret2', 'get', '', '--prefix'),
  c('(reader) put', '--user=alice:secret2', 'put', 'k1', 'x'),
  c('(writer) put', '--user=alice:secret2', 'put', 'w2', 'x'),
  c('(writer) put --prev-kv', '--user=alice:secret2', 'put', 'w2', 'x', '--prev-kv'),
  c('(writer) get', '--user=alice:secret2', 'get', 'w2'),
  c('(writer) del', '--user=alice:secret2', 'del', 'w2'),
  c('(writer) del --prev-kv', '--user=alice:secret2', 'del', 'w2', '--prev-kv'),
  {
    command: '(user) txn',
    args: ['--user=alice:secret2', 'txn'],
    input: '\nput w2 1\nget k1\n\nput e1 1\n\n',
  },
  { command: '(user) txn', args: ['--user=alice:secret2', 'txn'], input: '\nput w2 1\nget k1\n\n\n' },
  { command: '(reader) watch', args: ['--user=alice:secret2', 'watch', 'k1', '--rev=7'], untilMs: 1500 },
  {
    command: '(reader) watch outside',
    args: ['--user=alice:secret2', 'watch', 'e1', '--rev=7'],
    untilMs: 3000,
  },
  c('(user) user list', '--user=alice:secret2', 'user', 'list'),
  c('(user) user get (self)', '--user=alice:secret2', 'user', 'get', 'alice'),
  c('(user) user get (other)', '--user=alice:secret2', 'user', 'get', 'bob'),
  c('(user) role get (own)', '--user=alice:secret2', 'role', 'get', 'reader'),
  c('(user) role get (other)', '--user=alice:secret2', 'role', 'get', 'root'),
  { ...c('(user) member list', '--user=alice:secret2', 'member', 'list', '-w', 'fields'), sorted: true },
  c('(user) member add', '--user=alice:secret2', 'member', 'add', 'x', '--peer-urls=http://127.0.0.1:9'),
  c('(user) compaction', '--user=alice:secret2', 'compaction', '9'),
  c('(user) defrag', '--user=alice:secret2', 'defrag'),
  c(
    '(user) snapshot save',
    '--user=alice:secret2',
    '--endpoints={client0}',
    'snapshot',
    'save',
    '{dir}/no.db',
  ),
  c('(user) alarm list', '--user=alice:secret2', 'alarm', 'list'),
  c('(user) alarm disarm', '--user=alice:secret2', 'alarm', 'disarm'),
  { ...c('(user) endpoint health', '--user=alice:secret2', 'endpoint', 'health'), sorted: true },
  c('(user) endpoint hashkv', '--user=alice:secret2', 'endpoint', 'hashkv'),
  {
    ...c('(user) lease grant', '--user=alice:secret2', 'lease', 'grant', '600'),
    capture: { authLease: /lease ([0-9a-f]+) granted/ },
  },
  c('(root) put --lease', root, 'put', 'e2', 'x', '--lease={authLease}'),
  c("(user) put --lease of another's keys", '--user=alice:secret2', 'put', 'w3', 'x', '--lease={authLease}'),
  c("(user) lease revoke of another's keys", '--user=alice:secret2', 'lease', 'revoke', '{authLease}'),
  c(
    "(user) lease timetolive --keys of another's keys",
    '--user=alice:secret2',
    'lease',
    'timetolive',
    '{authLease}',
    '--keys',
  ),
  c('(root) lease revoke', root, 'lease', 'revoke', '{authLease}'),
  c('(root) put', root, 'put', 'k1', 'by root'),
  c('(root) user delete root', root, 'user', 'delete', 'root'),
  c('(root) user revoke-role root', root, 'user', 'revoke-role', 'root', 'root'),
  c('(root) role delete root', root, 'role', 'delete', 'root'),
  c('(root) user revoke-role', root, 'user', 'revoke-role', 'alice', 'reader'),
  c('(revoked) get', '--user=alice:secret2', 'get', 'k1'),
  c('(root) role delete', root, 'role', 'delete', 'reader'),
  c('(root) user delete', root, 'user', 'delete', 'bob'),
  c('(user) auth disable', '--user=alice:secret2', 'auth', 'disable'),
  c('auth disable', root, 'auth', 'disable'),
  c('get (auth disabled again)', 'get', 'k1'),
];

/** The commands of etcdctl by area, in the order in which they are run: later ones build on earlier ones. */
export const etcdctlAreas: Readonly<Record<string, readonly EtcdctlCase[]>> = {
  'keys and transactions': keys,
  watches: watching,
  leases,
  'locks and elections': concurrency,
  cluster: clusterCases,
  maintenance,
  authentication: auth,
  'load checks': load,
};
