import { statSync } from 'node:fs';
import path from 'node:path';
import type { CelProgram } from '@pilothouse/api/cel';
import type { FieldError } from '@pilothouse/apimachinery';
import { FieldPath, fieldError } from '@pilothouse/apimachinery';
import { parseDuration } from '@pilothouse/serializer';
import type { Shape } from '../security/config-document.ts';
import { joinedFindings, readConfigDocument } from '../security/config-document.ts';
import type { AuthorizationMode } from './config.ts';
import { compileMatchConditions } from './webhook/match-conditions.ts';

/** A webhook in the chain. Times in milliseconds. */
export interface WebhookLink {
  readonly type: 'Webhook';
  readonly name: string;
  readonly kubeconfig: string;
  readonly reviewVersion: 'v1' | 'v1beta1';
  readonly timeoutMs: number;
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  readonly onError: 'noOpinion' | 'deny';
  readonly conditions: readonly CelProgram[];
}

/** One authorizer of the chain. */
export type ChainLink =
  { readonly type: Exclude<AuthorizationMode, 'Webhook'>; readonly name: string } | WebhookLink;

const types = ['ABAC', 'AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook'];
const webhookTimeoutMaxMs = 30_000;
const defaultAuthorizedTtl = '5m0s';
const defaultUnauthorizedTtl = '30s';
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

const shape: Readonly<Record<string, Shape>> = {
  authorizers: {
    list: {
      fields: {
        type: 'string',
        name: 'string',
        webhook: {
          fields: {
            authorizedTTL: 'string',
            cacheAuthorizedRequests: 'boolean',
            unauthorizedTTL: 'string',
            cacheUnauthorizedRequests: 'boolean',
            timeout: 'string',
            subjectAccessReviewVersion: 'string',
            matchConditionSubjectAccessReviewVersion: 'string',
            failurePolicy: 'string',
            connectionInfo: { fields: { type: 'string', kubeConfigFile: 'string' } },
            matchConditions: { list: { fields: { expression: 'string' } } },
          },
        },
      },
    },
  },
};

interface GivenWebhook {
  readonly authorizedTTL?: string;
  readonly cacheAuthorizedRequests?: boolean;
  readonly unauthorizedTTL?: string;
  readonly cacheUnauthorizedRequests?: boolean;
  readonly timeout?: string;
  readonly subjectAccessReviewVersion?: string;
  readonly matchConditionSubjectAccessReviewVersion?: string;
  readonly failurePolicy?: string;
  readonly connectionInfo?: { readonly type?: string; readonly kubeConfigFile?: string };
  readonly matchConditions?: readonly { readonly expression?: string }[];
}

/** Reads an AuthorizationConfiguration (v1, v1beta1, v1alpha1). Throws an Error with all findings. */
export function parseAuthorizationConfiguration(text: string): readonly ChainLink[] {
  const document = readConfigDocument(
    text,
    'AuthorizationConfiguration',
    ['v1', 'v1beta1', 'v1alpha1'],
    shape,
  );
  const given =
    (document['authorizers'] as { type?: string; name?: string; webhook?: GivenWebhook }[] | undefined) ?? [];
  const problems: FieldError[] = [];
  const root = new FieldPath('authorizers');
  if (given.length === 0)
    problems.push(fieldError.required(root, 'at least one authorization mode must be defined'));
  const seenTypes = new Set<string>();
  const seenNames = new Set<string>();
  const wrongNames: string[] = [];
  const links: ChainLink[] = [];
  given.forEach(({ type = '', name = '', webhook }, index) => {
    const at = root.index(index);
    if (type === '') return void problems.push(fieldError.required(at.child('type')));
    if (!types.includes(type))
      return void problems.push(fieldError.notSupported(at.child('type'), type, types));
    if (seenTypes.has(type) && type !== 'Webhook')
      return void problems.push(fieldError.duplicate(at.child('type'), type));
    seenTypes.add(type);
    if (name === '') problems.push(fieldError.required(at.child('name')));
    else if (seenNames.has(name)) problems.push(fieldError.duplicate(at.child('name'), name));
    else if (!subdomain.test(name) || name.length > 253) {
      problems.push(
        fieldError.invalid(
          at.child('name'),
          name,
          'authorizer name is invalid: a lowercase RFC 1123 subdomain is expected',
        ),
      );
    }
    seenNames.add(name);
    if (type === 'Webhook') {
      if (webhook === undefined || webhook === null)
        problems.push(fieldError.required(at.child('webhook'), 'required when type=Webhook'));
      else links.push(webhookLink(name, webhook, at, problems));
      return;
    }
    if (webhook !== undefined && webhook !== null)
      problems.push(
        fieldError.invalid(at.child('webhook'), 'non-null', 'may only be specified when type=Webhook'),
      );
    if (name !== type.toLowerCase())
      wrongNames.push(`expected name ${type.toLowerCase()} for authorizer ${type} instead of ${name}`);
    links.push({ type: type as Exclude<AuthorizationMode, 'Webhook'>, name });
  });
  if (problems.length > 0) throw new Error(joinedFindings(problems));
  if (wrongNames.length > 0)
    throw new Error(wrongNames.length === 1 ? wrongNames[0] : `[${wrongNames.join(', ')}]`);
  return links;
}

function webhookLink(name: string, given: GivenWebhook, at: FieldPath, problems: FieldError[]): WebhookLink {
  const ttl = (field: 'authorizedTTL' | 'unauthorizedTTL', fallback: string): number => {
    const text = given[field] ?? '';
    const ms = milliseconds(isZero(text) ? fallback : text, at.child(field), problems);
    if (ms < 0) problems.push(fieldError.invalid(at.child(field), text, 'must be > 0s'));
    return ms;
  };
  const oneOf = (
    field: 'subjectAccessReviewVersion' | 'failurePolicy',
    values: readonly string[],
  ): string => {
    const value = given[field] ?? '';
    if (value === '') problems.push(fieldError.required(at.child(field)));
    else if (!values.includes(value)) problems.push(fieldError.notSupported(at.child(field), value, values));
    return value;
  };
  const timeout = given.timeout ?? '';
  const timeoutMs = isZero(timeout) ? 0 : milliseconds(timeout, at.child('timeout'), problems);
  if (isZero(timeout)) problems.push(fieldError.required(at.child('timeout')));
  else if (timeoutMs > webhookTimeoutMaxMs || timeoutMs < 0)
    problems.push(fieldError.invalid(at.child('timeout'), timeout, 'must be > 0s and <= 30s'));
  const authorizedTtlMs = ttl('authorizedTTL', defaultAuthorizedTtl);
  const unauthorizedTtlMs = ttl('unauthorizedTTL', defaultUnauthorizedTtl);
  const reviewVersion = oneOf('subjectAccessReviewVersion', ['v1', 'v1beta1']);
  const conditions = given.matchConditions ?? [];
  const conditionVersion = given.matchConditionSubjectAccessReviewVersion ?? '';
  const versionAt = at.child('matchConditionSubjectAccessReviewVersion');
  if (conditionVersion === '') {
    if (conditions.length > 0)
      problems.push(fieldError.required(versionAt, 'required if match conditions are specified'));
  } else if (conditionVersion !== 'v1')
    problems.push(fieldError.notSupported(versionAt, conditionVersion, ['v1']));
  const failurePolicy = oneOf('failurePolicy', ['NoOpinion', 'Deny']);
  const kubeconfig = kubeconfigOf(given.connectionInfo ?? {}, at.child('connectionInfo'), problems);
  return {
    type: 'Webhook',
    name,
    kubeconfig,
    reviewVersion: reviewVersion === 'v1beta1' ? 'v1beta1' : 'v1',
    timeoutMs,
    authorizedTtlMs: given.cacheAuthorizedRequests === false ? 0 : authorizedTtlMs,
    unauthorizedTtlMs: given.cacheUnauthorizedRequests === false ? 0 : unauthorizedTtlMs,
    onError: failurePolicy === 'Deny' ? 'deny' : 'noOpinion',
    conditions: compileMatchConditions(conditions, at.child('matchConditions'), problems),
  };
}

function kubeconfigOf(
  info: { readonly type?: string; readonly kubeConfigFile?: string },
  at: FieldPath,
  problems: FieldError[],
): string {
  const { type = '', kubeConfigFile: file = '' } = info;
  const fileAt = at.child('kubeConfigFile');
  if (type === '') problems.push(fieldError.required(at.child('type')));
  else if (type === 'InClusterConfig') {
    problems.push(
      fieldError.invalid(
        at.child('type'),
        type,
        'this server is not a pod of its own cluster: name the webhook with KubeConfigFile',
      ),
    );
  } else if (type !== 'KubeConfigFile')
    problems.push(fieldError.notSupported(at.child('type'), type, ['InClusterConfig', 'KubeConfigFile']));
  else if (file === '') problems.push(fieldError.required(fileAt));
  else if (!path.isAbsolute(file))
    problems.push(fieldError.invalid(fileAt, file, 'must be an absolute path'));
  else {
    const info = statSync(file, { throwIfNoEntry: false });
    if (info === undefined)
      problems.push(
        fieldError.invalid(fileAt, file, `error loading file: stat ${file}: no such file or directory`),
      );
    else if (!info.isFile()) problems.push(fieldError.invalid(fileAt, file, 'must be a regular file'));
  }
  return file;
}

function isZero(duration: string): boolean {
  return duration === '' || /^[+-]?0+(ns|us|ms|s|m|h)?$/.test(duration);
}

function milliseconds(text: string, at: FieldPath, problems: FieldError[]): number {
  try {
    return parseDuration(text) / 1_000_000;
  } catch (error) {
    problems.push(fieldError.invalid(at, text, (error as Error).message));
    return 1;
  }
}
