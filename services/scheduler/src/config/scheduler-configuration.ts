import type { FieldError } from '@pilothouse/apimachinery';
import { fieldError, FieldPath } from '@pilothouse/apimachinery';
import type { ConfigShape } from '@pilothouse/serializer/documents';
import { joinedFindings, parseDuration, readConfigDocument } from '@pilothouse/serializer/documents';
import type { PluginSets } from '../core/build-profile.ts';
import { buildProfile } from '../core/build-profile.ts';
import { defaultPluginOptions, extensionPoints } from '../core/plugin-catalog.ts';
import type { Profile } from '../core/profile.ts';
import type { QueueLimits } from '../core/scheduling-queue.ts';
import { pluginArgs } from './plugin-args.ts';

export const schedulerConfigGroup = 'kubescheduler.config.k8s.io';

/** What a file given with --config says. */
export interface SchedulerConfiguration {
  readonly profiles: readonly Profile[];
  readonly queue: QueueLimits;
  /** clientConnection.kubeconfig. */
  readonly kubeconfig: string;
  /** As the flags of the same names; undefined: not said. Times in milliseconds. */
  readonly leaderElection: {
    readonly leaderElect?: boolean;
    readonly leaseDurationMs?: number;
    readonly renewDeadlineMs?: number;
    readonly retryPeriodMs?: number;
    readonly resourceLock?: string;
    readonly resourceName?: string;
    readonly resourceNamespace?: string;
  };
}

const pluginSetShape: ConfigShape = {
  fields: {
    enabled: { list: { fields: { name: 'string', weight: 'number' } } },
    disabled: { list: { fields: { name: 'string', weight: 'number' } } },
  },
};
const points = [...extensionPoints, 'multiPoint'] as const;

const shape: Readonly<Record<string, ConfigShape>> = {
  parallelism: 'number',
  leaderElection: {
    fields: {
      leaderElect: 'boolean',
      leaseDuration: 'string',
      renewDeadline: 'string',
      retryPeriod: 'string',
      resourceLock: 'string',
      resourceName: 'string',
      resourceNamespace: 'string',
    },
  },
  clientConnection: {
    fields: {
      kubeconfig: 'string',
      acceptContentTypes: 'string',
      contentType: 'string',
      qps: 'number',
      burst: 'number',
    },
  },
  enableProfiling: 'boolean',
  enableContentionProfiling: 'boolean',
  percentageOfNodesToScore: 'number',
  podInitialBackoffSeconds: 'number',
  podMaxBackoffSeconds: 'number',
  profiles: {
    list: {
      fields: {
        schedulerName: 'string',
        percentageOfNodesToScore: 'number',
        plugins: { fields: Object.fromEntries(points.map((point) => [point, pluginSetShape])) },
        pluginConfig: { list: { fields: { name: 'string', args: 'any' } } },
      },
    },
  },
  extenders: { list: 'any' },
  delayCacheUntilActive: 'boolean',
};

interface GivenProfile {
  readonly schedulerName?: string;
  readonly percentageOfNodesToScore?: number;
  readonly plugins?: PluginSets;
  readonly pluginConfig?: readonly {
    readonly name?: string;
    readonly args?: Readonly<Record<string, unknown>>;
  }[];
}

interface Given {
  readonly parallelism?: number;
  readonly leaderElection?: Readonly<Record<string, string | boolean>>;
  readonly clientConnection?: { readonly kubeconfig?: string; readonly burst?: number };
  readonly percentageOfNodesToScore?: number;
  readonly podInitialBackoffSeconds?: number;
  readonly podMaxBackoffSeconds?: number;
  readonly profiles?: readonly GivenProfile[];
  readonly extenders?: readonly unknown[];
}

/**
 * Reads a KubeSchedulerConfiguration of `kubescheduler.config.k8s.io/v1` (YAML or JSON). Throws an Error with all findings. `parallelism`,
 * limits of the client and profiling have no effect here; extenders are refused.
 */
export function parseSchedulerConfiguration(text: string): SchedulerConfiguration {
  const given = readConfigDocument(
    text,
    'KubeSchedulerConfiguration',
    ['v1'],
    shape,
    schedulerConfigGroup,
  ) as Given;
  const profiles = given.profiles === undefined || given.profiles.length === 0 ? [{}] : given.profiles;
  const errors = findings(given, profiles);
  const built = profiles.map((profile, index) => {
    const { options, problems } = optionsOf(profile, new FieldPath('profiles').index(index));
    errors.push(...problems);
    return {
      // One profile alone needs no name.
      schedulerName: profile.schedulerName ?? (profiles.length === 1 ? 'default-scheduler' : ''),
      percentageOfNodesToScore: profile.percentageOfNodesToScore ?? given.percentageOfNodesToScore ?? 0,
      plugins: profile.plugins ?? {},
      options,
    };
  });
  const initial = given.podInitialBackoffSeconds ?? 1;
  const longest = given.podMaxBackoffSeconds ?? 10;
  if (errors.length > 0) throw new Error(joinedFindings(errors));
  return {
    profiles: built.map((settings) => {
      try {
        return buildProfile(settings);
      } catch (error) {
        throw new Error(
          `initializing profiles: creating profile for scheduler name ${settings.schedulerName}: ${(error as Error).message}`,
          { cause: error },
        );
      }
    }),
    queue: { initialBackoffMs: initial * 1000, maxBackoffMs: longest * 1000 },
    kubeconfig: given.clientConnection?.kubeconfig ?? '',
    leaderElection: electionOf(given.leaderElection ?? {}),
  };
}

function findings(given: Given, profiles: readonly GivenProfile[]): FieldError[] {
  const root = new FieldPath();
  const errors: FieldError[] = [];
  const { parallelism = 16, podInitialBackoffSeconds = 1, podMaxBackoffSeconds = 10 } = given;
  const burst = given.clientConnection?.burst ?? 0;
  if (burst < 0)
    errors.push(fieldError.invalid(root.child('clientConnection', 'burst'), burst, 'must be non-negative'));
  if (parallelism <= 0)
    errors.push(
      fieldError.invalid(
        root.child('parallelism'),
        parallelism,
        'should be an integer value greater than zero',
      ),
    );
  const first = new Map<string, number>();
  profiles.forEach((profile, index) => {
    const at = root.child('profiles').index(index);
    const name = profile.schedulerName ?? (profiles.length === 1 ? 'default-scheduler' : '');
    if (name === '') errors.push(fieldError.required(at.child('schedulerName')));
    errors.push(
      ...percentageFindings(at.child('percentageOfNodesToScore'), profile.percentageOfNodesToScore),
    );
    const other = first.get(name);
    if (other === undefined) first.set(name, index);
    else
      errors.push(
        fieldError.duplicate(
          at.child('schedulerName'),
          root.child('profiles').index(other).child('schedulerName').text,
        ),
      );
    const queueSort = JSON.stringify(profile.plugins?.queueSort ?? {});
    if (queueSort !== JSON.stringify(profiles[0]?.plugins?.queueSort ?? {}))
      errors.push(
        fieldError.invalid(
          at.child('plugins', 'queueSort'),
          profile.plugins?.queueSort ?? {},
          'must be the same for all profiles',
        ),
      );
  });
  errors.push(...percentageFindings(root.child('percentageOfNodesToScore'), given.percentageOfNodesToScore));
  if (podInitialBackoffSeconds <= 0)
    errors.push(
      fieldError.invalid(
        root.child('podInitialBackoffSeconds'),
        podInitialBackoffSeconds,
        'must be greater than 0',
      ),
    );
  if (podMaxBackoffSeconds < podInitialBackoffSeconds)
    errors.push(
      fieldError.invalid(
        root.child('podMaxBackoffSeconds'),
        podMaxBackoffSeconds,
        'must be greater than or equal to PodInitialBackoffSeconds',
      ),
    );
  if ((given.extenders ?? []).length > 0)
    errors.push(
      fieldError.forbidden(root.child('extenders'), 'this scheduler asks no extenders; remove them'),
    );
  return errors;
}

function percentageFindings(path: FieldPath, value: number | undefined): FieldError[] {
  return value !== undefined && (value < 0 || value > 100)
    ? [fieldError.invalid(path, value, 'not in valid range [0-100]')]
    : [];
}

function optionsOf(
  { pluginConfig = [] }: GivenProfile,
  path: FieldPath,
): { options: typeof defaultPluginOptions; problems: FieldError[] } {
  const options = { ...defaultPluginOptions };
  const problems: FieldError[] = [];
  const seen = new Set<string>();
  pluginConfig.forEach(({ name = '', args = {} }, index) => {
    const at = path.child('pluginConfig').index(index);
    if (seen.has(name)) problems.push(fieldError.duplicate(at, name));
    seen.add(name);
    const reader = pluginArgs[name];
    if (reader === undefined) {
      problems.push(fieldError.invalid(at.child('name'), name, 'no plugin of this name takes arguments'));
      return;
    }
    const { apiVersion = `${schedulerConfigGroup}/v1`, kind = `${name}Args`, ...rest } = args;
    try {
      const document = JSON.stringify({ apiVersion, kind, ...rest });
      readConfigDocument(document, `${name}Args`, ['v1'], reader.fields, schedulerConfigGroup);
    } catch (error) {
      throw new Error(
        `decoding ${at.toString()}: decoding args for plugin ${name}: ${(error as Error).message}`,
        { cause: error },
      );
    }
    problems.push(...reader.read(rest, at.child('args'), options));
  });
  return { options, problems };
}

function electionOf(
  given: Readonly<Record<string, string | boolean>>,
): SchedulerConfiguration['leaderElection'] {
  const text = (name: string): string | undefined => given[name] as string | undefined;
  const duration = (name: string): number | undefined => {
    const value = text(name);
    return value === undefined ? undefined : parseDuration(value) / 1e6;
  };
  const known = {
    leaderElect: given['leaderElect'] as boolean | undefined,
    leaseDurationMs: duration('leaseDuration'),
    renewDeadlineMs: duration('renewDeadline'),
    retryPeriodMs: duration('retryPeriod'),
    resourceLock: text('resourceLock'),
    resourceName: text('resourceName'),
    resourceNamespace: text('resourceNamespace'),
  };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}
