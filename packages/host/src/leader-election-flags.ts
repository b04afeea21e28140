import os from 'node:os';
import type { Random } from '@pilothouse/base';
import { uuid } from '@pilothouse/base';
import type { FlagSpecs, FlagValue } from './flags.ts';
import { FlagError } from './flags.ts';

/** Times in milliseconds. */
export interface LeaderElectionSettings {
  readonly namespace: string;
  readonly name: string;
  /** Unique for each run of the program. */
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

/** The `--leader-elect…` flags of a component whose lease is called `leaseName` (component-base's defaults). */
export function leaderElectionFlags(leaseName: string): FlagSpecs {
  return {
    'leader-elect': { type: 'boolean', default: true, help: 'Work only while holding the lease' },
    'leader-elect-lease-duration': {
      type: 'duration',
      default: '15s',
      help: 'How long a lease lives without renewal',
    },
    'leader-elect-renew-deadline': {
      type: 'duration',
      default: '10s',
      help: 'How long the holder tries to renew before it steps down',
    },
    'leader-elect-retry-period': { type: 'duration', default: '2s', help: 'Between attempts' },
    'leader-elect-resource-lock': {
      type: 'string',
      default: 'leases',
      help: 'Kind of the lock; leases only',
    },
    'leader-elect-resource-name': { type: 'string', default: leaseName, help: 'Name of the lease' },
    'leader-elect-resource-namespace': {
      type: 'string',
      default: 'kube-system',
      help: 'Namespace of the lease',
    },
  };
}

/** What the flags ask for; undefined with `--leader-elect=false`. The instance's name is PILOTHOUSE_INSTANCE, else the host's. */
export function leaderElectionSettings(
  values: Readonly<Record<string, FlagValue>>,
  environment: NodeJS.ProcessEnv,
  random: Random,
): LeaderElectionSettings | undefined {
  const text = (name: string): string => values[`leader-elect-${name}`] as string;
  const number = (name: string): number => values[`leader-elect-${name}`] as number;
  if (text('resource-lock') !== 'leases') {
    throw new FlagError(
      `Invalid value "${text('resource-lock')}" for --leader-elect-resource-lock: want leases`,
    );
  }
  if (values['leader-elect'] !== true) return undefined;
  const settings = {
    namespace: text('resource-namespace'),
    name: text('resource-name'),
    identity: `${environment['PILOTHOUSE_INSTANCE'] ?? os.hostname()}_${uuid(random)}`,
    leaseDurationMs: number('lease-duration'),
    renewDeadlineMs: number('renew-deadline'),
    retryPeriodMs: number('retry-period'),
  };
  if (settings.leaseDurationMs <= settings.renewDeadlineMs)
    throw new FlagError(
      'Invalid leader election: --leader-elect-lease-duration must exceed the renew deadline',
    );
  if (settings.renewDeadlineMs <= settings.retryPeriodMs * 1.2)
    throw new FlagError(
      'Invalid leader election: --leader-elect-renew-deadline must exceed 1.2 times the retry period',
    );
  return settings;
}
