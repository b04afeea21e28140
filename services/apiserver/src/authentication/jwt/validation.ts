import { X509Certificate } from 'node:crypto';
import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import type { CelProgram } from '@pilothouse/api/cel';
import { errorMessage } from '@pilothouse/base';
import type { ClaimPrograms, Rule } from './claim-programs.ts';
import { compileClaims, compileUser } from './claim-programs.ts';
import type { JwtAuthenticatorConfig, PrefixedClaimOrExpression } from './configuration.ts';

/** `example.org/path`: a DNS subdomain, a slash, a path. */
const extraKey =
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/;
const reservedDomain = /^(?:[^/]*\.)?(?:kubernetes\.io|k8s\.io)\//;

/** Checks one issuer and compiles its expressions. `programs` is complete when there are no problems. */
export function validateJwtAuthenticator(
  config: JwtAuthenticatorConfig,
  path: FieldPath,
  serviceAccountIssuers: readonly string[],
): { programs: ClaimPrograms; problems: FieldError[] } {
  const problems: FieldError[] = [];
  validateIssuer(config.issuer, path.child('issuer'), serviceAccountIssuers, problems);

  const compile = (source: string, at: FieldPath, isRule = false): CelProgram | undefined =>
    attempt(() => compileClaims(source, isRule), source, at, problems);
  const claimRules: Rule[] = [];
  const seenClaims = new Set<string>();
  const seenExpressions = new Set<string>();
  (config.claimValidationRules ?? []).forEach((rule, index) => {
    const at = path.child('claimValidationRules').index(index);
    const { claim = '', requiredValue = '', expression = '', message = '' } = rule;
    if (claim !== '' && expression !== '') {
      problems.push(fieldError.invalid(at, claim, "claim and expression can't both be set"));
    } else if (claim === '' && expression === '') {
      problems.push(fieldError.required(at, 'claim or expression is required'));
    } else if (claim !== '') {
      if (message !== '')
        problems.push(
          fieldError.invalid(at.child('message'), message, 'may not be specified when claim is set'),
        );
      if (seenClaims.has(claim)) problems.push(fieldError.duplicate(at.child('claim'), claim));
      seenClaims.add(claim);
    } else {
      if (requiredValue !== '')
        problems.push(
          fieldError.invalid(
            at.child('requiredValue'),
            requiredValue,
            'may not be specified when expression is set',
          ),
        );
      if (seenExpressions.has(expression)) {
        problems.push(fieldError.duplicate(at.child('expression'), expression));
        return;
      }
      seenExpressions.add(expression);
      const program = compile(expression, at.child('expression'), true);
      if (program !== undefined) claimRules.push({ program, message });
    }
  });

  const mappings = path.child('claimMappings');
  const { username, groups = {}, uid = {}, extra = [] } = config.claimMappings;
  const usernameProgram = mapping(username, mappings.child('username'), true, compile, problems);
  const groupsProgram = mapping(groups, mappings.child('groups'), false, compile, problems);
  let uidProgram: CelProgram | undefined;
  if ((uid.claim ?? '') !== '' && (uid.expression ?? '') !== '')
    problems.push(fieldError.invalid(mappings.child('uid'), '', "claim and expression can't both be set"));
  else if ((uid.expression ?? '') !== '')
    uidProgram = compile(uid.expression as string, mappings.child('uid', 'expression'));
  const extraPrograms = validateExtra(extra, mappings.child('extra'), compile, problems);

  // A mail address that nobody checked must not become a name by oversight.
  const sources = [username.expression ?? '', ...extra.map(({ valueExpression }) => valueExpression ?? '')];
  const rules = (config.claimValidationRules ?? []).map(({ expression = '' }) => expression);
  if (selects(username.expression ?? '', 'email')) {
    if (![...sources, ...rules].some((source) => selects(source, 'email_verified'))) {
      problems.push(
        fieldError.invalid(
          mappings.child('username', 'expression'),
          username.expression,
          'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression',
        ),
      );
    }
  }

  const userRules: Rule[] = [];
  const seenUserRules = new Set<string>();
  (config.userValidationRules ?? []).forEach(({ expression = '', message = '' }, index) => {
    const at = path.child('userValidationRules').index(index).child('expression');
    if (expression === '') problems.push(fieldError.required(at));
    else if (seenUserRules.has(expression)) problems.push(fieldError.duplicate(at, expression));
    else {
      const program = attempt(() => compileUser(expression), expression, at, problems);
      if (program !== undefined) userRules.push({ program, message });
    }
    seenUserRules.add(expression);
  });
  return {
    problems,
    programs: {
      ...(usernameProgram === undefined ? {} : { username: usernameProgram }),
      ...(groupsProgram === undefined ? {} : { groups: groupsProgram }),
      ...(uidProgram === undefined ? {} : { uid: uidProgram }),
      extra: extraPrograms,
      claimRules,
      userRules,
    },
  };
}

type Compile = (source: string, at: FieldPath) => CelProgram | undefined;

function attempt(
  compile: () => CelProgram,
  source: string,
  at: FieldPath,
  problems: FieldError[],
): CelProgram | undefined {
  try {
    return compile();
  } catch (error) {
    problems.push(fieldError.invalid(at, source, errorMessage(error)));
    return undefined;
  }
}

function mapping(
  given: PrefixedClaimOrExpression,
  at: FieldPath,
  isRequired: boolean,
  compile: Compile,
  problems: FieldError[],
): CelProgram | undefined {
  const { claim = '', expression = '', prefix } = given;
  if (claim !== '' && expression !== '') {
    problems.push(fieldError.invalid(at, '', "claim and expression can't both be set"));
  } else if (expression !== '') {
    if (prefix !== undefined)
      problems.push(
        fieldError.invalid(at.child('prefix'), prefix, 'may not be specified when expression is set'),
      );
    return compile(expression, at.child('expression'));
  } else if (claim !== '' && prefix === undefined) {
    problems.push(
      fieldError.required(
        at.child('prefix'),
        'prefix is required when claim is set. It can be set to an empty string to disable prefixing',
      ),
    );
  } else if (claim === '' && isRequired) {
    problems.push(fieldError.required(at, 'claim or expression is required'));
  }
  return undefined;
}

function validateExtra(
  extra: readonly { readonly key?: string; readonly valueExpression?: string }[],
  path: FieldPath,
  compile: Compile,
  problems: FieldError[],
): { key: string; program: CelProgram }[] {
  const programs: { key: string; program: CelProgram }[] = [];
  const seen = new Set<string>();
  extra.forEach(({ key = '', valueExpression = '' }, index) => {
    const at = path.index(index);
    if (key === '') problems.push(fieldError.required(at.child('key')));
    else if (!extraKey.test(key.toLowerCase()))
      problems.push(
        fieldError.invalid(at.child('key'), key, 'must be a domain-prefixed path (such as "acme.io/foo")'),
      );
    if (key !== key.toLowerCase())
      problems.push(fieldError.invalid(at.child('key'), key, 'must be lowercase'));
    if (reservedDomain.test(key))
      problems.push(
        fieldError.invalid(
          at.child('key'),
          key,
          'k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use',
        ),
      );
    if (seen.has(key)) {
      problems.push(fieldError.duplicate(at.child('key'), key));
      return;
    }
    seen.add(key);
    if (valueExpression === '') {
      problems.push(fieldError.required(at.child('valueExpression')));
      return;
    }
    const program = compile(valueExpression, at.child('valueExpression'));
    if (program !== undefined) programs.push({ key, program });
  });
  return programs;
}

/** Whether an expression reads `claims.<field>` outside of texts. */
function selects(source: string, field: string): boolean {
  const bare = source.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""');
  return new RegExp(`\\bclaims\\s*\\.\\s*\\??\\s*${field}\\b`).test(bare);
}

function validateIssuer(
  issuer: JwtAuthenticatorConfig['issuer'],
  path: FieldPath,
  serviceAccountIssuers: readonly string[],
  problems: FieldError[],
): void {
  const { url, discoveryURL = '', audiences, audienceMatchPolicy = '', certificateAuthority = '' } = issuer;
  if (url === '') problems.push(fieldError.required(path.child('url')));
  else validateUrl(url, path.child('url'), problems, serviceAccountIssuers);
  if (discoveryURL !== '') {
    const at = path.child('discoveryURL');
    const bare = (text: string): string => text.replace(/\/+$/, '');
    if (url !== '' && bare(url) === bare(discoveryURL))
      problems.push(fieldError.invalid(at, discoveryURL, 'discoveryURL must be different from URL'));
    validateUrl(discoveryURL, at, problems);
  }
  const at = path.child('audiences');
  if (audiences.length === 0) {
    problems.push(fieldError.required(at, `at least one ${at} is required`));
  } else {
    audiences.forEach((audience, index) => {
      if (audience === '') problems.push(fieldError.required(at.index(index)));
      if (audiences.indexOf(audience) < index) problems.push(fieldError.duplicate(at.index(index), audience));
    });
    const policy = path.child('audienceMatchPolicy');
    if (audiences.length > 1 && audienceMatchPolicy !== 'MatchAny')
      problems.push(
        fieldError.invalid(
          policy,
          audienceMatchPolicy,
          'audienceMatchPolicy must be MatchAny for multiple audiences',
        ),
      );
    else if (audienceMatchPolicy !== '' && audienceMatchPolicy !== 'MatchAny')
      problems.push(
        fieldError.invalid(
          policy,
          audienceMatchPolicy,
          'audienceMatchPolicy must be empty or MatchAny for single audience',
        ),
      );
  }
  if (certificateAuthority !== '') {
    try {
      const blocks =
        certificateAuthority.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
      if (blocks.length === 0) throw new Error('data does not contain any valid RSA or ECDSA certificates');
      for (const block of blocks) void new X509Certificate(block);
    } catch (error) {
      problems.push(fieldError.invalid(path.child('certificateAuthority'), '<omitted>', errorMessage(error)));
    }
  }
  if ((issuer.egressSelectorType ?? '') !== '') {
    problems.push(
      fieldError.invalid(
        path.child('egressSelectorType'),
        issuer.egressSelectorType,
        'egress selector is not supported when StructuredAuthenticationConfigurationEgressSelector feature gate is disabled',
      ),
    );
  }
}

function validateUrl(
  text: string,
  at: FieldPath,
  problems: FieldError[],
  disallowed: readonly string[] = [],
): void {
  if (disallowed.includes(text))
    problems.push(
      fieldError.invalid(
        at,
        text,
        `URL must not overlap with disallowed issuers: [${[...disallowed].sort().join(' ')}]`,
      ),
    );
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1];
  if (scheme !== 'https') problems.push(fieldError.invalid(at, text, 'URL scheme must be https'));
  let parsed: URL;
  try {
    parsed = new URL(text);
  } catch {
    if (scheme === 'https') problems.push(fieldError.invalid(at, text, 'must be a URL'));
    return;
  }
  if (parsed.username !== '' || parsed.password !== '')
    problems.push(fieldError.invalid(at, text, 'URL must not contain a username or password'));
  if (parsed.search !== '') problems.push(fieldError.invalid(at, text, 'URL must not contain a query'));
  if (parsed.hash !== '') problems.push(fieldError.invalid(at, text, 'URL must not contain a fragment'));
}
