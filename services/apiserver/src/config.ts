import { existsSync } from 'node:fs';
import path from 'node:path';
import { admissionOf } from './admission/admission-flags.ts';
import type { EmulatedRelease } from './emulated-release.ts';
import { emulatedRelease } from './emulated-release.ts';
import type { AdmissionConfig } from './admission/config.ts';
import type { AuditConfig } from './audit/audit-config.ts';
import { auditConfigOf } from './audit/audit-flags.ts';
import type { CredentialFiles } from './credential-files.ts';
import { credentialFilesOf } from './credential-files.ts';
import type { SharedConfig } from './shared/shared-config.ts';
import { sharedConfigOf } from './shared/shared-config.ts';
import type { AuthorizationConfig } from './authorization/config.ts';
import type { AuthenticationConfig } from './authentication/config.ts';
import type { ParsedFlags } from '@pilothouse/host';
import { FlagError, parseFlags } from '@pilothouse/host';
import { FlagValues, given } from './flag-values.ts';
import { flagSpecs } from './flags.ts';
import { authenticationOf, authorizationOf } from './security/security-flags.ts';
import type { TlsPolicy } from './tls-policy.ts';
import { tlsPolicyOf } from './tls-policy.ts';
import type { EdgeConfig } from './edge-config.ts';
import { edgeConfigOf } from './edge-config.ts';
import type { TracingConfig } from './tracing-config.ts';
import { readTracingConfig } from './tracing-config.ts';

/** Files of a certificate that is read again when they change. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface StoreConfig {
  /** URLs of the store's members; none: objects live in the memory of this process. */
  readonly endpoints: readonly string[];
  readonly caPem?: string;
  readonly certPem?: string;
  readonly keyPem?: string;
  /** Without a slash at the end: `/registry`. */
  readonly prefix: string;
  /** 0: the store compacts by itself. */
  readonly compactionIntervalMs: number;
}

/** All settings of a server. Times in milliseconds unless the name says otherwise. */
export interface ApiServerConfig {
  readonly bindAddress: string;
  /** 0: any free port. */
  readonly securePort: number;
  /** Address for clients and the kubernetes service. */
  readonly advertiseAddress?: string;
  readonly externalHostname?: string;
  /** Absent: a self-signed certificate that lives as long as the process. `plain`: HTTP without TLS, for tests. */
  readonly tls?: TlsFiles | 'plain';
  readonly tlsPolicy: TlsPolicy;
  readonly store: StoreConfig;
  /** The files behind all that, for following them. */
  readonly credentialFiles: CredentialFiles;
  readonly authentication: AuthenticationConfig;
  readonly authorization: AuthorizationConfig;
  readonly admission: AdmissionConfig;
  readonly runtimeConfig: Readonly<Record<string, string>>;
  readonly featureGates: Readonly<Record<string, boolean>>;
  /** Default: the release of the program. */
  readonly release?: EmulatedRelease;
  readonly serviceClusterIpRange: string;
  readonly serviceNodePortRange: string;
  readonly allowPrivileged: boolean;
  readonly requestTimeoutMs: number;
  readonly minRequestTimeoutSeconds: number;
  readonly maxRequestsInFlight: number;
  readonly maxMutatingRequestsInFlight: number;
  readonly shutdownDelayMs: number;
  readonly shutdownSendRetryAfter: boolean;
  readonly shutdownWatchGraceMs: number;
  readonly goawayChance: number;
  readonly priorityAndFairness: boolean;
  /** Absent: nothing is audited. */
  readonly audit?: AuditConfig;
  /** What all servers share through Redis. */
  readonly redis?: SharedConfig;
  /** Objects are encrypted in the store as this file says. */
  readonly encryption?: { readonly path: string; readonly reload: boolean };
  /** Absent: nothing is traced. */
  readonly tracing?: TracingConfig;
  readonly eventTtlMs: number;
  readonly kubeletPreferredAddressTypes: readonly string[];
  readonly kubeletClient?: { readonly certPem: string; readonly keyPem: string; readonly caPem?: string };
  readonly proxyClient?: { readonly certPem: string; readonly keyPem: string };
  /** Aggregated API servers are reached by endpoints only. */
  readonly aggregatorRouting: boolean;
  /** Default: nothing for browsers, HTTP/2, no grace. */
  readonly edge?: EdgeConfig;
  readonly endpointReconciler: 'lease' | 'none';
  /** Port of nodes for the kubernetes service; undefined: it has none. */
  readonly kubernetesServiceNodePort?: number;
  readonly logLevel: 'debug' | 'info';
}

/** A configuration for tests and local use; `overrides` replace whole members. */
export function defaultConfig(overrides: Partial<ApiServerConfig> = {}): ApiServerConfig {
  return { ...configOf(parseFlags(flagSpecs, ['--authorization-mode=AlwaysAllow'])), ...overrides };
}

/** Reads the command line. Throws FlagError with a text for people; unreadable files are named with their flag. */
export function parseConfig(argv: readonly string[]): {
  config: ApiServerConfig;
  warnings: readonly string[];
} {
  const parsed = parseFlags(flagSpecs, argv);
  if (parsed.positional.length > 0) {
    throw new FlagError(`Unexpected argument "${parsed.positional[0]}": the server takes flags only`);
  }
  return { config: configOf(parsed), warnings: parsed.warnings };
}

function pair<A extends string, B extends string>(
  a: A,
  first: string | undefined,
  b: B,
  second: string | undefined,
): (Record<A, string> & Record<B, string>) | undefined {
  if (first === undefined && second === undefined) return undefined;
  if (first === undefined) throw new FlagError(`Flag --${a} is needed together with --${b}`);
  if (second === undefined) throw new FlagError(`Flag --${b} is needed together with --${a}`);
  return { [a]: first, [b]: second } as Record<A, string> & Record<B, string>;
}

function configOf(parsed: ParsedFlags): ApiServerConfig {
  const values = new FlagValues(parsed);
  refuseUnsupported(values);
  const tls =
    pair(
      'tls-cert-file',
      values.optional('tls-cert-file'),
      'tls-private-key-file',
      values.optional('tls-private-key-file'),
    ) ?? tlsInDirectory(values.text('cert-dir'));
  const kubelet = pair(
    'kubelet-client-certificate',
    values.file('kubelet-client-certificate'),
    'kubelet-client-key',
    values.file('kubelet-client-key'),
  );
  const proxy = pair(
    'proxy-client-cert-file',
    values.file('proxy-client-cert-file'),
    'proxy-client-key-file',
    values.file('proxy-client-key-file'),
  );
  const kubeletCa = values.file('kubelet-certificate-authority');
  return {
    bindAddress: values.text('bind-address'),
    securePort: values.number('secure-port'),
    ...given('advertiseAddress', values.optional('advertise-address')),
    ...given('externalHostname', values.optional('external-hostname')),
    ...(tls ? { tls: { certFile: tls['tls-cert-file'], keyFile: tls['tls-private-key-file'] } } : {}),
    tlsPolicy: tlsPolicyOf(values),
    store: {
      endpoints: values.list('etcd-servers'),
      prefix: `/${values.text('etcd-prefix').replace(/^\/+|\/+$/g, '')}`,
      compactionIntervalMs: values.number('etcd-compaction-interval'),
      ...given('caPem', values.file('etcd-cafile')),
      ...given('certPem', values.file('etcd-certfile')),
      ...given('keyPem', values.file('etcd-keyfile')),
    },
    credentialFiles: credentialFilesOf(values),
    authentication: authenticationOf(values),
    authorization: authorizationOf(values),
    admission: admissionOf(values),
    runtimeConfig: values.map('runtime-config'),
    featureGates: gatesOf(values.map('feature-gates')),
    release: emulatedRelease({
      emulated: values.list('emulated-version'),
      minCompatibility: values.list('min-compatibility-version'),
      forwardCompatible: values.boolean('emulation-forward-compatible'),
      runtimeConfigForwardCompatible: values.boolean('runtime-config-emulation-forward-compatible'),
    }),
    serviceClusterIpRange: values.text('service-cluster-ip-range') || '10.0.0.0/24',
    serviceNodePortRange: values.text('service-node-port-range'),
    allowPrivileged: values.boolean('allow-privileged'),
    requestTimeoutMs: values.number('request-timeout'),
    minRequestTimeoutSeconds: values.number('min-request-timeout'),
    maxRequestsInFlight: values.number('max-requests-inflight'),
    maxMutatingRequestsInFlight: values.number('max-mutating-requests-inflight'),
    shutdownDelayMs: values.number('shutdown-delay-duration'),
    shutdownSendRetryAfter: values.boolean('shutdown-send-retry-after'),
    shutdownWatchGraceMs: values.number('shutdown-watch-termination-grace-period'),
    goawayChance: goawayChanceOf(values),
    priorityAndFairness: values.boolean('enable-priority-and-fairness'),
    ...given('audit', auditConfigOf(values)),
    ...given('redis', sharedConfigOf(values)),
    ...encryptionOf(values),
    ...given('tracing', tracingOf(values)),
    eventTtlMs: values.number('event-ttl'),
    kubeletPreferredAddressTypes: values.list('kubelet-preferred-address-types'),
    ...(kubelet
      ? {
          kubeletClient: {
            certPem: kubelet['kubelet-client-certificate'],
            keyPem: kubelet['kubelet-client-key'],
            ...given('caPem', kubeletCa),
          },
        }
      : {}),
    ...(proxy
      ? { proxyClient: { certPem: proxy['proxy-client-cert-file'], keyPem: proxy['proxy-client-key-file'] } }
      : {}),
    aggregatorRouting: values.boolean('enable-aggregator-routing'),
    edge: edgeConfigOf(values),
    ...kubernetesServiceOf(values),
    logLevel: values.number('v') >= 4 ? 'debug' : 'info',
  };
}

/** The pair under upstream's names, when both files are there. */
function tlsInDirectory(
  directory: string,
): Record<'tls-cert-file' | 'tls-private-key-file', string> | undefined {
  if (directory === '') return undefined;
  const certFile = path.join(directory, 'apiserver.crt');
  const keyFile = path.join(directory, 'apiserver.key');
  if (!existsSync(certFile) || !existsSync(keyFile)) return undefined;
  return { 'tls-cert-file': certFile, 'tls-private-key-file': keyFile };
}

function gatesOf(map: Readonly<Record<string, string>>): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(map).map(([gate, text]) => {
      if (text !== 'true' && text !== 'false') {
        throw new FlagError(`Invalid value "${text}" of feature gate ${gate}: want true or false`);
      }
      return [gate, text === 'true'];
    }),
  );
}

function encryptionOf(values: FlagValues): Pick<ApiServerConfig, 'encryption'> {
  const path = values.optional('encryption-provider-config');
  const reload = values.boolean('encryption-provider-config-automatic-reload');
  if (path !== undefined) return { encryption: { path, reload } };
  if (!reload) return {};
  throw new FlagError(
    '--encryption-provider-config-automatic-reload must be set with --encryption-provider-config',
  );
}

function tracingOf(values: FlagValues): TracingConfig | undefined {
  const text = values.file('tracing-config-file');
  if (text === undefined) return undefined;
  try {
    return readTracingConfig(text);
  } catch (error) {
    throw new FlagError(`Cannot use --tracing-config-file: ${(error as Error).message}`);
  }
}

/** What would change where requests or objects go is refused rather than passed over. */
function refuseUnsupported(values: FlagValues): void {
  if (values.list('etcd-servers-overrides').length > 0)
    throw new FlagError(
      '--etcd-servers-overrides is not supported: all objects are in the store of --etcd-servers',
    );
  if (values.optional('egress-selector-config-file') !== undefined)
    throw new FlagError(
      '--egress-selector-config-file is not supported: nodes, webhooks and the store are reached directly',
    );
  const backend = values.optional('storage-backend');
  if (backend !== undefined && backend !== 'etcd3')
    throw new FlagError(
      `--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'`,
    );
}

function kubernetesServiceOf(
  values: FlagValues,
): Pick<ApiServerConfig, 'endpointReconciler' | 'kubernetesServiceNodePort'> {
  const type = values.text('endpoint-reconciler-type');
  if (type === 'master-count')
    throw new FlagError('--endpoint-reconciler-type=master-count is not supported: use lease, or none');
  if (type !== 'lease' && type !== 'none')
    throw new FlagError(`--endpoint-reconciler-type=${type} is not one of lease, none`);
  const port = values.number('kubernetes-service-node-port');
  if (port < 0 || port > 65_535)
    throw new FlagError(
      `--kubernetes-service-node-port ${port} must be between 0 and 65535, inclusive. If 0, the Kubernetes master service will be of type ClusterIP`,
    );
  return { endpointReconciler: type, ...(port === 0 ? {} : { kubernetesServiceNodePort: port }) };
}

function goawayChanceOf(values: FlagValues): number {
  const chance = values.number('goaway-chance');
  if (chance < 0 || chance > 0.02)
    throw new FlagError('--goaway-chance can not be less than 0 or greater than 0.02');
  return chance;
}
