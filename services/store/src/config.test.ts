import { test } from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseConfig, type ParsedConfig } from './config.ts';

function parse(argv: readonly string[], env: Record<string, string> = {}): ParsedConfig {
  const result = parseConfig(argv, env);
  assert.ok(result.kind === 'config');
  return result;
}

test('the command line wins over the environment; unknown variables only warn', () => {
  const env = {
    ETCD_NAME: 'from-env',
    ETCD_SNAPSHOT_COUNT: '7',
    ETCD_VERIFY: 'all',
    ETCD_NO_SUCH: '1',
    PATH: '/bin',
  };
  const { config, warnings } = parse(['--name', 'given', '-heartbeat-interval=50'], env);
  assert.deepEqual([config.name, config.snapshotCount, config.heartbeatMs], ['given', 7, 50]);
  assert.equal(config.dataDir, path.resolve('given.etcd'));
  assert.deepEqual([...config.initialCluster], [['given', ['http://localhost:2380']]]);
  assert.deepEqual(warnings, ['unrecognized environment variable ETCD_NO_SUCH']);
});

test('a configuration file replaces flags and environment; its durations are nanoseconds', () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'pilothouse-config-')), 'etcd.yaml');
  fs.writeFileSync(
    file,
    'name: filed\nwatch-progress-notify-interval: 500000000\nclient-transport-security:\n  client-cert-auth: true\n  cert-file: a.crt\n',
  );
  const { config } = parse([`--config-file=${file}`, '--name=ignored'], { ETCD_SNAPSHOT_COUNT: '7' });
  assert.deepEqual(
    [config.name, config.snapshotCount, config.watchProgressNotifyIntervalMs],
    ['filed', 10_000, 500],
  );
  assert.deepEqual([config.clientTls.clientCertAuth, config.clientTls.certFile], [true, 'a.crt']);
  fs.rmSync(path.dirname(file), { recursive: true });
});

test('URL lists, quotas and retentions are understood', () => {
  const { config } = parse([
    '--listen-client-urls=http://127.0.0.1:1,unix://localhost:20000',
    '--advertise-client-urls=http://127.0.0.1:1',
    '--quota-backend-bytes=-1',
    '--auto-compaction-retention=1h30m',
    '--initial-cluster=a=http://1.1.1.1:1,a=http://1.1.1.2:1,b=http://1.1.1.3:1',
  ]);
  assert.deepEqual(
    config.listenClientUrls.map(({ host, port, socketPath }) => [host, port, socketPath]),
    [
      ['127.0.0.1', 1, undefined],
      ['', 0, 'localhost:20000'],
    ],
  );
  assert.equal(config.quotaBytes, 0);
  assert.equal(config.autoCompactionRetention, 5_400_000);
  assert.deepEqual(config.initialCluster.get('a'), ['http://1.1.1.1:1', 'http://1.1.1.2:1']);
});

test('bad values are refused with the flag and what is wanted', () => {
  const table: readonly (readonly [string, RegExp])[] = [
    [
      '--election-timeout=100',
      /--election-timeout\[100ms\] should be at least as 5 times as --heartbeat-interval\[100ms\]/,
    ],
    ['--listen-peer-urls=localhost:1', /Invalid URL "localhost:1" for --listen-peer-urls/],
    ['--listen-peer-urls=http://example.com:1', /expected IP in URL for binding/],
    ['--v2-deprecation=not-yet', /invalid value "not-yet" for flag -v2-deprecation: invalid value "not-yet"/],
    [
      '--listen-metrics-urls=https://127.0.0.1:1',
      /client TLS key\/cert \(--cert-file, --key-file\) must be provided for metrics secure url/,
    ],
    ['--no-such-flag', /Unknown flag --no-such-flag/],
    ['grpc-proxy', /"grpc-proxy" is not part of this program: give clients/],
    ['--initial-cluster-state=maybe', /want new or existing/],
  ];
  for (const [flag, message] of table) assert.throws(() => parseConfig([flag], {}), { message }, flag);
  assert.equal(parseConfig(['--version'], {}).kind, 'version');
});

test('flags of etcd 3.5 work under their old names; what cannot be done is refused', () => {
  const old = parseConfig(
    ['--experimental-initial-corrupt-check=true', '--experimental-watch-progress-notify-interval=5s'],
    {},
  );
  assert.ok(old.kind === 'config');
  assert.equal(old.config.features.InitialCorruptCheck, true);
  assert.equal(old.config.watchProgressNotifyIntervalMs, 5000);
  assert.equal(old.warnings.length, 2);
  for (const [flag, wanted] of [
    ['--discovery-token=abc', /--discovery-endpoints and --discovery-token must be set together/],
    ['--discovery=http://d/abc', /--discovery is not supported: use --discovery-token/],
    ['--enable-log-rotation', /--log-outputs requires a single file path/],
    ['--feature-gates=Nothing=true', /unrecognized feature gate: Nothing/],
    ['--feature-gates=LeaseCheckpointPersist=true', /requires enabling feature gate LeaseCheckpoint/],
    ['--auth-token=jwt,sign-method=none,priv-key=x', /sign-method must be one of/],
    ['--auth-token=jwt,sign-method=RS256', /priv-key/],
    ['--tls-min-version=TLS1.0', /unexpected TLS version/],
    ['--cipher-suites=TLS_FAST', /unexpected TLS cipher suite "TLS_FAST"/],
    ['--no-such-flag', /Unknown flag --no-such-flag/],
  ] as const) {
    assert.throws(() => parseConfig([flag], {}), wanted);
  }
});

test('members by DNS and rotated logs: what the flags mean, and what contradicts', () => {
  const configOf = (...flags: string[]) => {
    const parsed = parseConfig(flags, {});
    assert.ok(parsed.kind === 'config');
    return parsed.config;
  };
  assert.deepEqual(configOf('--discovery-srv=example.com', '--discovery-srv-name=a').srv, {
    domain: 'example.com',
    suffix: 'a',
  });
  assert.throws(
    () => configOf('--discovery-srv=example.com', '--initial-cluster=default=http://1.1.1.1:1'),
    /multiple discovery or bootstrap flags/,
  );
  const rotated = (json: string): unknown =>
    configOf('--log-outputs=/x/etcd.log', '--enable-log-rotation', `--log-rotation-config-json=${json}`)
      .logRotation;
  assert.deepEqual(rotated('{"maxsize": 2, "maxage": 1, "maxbackups": 3, "compress": true}'), {
    bytesMax: 2 * 1024 * 1024,
    ageMaxMs: 86_400_000,
    backupsMax: 3,
    isLocalTime: false,
    isCompressed: true,
  });
  assert.throws(() => rotated('{"maxsize": true}'), /invalid log rotation config .*maxsize/);
  assert.throws(() => rotated('{"maxsize"'), /improperly formatted log rotation config/);
  assert.throws(
    () => configOf('--log-outputs=/x/a,/x/b', '--enable-log-rotation'),
    /--log-outputs requires a single file path/,
  );
});
