import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, goQuote, humanDuration, validateObjectMeta } from '@pilothouse/apimachinery';
import { restore, specPath, statusPath } from '../common.ts';
import { decodeBase64 } from '../core/base64.ts';
import { ensure } from '../defaults/set.ts';
import type { ResourceStrategy, StrategyContext, UpdateHooks } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isDns1123Label, isFullyQualifiedDomainName, nameIsPathSegment } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { clone, isSet, list, semanticEqual, text } from '../validation/values.ts';

const usages = new Set([
  'signing',
  'digital signature',
  'content commitment',
  'key encipherment',
  'key agreement',
  'data encipherment',
  'cert sign',
  'crl sign',
  'encipher only',
  'decipher only',
  'any',
  'server auth',
  'client auth',
  'code signing',
  'email protection',
  's/mime',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'timestamping',
  'ocsp signing',
  'microsoft sgc',
  'netscape sgc',
]);

/** spec.signerName of what a signer is to look at. */
export function validateSignerName(name: string): FieldError[] {
  const path = specPath.child('signerName');
  if (name === '') return [fieldError.required(path)];
  const segments = name.split('/');
  if (segments.length !== 2)
    return [
      fieldError.invalid(
        path,
        name,
        "must be a fully qualified domain and path of the form 'example.com/signer-name'",
      ),
    ];
  const [domain = '', rest = ''] = segments;
  const errors = isFullyQualifiedDomainName(domain).map((each) =>
    fieldError.invalid(path, domain, `validating domain: ${each}`),
  );
  if (rest.length > 571) errors.push(fieldError.tooLong(path, 571));
  for (const part of rest.split('.'))
    for (const each of isDns1123Label(part))
      errors.push(fieldError.invalid(path, part, `validating label ${goQuote(part)}: ${each}`));
  return errors;
}

function validateSpec(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  // Its own rules allow any name; the rule for all kinds comes after everything else.
  const errors = validateObjectMeta(object.metadata, { namespaced: false, nameRule: () => [] });
  const request = decodeBase64(text(spec['request']));
  if (!/-----BEGIN CERTIFICATE REQUEST-----[\s\S]+-----END CERTIFICATE REQUEST-----/.test(request))
    errors.push({
      type: 'FieldValueInvalid',
      field: specPath.child('request').text,
      message: `Invalid value: ${JSON.stringify(text(spec['request']) || null)}: PEM block type must be CERTIFICATE REQUEST`,
    });
  const asked = list(spec['usages']) as string[];
  if (asked.length === 0) errors.push(fieldError.required(specPath.child('usages')));
  asked.forEach((usage, index) => {
    if (!usages.has(usage))
      errors.push(fieldError.notSupported(specPath.child('usages').index(index), usage, [...usages].sort()));
    if (asked.indexOf(usage) !== index)
      errors.push(fieldError.duplicate(specPath.child('usages').index(index), usage));
  });
  if (spec['signerName'] === 'kubernetes.io/legacy-unknown')
    errors.push(
      fieldError.invalid(
        specPath.child('signerName'),
        spec['signerName'],
        'the legacy signerName is not allowed via this API version',
      ),
    );
  else errors.push(...validateSignerName(text(spec['signerName'])));
  const seconds = spec['expirationSeconds'] as number | null | undefined;
  if (isSet(seconds) && seconds < 600)
    errors.push(
      fieldError.invalid(
        specPath.child('expirationSeconds'),
        seconds,
        'may not specify a duration less than 600 seconds (10 minutes)',
      ),
    );
  return errors;
}

function validateConditions(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const path = statusPath.child('conditions');
  const seen = new Set<string>();
  let approved = false;
  let denied = false;
  list(object['status']?.conditions).forEach((condition: Json, index) => {
    const at = path.index(index);
    const type = text(condition['type']);
    const status = text(condition['status']);
    if (type === '') errors.push(fieldError.required(at.child('type')));
    if (status === '') errors.push(fieldError.required(at.child('status')));
    else if (['Approved', 'Denied', 'Failed'].includes(type)) {
      if (status !== 'True') errors.push(fieldError.notSupported(at.child('status'), status, ['True']));
    } else if (!['False', 'True', 'Unknown'].includes(status))
      errors.push(fieldError.notSupported(at.child('status'), status, ['False', 'True', 'Unknown']));
    approved ||= type === 'Approved';
    denied ||= type === 'Denied';
    if (seen.has(type)) errors.push(fieldError.duplicate(at.child('type'), type));
    seen.add(type);
  });
  if (approved && denied)
    errors.push(fieldError.invalid(path, 'Denied', 'Approved and Denied conditions are mutually exclusive'));
  return errors;
}

/** Once approved, denied or failed, for good. */
function validateKept(object: KubeObject, old: KubeObject, mayAdd: readonly string[]): FieldError[] {
  const errors: FieldError[] = [];
  const path = statusPath.child('conditions');
  const of = (from: KubeObject, type: string): Json[] =>
    (list(from['status']?.conditions) as Json[]).filter((each) => each['type'] === type);
  for (const type of ['Approved', 'Denied', 'Failed']) {
    const before = of(old, type);
    const now = of(object, type);
    if (semanticEqual(withoutTimes(before), withoutTimes(now)) || semanticEqual(before, now)) continue;
    if (now.length < before.length)
      errors.push(fieldError.forbidden(path, `updates may not remove a condition of type ${goQuote(type)}`));
    else if (now.length > before.length) {
      if (!mayAdd.includes(type))
        errors.push(fieldError.forbidden(path, `updates may not add a condition of type ${goQuote(type)}`));
    } else
      errors.push(fieldError.forbidden(path, `updates may not modify a condition of type ${goQuote(type)}`));
  }
  return errors;
}

const withoutTimes = (conditions: readonly Json[]): Json[] =>
  conditions.map(({ lastUpdateTime: _u, lastTransitionTime: _t, ...rest }) => rest);

function validateCertificate(object: KubeObject, old: KubeObject): FieldError[] {
  const path = statusPath.child('certificate');
  const now = text(object['status']?.certificate);
  const before = text(old['status']?.certificate);
  if (before !== '' && now !== before)
    return [fieldError.forbidden(path, 'updates may not modify certificate content')];
  if (now === '' || now === before) return [];
  const blocks = [...decodeBase64(now).matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map((each) => each[1]);
  if (!blocks.includes('CERTIFICATE'))
    return blocks.length === 0
      ? [fieldError.invalid(path, '<certificate data>', 'must contain at least one CERTIFICATE PEM block')]
      : [
          fieldError.invalid(
            path,
            '<certificate data>',
            `only CERTIFICATE PEM blocks are allowed, found ${goQuote(blocks[0] as string)}`,
          ),
        ];
  return [];
}

function stampConditions(object: KubeObject, old: KubeObject, context: StrategyContext): void {
  const before = list(old['status']?.conditions) as Json[];
  for (const condition of list(object['status']?.conditions) as Json[]) {
    if (!isSet(condition['lastUpdateTime'])) condition['lastUpdateTime'] = context.now;
    if (isSet(condition['lastTransitionTime'])) continue;
    const same = before.find(
      (each) => each['type'] === condition['type'] && each['status'] === condition['status'],
    );
    condition['lastTransitionTime'] =
      (same?.['lastTransitionTime'] as string | null | undefined) ?? context.now;
  }
}

const statusHooks: UpdateHooks = {
  resetFields: ['spec'],
  prepareForUpdate(object, old, context) {
    restore(object, old, 'spec');
    const status = ensure(object, 'status');
    // Only the approval endpoint decides; here the conditions Approved and Denied stay as they are.
    const decided = (list(old['status']?.conditions) as Json[]).filter(
      (each) => each['type'] === 'Approved' || each['type'] === 'Denied',
    );
    for (const condition of decided) {
      const mine = (list(status['conditions']) as Json[]).find((each) => each['type'] === condition['type']);
      if (mine !== undefined && semanticEqual(withoutTimes([mine]), withoutTimes([condition])))
        Object.assign(mine, clone(condition));
    }
    stampConditions(object, old, context);
  },
  validateUpdate: (object, old) => [
    ...validateConditions(object),
    ...validateKept(object, old, ['Failed']),
    ...validateCertificate(object, old),
  ],
};

const approvalHooks: UpdateHooks = {
  resetFields: ['spec', 'status.certificate'],
  prepareForUpdate(object, old, context) {
    const conditions: unknown = object['status']?.conditions;
    restore(object, old, 'spec', 'status');
    const status = ensure(object, 'status');
    if (isSet(conditions)) status['conditions'] = conditions;
    else delete status['conditions'];
    stampConditions(object, old, context);
  },
  validateUpdate: (object, old) => [
    ...validateConditions(object),
    ...validateKept(object, old, ['Approved', 'Denied']),
  ],
};

function conditionText(object: KubeObject): string {
  const conditions = list(object['status']?.conditions) as Json[];
  const has = (type: string): boolean => conditions.some((each) => each['type'] === type);
  let out = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  if (has('Failed')) out += ',Failed';
  if (text(object['status']?.certificate) !== '') out += ',Issued';
  return out;
}

export const certificateSigningRequestStrategy: ResourceStrategy = {
  group: 'certificates.k8s.io',
  version: 'v1',
  kind: 'CertificateSigningRequest',
  resource: 'certificatesigningrequests',
  plainMetadata: true,
  validateName: nameIsPathSegment,
  resetFields: ['spec', 'status'],
  prepareForCreate(object, context) {
    const spec = ensure(object, 'spec');
    // Who asks is who is authenticated, whatever the body says.
    for (const field of ['username', 'uid', 'groups', 'extra']) delete spec[field];
    spec['username'] = context.user.name;
    if (context.user.uid !== undefined && context.user.uid !== '') spec['uid'] = context.user.uid;
    if (context.user.groups.length > 0) spec['groups'] = [...context.user.groups];
    const extra = Object.entries(context.user.extra ?? {});
    if (extra.length > 0)
      spec['extra'] = Object.fromEntries(extra.map(([key, values]) => [key, [...values]]));
    object['status'] = {};
  },
  validate: validateSpec,
  prepareForUpdate(object, old) {
    restore(object, old, 'spec', 'status');
  },
  subresources: { status: statusHooks, approval: approvalHooks },
  noNamespaceField: true,
  selectableFields: { 'spec.signerName': (object) => text(object['spec']?.signerName) },
  columns: columnsOf['certificates.k8s.io/certificatesigningrequests'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const seconds = spec['expirationSeconds'] as number | null | undefined;
    return [
      nameOf(object),
      ageOf(object, nowMs),
      text(spec['signerName']) === '' ? '<none>' : text(spec['signerName']),
      text(spec['username']),
      isSet(seconds) ? humanDuration(seconds * 1000) : '<none>',
      conditionText(object),
    ];
  },
};
