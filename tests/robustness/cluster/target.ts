import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** An etcd server to put to the test. */
export interface Target {
  readonly name: 'pilothouse' | 'etcd';
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly flags: (options: {
    readonly snapshotCount: number;
    readonly catchUp: number;
  }) => readonly string[];
  /** What it is known not to keep; those checks are left out, with a line in the report. */
  readonly exceptions: ReadonlySet<'manualProgress' | 'clock' | 'stateChecksum'>;
  /** How much earlier than promised a lease may end, milliseconds. */
  readonly leaseSlackMs: number;
}

/** Our store as it is shipped: the executable that stands where `etcd` stood. `twin`: broken in one way, by a module loaded before it. */
export function pilothouseTarget(twin: string | undefined): Target {
  const program = path.join(root, 'services/store/bin/etcd');
  const breaker = path.join(root, 'tests/robustness/twins/break.mjs');
  return {
    name: 'pilothouse',
    command: [process.execPath, ...(twin === undefined ? [] : ['--import', breaker]), program],
    environment: twin === undefined ? {} : { ROBUSTNESS_TWIN: twin },
    flags: ({ snapshotCount, catchUp }) => [
      `--snapshot-count=${snapshotCount}`,
      `--snapshot-catchup-entries=${catchUp}`,
    ],
    exceptions: new Set(),
    leaseSlackMs: 0,
  };
}

/** A real etcd: the program named by `file`. Throws when there is none. */
export function etcdTarget(file: string): Target {
  const answer = spawnSync(file, ['--version'], { encoding: 'utf8' });
  const version = /etcd Version: (\d+)\.(\d+)\.(\d+)/.exec(answer.stdout ?? '');
  if (!version) throw new Error(`Cannot run "${file}": set ROBUSTNESS_ETCD to the etcd program`);
  const [major, minor, patch] = version.slice(1).map(Number) as [number, number, number];
  const isOld = major < 3 || (major === 3 && (minor < 5 || (minor === 5 && patch < 13)));
  return {
    name: 'etcd',
    command: [file],
    environment: { ETCD_UNSUPPORTED_ARCH: 'amd64' },
    flags: ({ snapshotCount, catchUp }) => [
      `--snapshot-count=${snapshotCount}`,
      ...(minor >= 6 ? [`--snapshot-catchup-entries=${catchUp}`] : []),
      '--logger=zap',
      '--pre-vote=true',
    ],
    // Before 3.5.13 an answer to a progress request may overtake events. A Go program asks the kernel for the time without libc.
    exceptions: new Set(['clock', 'stateChecksum', ...(isOld ? (['manualProgress'] as const) : [])]),
    // A leader that was cut off renews until it steps down.
    leaseSlackMs: 1500,
  };
}

export const isBuilt = (): boolean => existsSync(path.join(root, 'services/store/dist/index.js'));
