import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import {
  bumpGeneration,
  metadataPath,
  restore,
  rootPath,
  specPath,
  statusHooks,
  statusPath,
} from '../common.ts';
import { roundResourceList } from '../defaults/pod-spec.ts';
import { ensure } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf, orNone } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { validateLabelName } from '../validation/meta.ts';
import { isValidLabelValue } from '../validation/names.ts';
import { cidrWarnings, isIpv6, validateCidr } from '../validation/network.ts';
import { validateResourceQuantity } from '../validation/resources.ts';
import type { Json } from '../validation/values.ts';
import { clone, entries, isSet, list, oneOf, problems, semanticEqual, text } from '../validation/values.ts';

const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

function validateTaints(taints: unknown, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  list(taints).forEach((taint: Json, index) => {
    const at = path.index(index);
    errors.push(...validateLabelName(text(taint['key']), at.child('key')));
    errors.push(
      ...problems(at.child('value'), text(taint['value']), isValidLabelValue(text(taint['value']))),
    );
    const effect = text(taint['effect']);
    if (effect === '') errors.push(fieldError.required(at.child('effect')));
    else errors.push(...oneOf(at.child('effect'), effect, effects));
    const key = `${effect}/${text(taint['key'])}`;
    if (seen.has(key)) {
      const error = fieldError.duplicate(at, {
        Key: text(taint['key']),
        Value: text(taint['value']),
        Effect: effect,
        TimeAdded: (taint['timeAdded'] ?? null) as unknown,
      });
      errors.push({ ...error, message: `${error.message}: taints must be unique by key and effect pair` });
    }
    seen.add(key);
  });
  return errors;
}

function validateResources(status: Json): FieldError[] {
  return ['capacity', 'allocatable'].flatMap((kind) =>
    entries(status[kind]).flatMap(([name, value]) =>
      validateResourceQuantity(name, value, statusPath.child(kind, name)),
    ),
  );
}

function validateNode(object: KubeObject): FieldError[] {
  const errors = validateResources((object['status'] ?? {}) as Json);
  const spec = (object['spec'] ?? {}) as Json;
  // Upstream names the taints by where they once were.
  errors.push(...validateTaints(spec['taints'], metadataPath.child('taints')));
  const cidrs = list(spec['podCIDRs']) as string[];
  cidrs.forEach((cidr, index) => {
    errors.push(...validateCidr(specPath.child('podCIDRs').index(index), cidr));
  });
  if (cidrs.length > 1) {
    const families = cidrs.map((cidr) => isIpv6(cidr.split('/')[0] as string));
    if (cidrs.length > 2 || families[0] === families[1])
      errors.push(
        fieldError.invalid(
          specPath.child('podCIDRs'),
          cidrs,
          'may specify no more than one CIDR for each IP family',
        ),
      );
  }
  return errors;
}

function nodeWarnings(object: KubeObject): string[] {
  const spec = (object['spec'] ?? {}) as Json;
  return [
    ...(isSet(spec['configSource']) ? ['spec.configSource: the feature is removed'] : []),
    ...(text(spec['externalID']) === ''
      ? []
      : ['spec.externalID: this field is deprecated, and is unused by Kubernetes']),
    ...(list(spec['podCIDRs']) as string[]).flatMap((cidr, index) =>
      cidrWarnings(`spec.podCIDRs[${index}]`, cidr),
    ),
  ];
}

function validateAddresses(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  list(object['status']?.addresses).forEach((address: Json, index) => {
    const key = `${text(address['type'])}|${text(address['address'])}`;
    if (seen.has(key))
      errors.push(
        fieldError.duplicate(statusPath.child('addresses').index(index), {
          Type: text(address['type']),
          Address: text(address['address']),
        }),
      );
    seen.add(key);
  });
  return errors;
}

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  const errors = [...validateAddresses(object)];
  const now = clone((object['spec'] ?? {}) as Json);
  const before = (old['spec'] ?? {}) as Json;
  if (list(before['podCIDRs']).length > 0 && !semanticEqual(now['podCIDRs'], before['podCIDRs']))
    errors.push(
      fieldError.forbidden(
        specPath.child('podCIDRs'),
        'node updates may not change podCIDR except from "" to valid',
      ),
    );
  if (text(before['providerID']) !== '' && text(now['providerID']) !== text(before['providerID']))
    errors.push(
      fieldError.forbidden(
        specPath.child('providerID'),
        'node updates may not change providerID except from "" to valid',
      ),
    );
  const rest = clone(before);
  for (const name of [
    'podCIDR',
    'podCIDRs',
    'providerID',
    'unschedulable',
    'taints',
    'configSource',
    'externalID',
  ]) {
    delete now[name];
    delete rest[name];
  }
  if (!semanticEqual(now, rest))
    errors.push(
      fieldError.forbidden(
        rootPath,
        'node updates may only change labels, taints, or capacity (or configSource, if the DynamicKubeletConfig feature gate is enabled)',
      ),
    );
  return errors;
}

/** podCIDR is podCIDRs[0]; the older field stays readable. */
function agreeOnCidrs(spec: Json): void {
  const one = text(spec['podCIDR']);
  const many = list(spec['podCIDRs']) as string[];
  if (one !== '' && many[0] !== one) spec['podCIDRs'] = [one];
  else if (one === '' && many.length > 0) spec['podCIDR'] = many[0] as string;
}

const rolePrefix = 'node-role.kubernetes.io/';

function rolesOf(object: KubeObject): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(object.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(value);
  }
  return orNone([...roles].sort().join(','));
}

function statusOf(object: KubeObject): string {
  const ready = (list(object['status']?.conditions) as Json[]).find(
    (condition) => condition['type'] === 'Ready',
  );
  const texts = [ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady'];
  if (object['spec']?.unschedulable === true) texts.push('SchedulingDisabled');
  return texts.join(',');
}

function addressOf(object: KubeObject, type: string): string {
  const found = (list(object['status']?.addresses) as Json[]).find((address) => address['type'] === type);
  return orNone(text(found?.['address']));
}

function kernelOf(info: Json): string {
  const version = orUnknown(info['kernelVersion']);
  return text(info['architecture']) === '' ? version : `${version} (${text(info['architecture'])})`;
}

const orUnknown = (value: unknown): string => (text(value) === '' ? '<unknown>' : text(value));

export const nodeStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'Node',
  revalidatesMetadata: true,
  resource: 'nodes',
  resetFields: ['status'],
  allowCreateOnUpdate: false,
  defaults(object) {
    const status = ensure(object, 'status');
    roundResourceList(status['capacity']);
    if (!isSet(status['allocatable']) && isSet(status['capacity']) && entries(status['capacity']).length > 0)
      status['allocatable'] = clone(status['capacity'] as unknown);
    roundResourceList(status['allocatable']);
    agreeOnCidrs(ensure(object, 'spec'));
  },
  prepareForCreate(object) {
    delete object['spec']?.configSource;
  },
  validate: validateNode,
  warningsOnCreate: nodeWarnings,
  warningsOnUpdate: nodeWarnings,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old, 'nothing');
  },
  validateUpdate: (object, old) => [...validateNode(object), ...validateChange(object, old)],
  subresources: {
    status: {
      ...statusHooks((object, old) => [
        ...validateResources((object['status'] ?? {}) as Json),
        ...validateChange(object, old),
      ]),
      warningsOnUpdate: () => [],
    },
  },
  noNamespaceField: true,
  selectableFields: { 'spec.unschedulable': (object) => String(object['spec']?.unschedulable === true) },
  columns: columnsOf['/nodes'] ?? [],
  cells(object, nowMs) {
    const info = (object['status']?.nodeInfo ?? {}) as Json;
    return [
      nameOf(object),
      statusOf(object),
      rolesOf(object),
      ageOf(object, nowMs),
      text(info['kubeletVersion']),
      addressOf(object, 'InternalIP'),
      addressOf(object, 'ExternalIP'),
      orUnknown(info['osImage']),
      kernelOf(info),
      orUnknown(info['containerRuntimeVersion']),
    ];
  },
};
