import type { FlagSpecs, FlagValue } from './flags.ts';

/** Who may read what a component tells of itself is asked of the API server. Times in milliseconds. */
export interface DelegatedAccessSettings {
  /** Kubeconfigs with the right to make TokenReviews and SubjectAccessReviews; empty: nobody is asked. */
  readonly authenticationKubeconfig: string;
  readonly authorizationKubeconfig: string;
  /** Paths that need no authorization; a `*` at the end stands for all that begin so. */
  readonly alwaysAllowPaths: readonly string[];
  readonly tokenTtlMs: number;
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  /** PEM file with the authority of client certificates; empty: as the cluster publishes it, unless the look-up is skipped. */
  readonly clientCaFile: string;
  readonly skipLookup: boolean;
}

/** The flags of component-base's delegated authentication and authorization. */
export const delegatedAccessFlags: FlagSpecs = {
  'authentication-kubeconfig': {
    type: 'string',
    default: '',
    help: 'Kubeconfig to ask with whose token a caller of the health and metrics server has',
  },
  'authentication-skip-lookup': {
    type: 'boolean',
    default: false,
    help: 'Do not look up the authority of client certificates in the cluster',
  },
  'authentication-token-webhook-cache-ttl': {
    type: 'duration',
    default: '10s',
    help: 'How long the answer to a token counts',
  },
  'authorization-kubeconfig': {
    type: 'string',
    default: '',
    help: 'Kubeconfig to ask with who may read /metrics; with neither this one nor the other everybody may',
  },
  'authorization-always-allow-paths': {
    type: 'strings',
    default: ['/healthz', '/readyz', '/livez'],
    help: 'Paths that need no authorization',
  },
  'authorization-webhook-cache-authorized-ttl': {
    type: 'duration',
    default: '10s',
    help: 'How long a yes counts',
  },
  'authorization-webhook-cache-unauthorized-ttl': {
    type: 'duration',
    default: '10s',
    help: 'How long a no counts',
  },
  'client-ca-file': {
    type: 'string',
    default: '',
    help: 'Authority of client certificates, instead of the one that the cluster publishes',
  },
};

/** Undefined: neither kubeconfig is given, and everybody may read everything. */
export function delegatedAccessSettings(
  values: Readonly<Record<string, FlagValue>>,
): DelegatedAccessSettings | undefined {
  const text = (name: string): string => values[name] as string;
  const number = (name: string): number => values[name] as number;
  if (text('authentication-kubeconfig') === '' && text('authorization-kubeconfig') === '') return undefined;
  return {
    authenticationKubeconfig: text('authentication-kubeconfig'),
    authorizationKubeconfig: text('authorization-kubeconfig'),
    alwaysAllowPaths: values['authorization-always-allow-paths'] as string[],
    tokenTtlMs: number('authentication-token-webhook-cache-ttl'),
    authorizedTtlMs: number('authorization-webhook-cache-authorized-ttl'),
    unauthorizedTtlMs: number('authorization-webhook-cache-unauthorized-ttl'),
    clientCaFile: text('client-ca-file'),
    skipLookup: values['authentication-skip-lookup'] === true,
  };
}
