import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { bumpGeneration, restore, specPath, startGeneration, statusHooks, statusPath } from '../common.ts';
import { templateWarnings } from '../core/pod/warnings.ts';
import { defaultPodTemplate } from '../defaults/pod-spec.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, containersAndImages, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import {
  intOrPercentNumber,
  validateAtMost100Percent,
  validatePositiveIntOrPercent,
} from '../validation/int-or-percent.ts';
import { internalText } from '../validation/internal-text.ts';
import { isDns1123Label, nameIsDnsLabel } from '../validation/names.ts';
import { validateTemplateMetadata } from '../validation/pod-spec.ts';
import { validateClaimSpec } from '../validation/persistent-volume-claim-spec.ts';
import { quantityOf, quantityText } from '../validation/quantities.ts';
import type { Json } from '../validation/values.ts';
import {
  clone,
  isSet,
  list,
  nonNegative,
  oneOf,
  problems,
  semanticEqual,
  text,
} from '../validation/values.ts';
import {
  nonNegativeFields,
  notDecremented,
  notMoreThanReady,
  notMoreThanReplicas,
  isUsableSelector,
  validateLongRunningTemplate,
  validateSelectorMatches,
  validateWorkloadSelector,
} from '../validation/workload.ts';

const invalidStruct = (type: string, value: unknown, path: FieldPath, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field: path.toString(),
  message: `Invalid value: ${internalText(type, value)}: ${detail}`,
});

function validateUpdateStrategy(strategy: Json, path: FieldPath): FieldError[] {
  const rolling = strategy['rollingUpdate'] as Json | null | undefined;
  switch (text(strategy['type'])) {
    case '':
      return [fieldError.required(path)];
    case 'OnDelete':
      return isSet(rolling)
        ? [
            invalidStruct(
              'RollingUpdateStatefulSetStrategy',
              rolling,
              path.child('rollingUpdate'),
              "only allowed for updateStrategy 'RollingUpdate'",
            ),
          ]
        : [];
    case 'RollingUpdate': {
      if (!isSet(rolling)) return [];
      const at = path.child('rollingUpdate');
      const errors = nonNegative(rolling['partition'], at.child('partition'));
      const unavailable: unknown = rolling['maxUnavailable'];
      if (isSet(unavailable)) {
        errors.push(...validatePositiveIntOrPercent(unavailable, at.child('maxUnavailable')));
        if (intOrPercentNumber(unavailable) === 0)
          errors.push(fieldError.invalid(at.child('maxUnavailable'), unavailable, 'cannot be 0'));
        errors.push(...validateAtMost100Percent(unavailable, at.child('maxUnavailable')));
      }
      return errors;
    }
    default:
      return [
        invalidStruct('StatefulSetUpdateStrategy', strategy, path, "must be 'RollingUpdate' or 'OnDelete'"),
      ];
  }
}

const retention = ['Retain', 'Delete'];

/** `isNew`: claim templates may not change later, so that what was stored before a rule came stays as it is. */
function validateSpec(spec: Json, isNew: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const policy = text(spec['podManagementPolicy']);
  if (policy === '') errors.push(fieldError.required(specPath.child('podManagementPolicy')));
  else if (policy !== 'OrderedReady' && policy !== 'Parallel')
    errors.push(
      fieldError.invalid(
        specPath.child('podManagementPolicy'),
        policy,
        "must be 'OrderedReady' or 'Parallel'",
      ),
    );
  errors.push(
    ...validateUpdateStrategy((spec['updateStrategy'] ?? {}) as Json, specPath.child('updateStrategy')),
  );
  const claims = spec['persistentVolumeClaimRetentionPolicy'] as Json | null | undefined;
  if (isSet(claims))
    for (const name of ['whenDeleted', 'whenScaled'])
      errors.push(
        ...oneOf(specPath.child('persistentVolumeClaimRetentionPolicy', name), text(claims[name]), retention),
      );
  errors.push(...nonNegativeFields(spec, specPath, 'replicas', 'minReadySeconds'));
  errors.push(...nonNegative(spec['ordinals']?.start, specPath.child('ordinals', 'start')));
  if (text(spec['serviceName']) !== '')
    errors.push(
      ...problems(
        specPath.child('serviceName'),
        spec['serviceName'],
        isDns1123Label(text(spec['serviceName'])),
      ),
    );
  list(isNew ? spec['volumeClaimTemplates'] : []).forEach((claim: Json, index) => {
    errors.push(
      ...validateClaimSpec(
        (claim['spec'] ?? {}) as Json,
        specPath.child('volumeClaimTemplates').index(index).child('spec'),
      ),
    );
  });
  errors.push(...validateWorkloadSelector(spec['selector'], 'statefulset', specPath.child('selector')));
  const template = (spec['template'] ?? {}) as Json;
  errors.push(
    ...validateSelectorMatches(
      spec['selector'],
      template,
      specPath.child('selector'),
      specPath.child('template'),
      '',
    ),
  );
  if (!isUsableSelector(spec['selector'] as Json)) return errors;
  // Upstream checks the template's metadata once alone and once with the whole.
  errors.push(...validateTemplateMetadata(template, specPath.child('template')));
  errors.push(
    ...validateLongRunningTemplate(
      withoutIdentity(withClaimVolumes(template, spec)),
      'StatefulSet',
      specPath.child('template'),
    ),
  );
  return errors;
}

/** The template without what the controller sets in each pod. */
function withoutIdentity(template: Json): Json {
  const { hostname: _, subdomain: __, ...spec } = (template['spec'] ?? {}) as Json;
  return { ...template, spec };
}

/** The template as its pods will be: each claim template is a volume of its own name, replacing one of the same name. */
function withClaimVolumes(template: Json, spec: Json): Json {
  const claims = [
    ...new Set((list(spec['volumeClaimTemplates']) as Json[]).map((claim) => text(claim['metadata']?.name))),
  ];
  if (claims.length === 0) return template;
  const volumes = claims.map((name): Json => ({
    name,
    persistentVolumeClaim: { claimName: name === '' ? '' : `${name}-0`, readOnly: false },
  }));
  const rest = (list(template['spec']?.volumes) as Json[]).filter(
    (volume) => !claims.includes(text(volume['name'])),
  );
  return { ...template, spec: { ...((template['spec'] ?? {}) as Json), volumes: [...volumes, ...rest] } };
}

const mutable = [
  'replicas',
  'template',
  'updateStrategy',
  'minReadySeconds',
  'ordinals',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
];

function validateChange(object: KubeObject, old: KubeObject): FieldError[] {
  const now = clone((object['spec'] ?? {}) as Json);
  const before = (old['spec'] ?? {}) as Json;
  for (const name of mutable) now[name] = before[name] as unknown;
  return semanticEqual(now, before)
    ? []
    : [
        fieldError.forbidden(
          specPath,
          "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        ),
      ];
}

function validateStatus(object: KubeObject, old: KubeObject): FieldError[] {
  const status = (object['status'] ?? {}) as Json;
  const errors = nonNegativeFields(
    status,
    statusPath,
    'replicas',
    'readyReplicas',
    'currentReplicas',
    'updatedReplicas',
    'observedGeneration',
    'collisionCount',
  );
  errors.push(
    ...notMoreThanReplicas(status, statusPath, 'readyReplicas', 'currentReplicas', 'updatedReplicas'),
  );
  errors.push(...nonNegative(status['availableReplicas'], statusPath.child('availableReplicas')));
  errors.push(...notMoreThanReplicas(status, statusPath, 'availableReplicas'));
  errors.push(...notMoreThanReady(status, statusPath, 'status.readyReplicas'));
  errors.push(...notDecremented(status, (old['status'] ?? {}) as Json, statusPath, 'collisionCount'));
  return errors;
}

function warnings(object: KubeObject): string[] {
  const spec = (object['spec'] ?? {}) as Json;
  const out = templateWarnings(spec['template'], specPath.child('template'));
  list(spec['volumeClaimTemplates']).forEach((claim: Json, index) => {
    for (const kind of ['requests', 'limits']) {
      const storage: unknown = claim['spec']?.resources?.[kind]?.storage;
      if (isSet(storage) && quantityOf(storage).milliValue % 1000 !== 0)
        out.push(
          `${specPath.child('volumeClaimTemplates').index(index).child('resources', kind).key('storage').text}: fractional byte value "${quantityText(storage)}" is invalid, must be an integer`,
        );
    }
  });
  if ((spec['revisionHistoryLimit'] ?? 0) < 0)
    out.push(
      `${specPath.child('revisionHistoryLimit').text}: a negative value retains all historical revisions; a value >= 0 is recommended`,
    );
  return out;
}

export const statefulSetStrategy: ResourceStrategy = {
  group: 'apps',
  version: 'v1',
  kind: 'StatefulSet',
  resource: 'statefulsets',
  validateName: nameIsDnsLabel,
  resetFields: ['status'],
  defaults(object) {
    const spec = ensure(object, 'spec');
    setZeroDefault(spec, 'podManagementPolicy', 'OrderedReady');
    const strategy = ensure(spec, 'updateStrategy');
    if (text(strategy['type']) === '') {
      // Only a strategy that was left out altogether gets a partition.
      strategy['type'] = 'RollingUpdate';
      ensure(strategy, 'rollingUpdate');
    }
    if (strategy['type'] === 'RollingUpdate' && isSet(strategy['rollingUpdate']))
      setDefault(strategy['rollingUpdate'] as Json, 'partition', 0);

    const claims = ensure(spec, 'persistentVolumeClaimRetentionPolicy');
    setZeroDefault(claims, 'whenDeleted', 'Retain');
    setZeroDefault(claims, 'whenScaled', 'Retain');
    setDefault(spec, 'replicas', 1);
    setDefault(spec, 'revisionHistoryLimit', 10);
    defaultPodTemplate(ensure(spec, 'template'));
    for (const claim of list(spec['volumeClaimTemplates']) as Json[]) {
      setZeroDefault(claim, 'apiVersion', 'v1');
      setZeroDefault(claim, 'kind', 'PersistentVolumeClaim');
      setDefault(ensure(claim, 'spec'), 'volumeMode', 'Filesystem');
      setZeroDefault(ensure(claim, 'status'), 'phase', 'Pending');
    }
  },
  prepareForCreate(object) {
    // Members that are always written are there from the start, so that an empty write to the status owns none of them.
    object['status'] = { replicas: 0, availableReplicas: 0 };
    startGeneration(object);
  },
  validate: (object) => validateSpec((object['spec'] ?? {}) as Json, true),
  warningsOnCreate: warnings,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => [
    ...validateSpec((object['spec'] ?? {}) as Json, false),
    ...validateChange(object, old),
  ],
  warningsOnUpdate: (object, old) =>
    object.metadata.generation === old.metadata.generation ? [] : warnings(object),
  subresources: { status: statusHooks(validateStatus) },
  columns: columnsOf['apps/statefulsets'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const [containers, images] = containersAndImages(spec['template']?.spec);
    return [
      nameOf(object),
      `${String(object['status']?.readyReplicas ?? 0)}/${String(spec['replicas'] ?? 0)}`,
      ageOf(object, nowMs),
      containers,
      images,
    ];
  },
};
