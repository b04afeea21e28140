import { FlagError } from '@pilothouse/host';
import type {
  AuthenticationConfig,
  ConfigFile,
  RequestHeaderConfig,
  ServiceAccountConfig,
} from '../authentication/config.ts';
import type { OidcFlags } from '../authentication/jwt/configuration.ts';
import type { AuthorizationConfig, AuthorizationMode } from '../authorization/config.ts';
import type { FlagValues } from '../flag-values.ts';
import { given, readFile } from '../flag-values.ts';

const modes: readonly string[] = ['AlwaysAllow', 'AlwaysDeny', 'ABAC', 'Webhook', 'RBAC', 'Node'];
const oidcFlags = [
  'oidc-issuer-url',
  'oidc-client-id',
  'oidc-ca-file',
  'oidc-username-claim',
  'oidc-username-prefix',
  'oidc-groups-claim',
  'oidc-groups-prefix',
  'oidc-signing-algs',
  'oidc-required-claim',
];

/** The flags of authentication. Throws FlagError. */
export function authenticationOf(values: FlagValues): AuthenticationConfig {
  const structured = fileOf(values, 'authentication-config');
  const hasOidc = oidcFlags.some((flag) => values.isGiven(flag));
  if (structured !== undefined && hasOidc)
    throw new FlagError('authentication-config file and oidc-* flags are mutually exclusive');
  const isAnonymousInFile = structured !== undefined && /^\s*"?anonymous"?\s*:/m.test(structured.text);
  if (isAnonymousInFile && values.isGiven('anonymous-auth')) {
    throw new FlagError(
      'anonymous: Forbidden: --anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file',
    );
  }
  return {
    ...given('clientCaPem', values.file('client-ca-file')),
    ...given('requestHeader', requestHeaderOf(values)),
    ...given('tokenFile', values.file('token-auth-file')),
    ...given('serviceAccounts', serviceAccountsOf(values)),
    bootstrapTokens: values.boolean('enable-bootstrap-token-auth'),
    ...given('structured', structured),
    ...(hasOidc ? { oidc: oidcOf(values) } : {}),
    ...given('tokenWebhook', tokenWebhookOf(values)),
    anonymous: { enabled: values.boolean('anonymous-auth') },
  };
}

function serviceAccountsOf(values: FlagValues): ServiceAccountConfig | undefined {
  const issuers = values.list('service-account-issuer');
  const signingKeyPem = values.file('service-account-signing-key-file');
  const keyPems = values
    .list('service-account-key-file')
    .map((path) => readFile('service-account-key-file', path));
  if (keyPems.length === 0 && signingKeyPem !== undefined) keyPems.push(signingKeyPem);
  const audiences = values.list('api-audiences');
  const maxExpirationMs = values.number('service-account-max-token-expiration');
  const signingEndpoint = values.optional('service-account-signing-endpoint');
  if (signingEndpoint !== undefined) checkSigningEndpoint(signingEndpoint, keyPems.length > 0);
  if (issuers.length === 0) return undefined;
  return {
    issuers,
    keyPems,
    ...given('signingKeyPem', signingKeyPem),
    ...given('signingEndpoint', signingEndpoint),
    lookup: values.boolean('service-account-lookup'),
    ...(audiences.length > 0 ? { apiAudiences: audiences } : {}),
    extendExpiration: values.boolean('service-account-extend-token-expiration'),
    ...(maxExpirationMs > 0 ? { maxExpirationSeconds: maxExpirationMs / 1000 } : {}),
    ...given('jwksUri', values.optional('service-account-jwks-uri')),
  };
}

function checkSigningEndpoint(endpoint: string, hasKeys: boolean): void {
  if (hasKeys) {
    throw new FlagError(
      "can't set `--service-account-signing-key-file` and/or `--service-account-key-file` with `--service-account-signing-endpoint` (They are mutually exclusive)",
    );
  }
  if (endpoint.startsWith('@') && !/^@([a-zA-Z0-9_-]+\.)*[a-zA-Z0-9_-]+$/.test(endpoint)) {
    throw new FlagError(
      `invalid value ${JSON.stringify(endpoint)} passed for \`--service-account-signing-endpoint\`, when prefixed with @ must be a valid abstract socket name`,
    );
  }
}

function requestHeaderOf(values: FlagValues): RequestHeaderConfig | undefined {
  const caPem = values.file('requestheader-client-ca-file');
  if (caPem === undefined) return undefined;
  return {
    caPem,
    allowedNames: values.list('requestheader-allowed-names'),
    usernameHeaders: values.list('requestheader-username-headers'),
    groupHeaders: values.list('requestheader-group-headers'),
    uidHeaders: values.list('requestheader-uid-headers'),
    extraHeaderPrefixes: values.list('requestheader-extra-headers-prefix'),
  };
}

function oidcOf(values: FlagValues): OidcFlags {
  const issuerUrl = values.text('oidc-issuer-url');
  const clientId = values.text('oidc-client-id');
  if (issuerUrl === '' || clientId === '') {
    throw new FlagError(
      'oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set',
    );
  }
  return {
    issuerUrl,
    clientId,
    ...given('caPem', values.file('oidc-ca-file')),
    usernameClaim: values.text('oidc-username-claim'),
    usernamePrefix: values.text('oidc-username-prefix'),
    groupsClaim: values.text('oidc-groups-claim'),
    groupsPrefix: values.text('oidc-groups-prefix'),
    requiredClaims: values.map('oidc-required-claim'),
    signingAlgorithms: values.list('oidc-signing-algs'),
  };
}

function tokenWebhookOf(values: FlagValues): AuthenticationConfig['tokenWebhook'] {
  const kubeconfig = values.optional('authentication-token-webhook-config-file');
  if (kubeconfig === undefined) return undefined;
  return {
    kubeconfig,
    version: reviewVersion(values, 'authentication-token-webhook-version', 'authentication'),
    cacheTtlMs: values.number('authentication-token-webhook-cache-ttl'),
  };
}

function reviewVersion(values: FlagValues, flag: string, what: string): 'v1' | 'v1beta1' {
  const version = values.text(flag);
  if (version === 'v1' || version === 'v1beta1') return version;
  throw new FlagError(
    `unsupported ${what} webhook version "${version}", supported versions are "v1", "v1beta1"`,
  );
}

/** The flags of authorization. Throws FlagError in upstream's words. */
export function authorizationOf(values: FlagValues): AuthorizationConfig {
  const structured = fileOf(values, 'authorization-config');
  const webhookFile = values.optional('authorization-webhook-config-file');
  const policyFile = fileOf(values, 'authorization-policy-file');
  if (structured !== undefined) {
    const others = [
      'authorization-mode',
      'authorization-webhook-config-file',
      'authorization-webhook-version',
      'authorization-webhook-cache-authorized-ttl',
      'authorization-webhook-cache-unauthorized-ttl',
    ];
    if (others.some((flag) => values.isGiven(flag))) {
      throw new FlagError(
        '--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags are defined',
      );
    }
    return { modes: [], structured, ...given('policyFile', policyFile) };
  }
  const asked = values.list('authorization-mode');
  const chosen = asked.length === 0 ? ['AlwaysAllow'] : asked;
  for (const mode of chosen) {
    if (!modes.includes(mode)) throw new FlagError(`authorization-mode "${mode}" is not a valid mode`);
  }
  if (new Set(chosen).size < chosen.length) {
    const shown = chosen.map((mode) => `"${mode}"`).join(' ');
    throw new FlagError(`authorization-mode [${shown}] has mode specified more than once`);
  }
  const needs = (mode: string, isThere: boolean, what: string, flag: string): void => {
    if (chosen.includes(mode) && !isThere)
      throw new FlagError(`authorization-mode ${mode}'s authorization ${what} file not passed`);
    if (!chosen.includes(mode) && isThere)
      throw new FlagError(`cannot specify --${flag} without mode ${mode}`);
  };
  needs('ABAC', policyFile !== undefined, 'policy', 'authorization-policy-file');
  needs('Webhook', webhookFile !== undefined, 'config', 'authorization-webhook-config-file');
  return {
    modes: chosen as AuthorizationMode[],
    ...given('policyFile', policyFile),
    ...(webhookFile === undefined
      ? {}
      : {
          webhook: {
            kubeconfig: webhookFile,
            reviewVersion: reviewVersion(values, 'authorization-webhook-version', 'authorization'),
            authorizedTtlMs: values.number('authorization-webhook-cache-authorized-ttl'),
            unauthorizedTtlMs: values.number('authorization-webhook-cache-unauthorized-ttl'),
          },
        }),
  };
}

function fileOf(values: FlagValues, flag: string): ConfigFile | undefined {
  const file = values.optional(flag);
  return file === undefined ? undefined : { file, text: readFile(flag, file) };
}
