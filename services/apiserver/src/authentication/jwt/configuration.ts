import type { Shape } from '../../security/config-document.ts';
import { joinedFindings, readConfigDocument } from '../../security/config-document.ts';
import { validateJwtAuthenticator } from './validation.ts';
import type { ClaimPrograms } from './claim-programs.ts';
import { FieldPath, fieldError } from '@pilothouse/apimachinery';

export interface PrefixedClaimOrExpression {
  readonly claim?: string;
  readonly prefix?: string;
  readonly expression?: string;
}

/** apiserver.config.k8s.io JWTAuthenticator. */
export interface JwtAuthenticatorConfig {
  readonly issuer: {
    readonly url: string;
    readonly discoveryURL?: string;
    readonly certificateAuthority?: string;
    readonly audiences: readonly string[];
    readonly audienceMatchPolicy?: string;
    readonly egressSelectorType?: string;
  };
  readonly claimValidationRules?: readonly {
    readonly claim?: string;
    readonly requiredValue?: string;
    readonly expression?: string;
    readonly message?: string;
  }[];
  readonly claimMappings: {
    readonly username: PrefixedClaimOrExpression;
    readonly groups?: PrefixedClaimOrExpression;
    readonly uid?: { readonly claim?: string; readonly expression?: string };
    readonly extra?: readonly { readonly key: string; readonly valueExpression: string }[];
  };
  readonly userValidationRules?: readonly { readonly expression?: string; readonly message?: string }[];
  /** Signatures that are taken; default: all asymmetric ones of JWA but EdDSA. */
  readonly signingAlgorithms?: readonly string[];
}

/** What the `anonymous` section says. */
export interface AnonymousSection {
  readonly enabled: boolean;
  /** Only these paths (exact); absent: all. */
  readonly paths?: readonly string[];
}

/** A checked AuthenticationConfiguration. */
export interface StructuredAuthentication {
  readonly jwt: readonly { readonly config: JwtAuthenticatorConfig; readonly programs: ClaimPrograms }[];
  readonly anonymous?: AnonymousSection;
}

const prefixed: Shape = { fields: { claim: 'string', prefix: 'string', expression: 'string' } };
const shape: Readonly<Record<string, Shape>> = {
  jwt: {
    list: {
      fields: {
        issuer: {
          fields: {
            url: 'string',
            discoveryURL: 'string',
            certificateAuthority: 'string',
            audiences: { list: 'string' },
            audienceMatchPolicy: 'string',
            egressSelectorType: 'string',
          },
        },
        claimValidationRules: {
          list: {
            fields: { claim: 'string', requiredValue: 'string', expression: 'string', message: 'string' },
          },
        },
        claimMappings: {
          fields: {
            username: prefixed,
            groups: prefixed,
            uid: { fields: { claim: 'string', expression: 'string' } },
            extra: { list: { fields: { key: 'string', valueExpression: 'string' } } },
          },
        },
        userValidationRules: { list: { fields: { expression: 'string', message: 'string' } } },
      },
    },
  },
  anonymous: {
    fields: { enabled: 'boolean', conditions: { list: { fields: { path: 'string' } } } },
  },
};

/**
 * Reads an AuthenticationConfiguration (v1, v1beta1, v1alpha1). `serviceAccountIssuers` may not be configured again. Throws an Error
 * with all findings; texts of expressions are in it, certificates are not.
 */
export function parseAuthenticationConfiguration(
  text: string,
  serviceAccountIssuers: readonly string[],
): StructuredAuthentication {
  const document = readConfigDocument(
    text,
    'AuthenticationConfiguration',
    ['v1', 'v1beta1', 'v1alpha1'],
    shape,
  );
  const configs = (document['jwt'] as JwtAuthenticatorConfig[] | null | undefined) ?? [];
  const anonymous = document['anonymous'] as
    { enabled?: boolean; conditions?: { path?: string }[] } | null | undefined;
  const problems = [];
  const seenUrls = new Set<string>();
  const seenDiscovery = new Set<string>();
  const jwt = configs.map((given, index) => {
    const path = new FieldPath('jwt').index(index);
    const config = filled(given);
    const { programs, problems: found } = validateJwtAuthenticator(config, path, serviceAccountIssuers);
    problems.push(...found);
    const { url, discoveryURL = '' } = config.issuer;
    if (seenUrls.has(url)) problems.push(fieldError.duplicate(path.child('issuer', 'url'), url));
    seenUrls.add(url);
    if (discoveryURL === '') return { config, programs };
    if (seenDiscovery.has(discoveryURL))
      problems.push(fieldError.duplicate(path.child('issuer', 'discoveryURL'), discoveryURL));
    seenDiscovery.add(discoveryURL);
    return { config, programs };
  });
  const paths = anonymous?.conditions?.map(({ path }) => path ?? '');
  const isEnabled = anonymous?.enabled === true;
  if (!isEnabled && paths !== undefined && paths.length > 0) {
    problems.push(
      fieldError.invalid(
        new FieldPath('anonymous').child('conditions'),
        paths.map((each) => ({ Path: each })),
        'enabled should be set to true when conditions are defined',
      ),
    );
  }
  if (problems.length > 0) throw new Error(joinedFindings(problems));
  return {
    jwt,
    ...(anonymous === undefined || anonymous === null
      ? {}
      : {
          anonymous: {
            enabled: isEnabled,
            ...(paths === undefined || paths.length === 0 ? {} : { paths }),
          },
        }),
  };
}

/** The same with members that may not be absent. */
function filled(given: JwtAuthenticatorConfig): JwtAuthenticatorConfig {
  const { issuer, claimMappings } = given as Partial<JwtAuthenticatorConfig>;
  return {
    ...given,
    issuer: { ...issuer, url: issuer?.url ?? '', audiences: issuer?.audiences ?? [] },
    claimMappings: { ...claimMappings, username: claimMappings?.username ?? {} },
  };
}

/** Values of the --oidc-* flags; empty texts are absent. */
export interface OidcFlags {
  readonly issuerUrl: string;
  readonly clientId: string;
  readonly caPem?: string;
  readonly usernameClaim: string;
  readonly usernamePrefix: string;
  readonly groupsClaim: string;
  readonly groupsPrefix: string;
  readonly requiredClaims: Readonly<Record<string, string>>;
  readonly signingAlgorithms: readonly string[];
}

/** The one authenticator that the --oidc-* flags describe. Throws an Error with all findings. */
export function authenticatorOfFlags(
  flags: OidcFlags,
  serviceAccountIssuers: readonly string[],
): StructuredAuthentication['jwt'][number] {
  const { usernameClaim, usernamePrefix, groupsClaim, groupsPrefix, issuerUrl } = flags;
  // Without a prefix of its own a name is told apart by its issuer; an address of mail is told apart by itself.
  const prefix =
    usernamePrefix === '-'
      ? ''
      : usernamePrefix === '' && usernameClaim !== 'email'
        ? `${issuerUrl}#`
        : usernamePrefix;
  const config: JwtAuthenticatorConfig = {
    issuer: {
      url: issuerUrl,
      audiences: flags.clientId === '' ? [] : [flags.clientId],
      ...(flags.caPem === undefined ? {} : { certificateAuthority: flags.caPem }),
    },
    claimMappings: {
      username: { claim: usernameClaim, prefix },
      ...(groupsClaim === '' ? {} : { groups: { claim: groupsClaim, prefix: groupsPrefix } }),
    },
    claimValidationRules: Object.entries(flags.requiredClaims).map(([claim, requiredValue]) => ({
      claim,
      requiredValue,
    })),
    signingAlgorithms: flags.signingAlgorithms,
  };
  const { programs, problems } = validateJwtAuthenticator(
    config,
    new FieldPath('jwt').index(0),
    serviceAccountIssuers,
  );
  if (problems.length > 0) throw new Error(joinedFindings(problems));
  return { config, programs };
}
