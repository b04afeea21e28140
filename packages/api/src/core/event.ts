import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import {
  fieldError,
  translateTimestampSince,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import type { ResourceStrategy, StrategyContext } from '../strategy.ts';
import { nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import {
  isDns1123Subdomain,
  isQualifiedName,
  nameIsDnsSubdomain,
  nameIsPathSegment,
} from '../validation/names.ts';
import { internalValue } from '../validation/internal-text.ts';
import type { Json } from '../validation/values.ts';
import { immutable, isSet, problems, semanticEqual, text } from '../validation/values.ts';

/** The rules of both Event APIs: those with eventTime follow the new one's, the others only their namespace's. */
function validateLegacy(object: KubeObject, controllerField: string): FieldError[] {
  const errors: FieldError[] = [];
  const namespace = text(object.metadata.namespace);
  const involved = text(object['involvedObject']?.namespace);
  const mismatch = fieldError.invalid(
    rootPath.child('involvedObject', 'namespace'),
    involved,
    'does not match event.namespace',
  );
  if (!isSet(object['eventTime'])) {
    if (involved === '' ? namespace !== '' && namespace !== 'default' : namespace !== involved)
      errors.push(mismatch);
  } else {
    if (involved === '' && namespace !== 'default' && namespace !== 'kube-system') errors.push(mismatch);
    const controller = text(object['reportingComponent']);
    if (controller === '') errors.push(fieldError.required(rootPath.child(controllerField)));
    errors.push(...problems(rootPath.child(controllerField), controller, isQualifiedName(controller)));
    for (const field of ['reportingInstance', 'action', 'reason']) {
      const value = text(object[field]);
      if (value === '') errors.push(fieldError.required(rootPath.child(field)));
      if (value.length > 128)
        errors.push(fieldError.invalid(rootPath.child(field), '', 'can have at most 128 characters'));
    }
    if (text(object['message']).length > 1024)
      errors.push(fieldError.invalid(rootPath.child('message'), '', 'can have at most 1024 characters'));
  }
  errors.push(...problems(rootPath.child('namespace'), namespace, isDns1123Subdomain(namespace)));
  return errors;
}

const structs: Readonly<Record<string, string>> = {
  involvedObject: 'ObjectReference',
  related: 'ObjectReference',
  source: 'EventSource',
};

const timeFields = new Set(['eventTime', 'firstTimestamp', 'lastTimestamp']);

/** A value as messages print it: whole structs with upstream's names. */
function shown(field: string, value: unknown): unknown {
  const struct = structs[field];
  if (struct === undefined) return value ?? (timeFields.has(field) ? null : '');
  return field === 'related' && !isSet(value) ? null : internalValue(struct, value ?? {});
}

/** Requests to the old API are not asked for more than their namespace. */
const isNewer = (context: StrategyContext): boolean => context.requestVersion === 'events.k8s.io/v1';

function validate(object: KubeObject, context: StrategyContext): FieldError[] {
  if (!isNewer(context)) return validateLegacy(object, 'reportingComponent');
  const errors = validateLegacy(object, 'reportingController');
  errors.push(
    ...validateObjectMeta(object.metadata, { namespaced: true, nameRule: nameIsDnsSubdomain }),
    ...validateSeries(object),
  );
  if (!isSet(object['eventTime'])) errors.push(fieldError.required(rootPath.child('eventTime')));
  const type = text(object['type']);
  if (type !== 'Normal' && type !== 'Warning')
    errors.push(fieldError.invalid(rootPath.child('type'), '', `has invalid value: ${type}`));
  const source = (object['source'] ?? {}) as Json;
  const legacy: readonly (readonly [string, boolean])[] = [
    ['firstTimestamp', isSet(object['firstTimestamp'])],
    ['lastTimestamp', isSet(object['lastTimestamp'])],
    ['count', (object['count'] ?? 0) !== 0],
    ['source', text(source['component']) !== '' || text(source['host']) !== ''],
  ];
  for (const [field, isGiven] of legacy)
    if (isGiven) errors.push(fieldError.invalid(rootPath.child(field), '', 'needs to be unset'));
  return errors;
}

function validateSeries(object: KubeObject): FieldError[] {
  const series = object['series'] as Json | null | undefined;
  if (!isSet(series)) return [];
  const errors: FieldError[] = [];
  if ((series['count'] ?? 0) < 2)
    errors.push(fieldError.invalid(rootPath.child('series.count'), '', 'should be at least 2'));
  if (!isSet(series['lastObservedTime']))
    errors.push(fieldError.required(rootPath.child('series.lastObservedTime')));
  return errors;
}

function validateUpdate(object: KubeObject, old: KubeObject, context: StrategyContext): FieldError[] {
  if (!isNewer(context)) return validateLegacy(object, 'reportingComponent');
  const errors = validateLegacy(object, 'reportingController');
  errors.push(...validateObjectMetaUpdate(object.metadata, old.metadata));
  if (!semanticEqual(object['series'], old['series'])) errors.push(...validateSeries(object));
  for (const field of [
    'involvedObject',
    'reason',
    'message',
    'source',
    'firstTimestamp',
    'lastTimestamp',
    'count',
    'type',
    'eventTime',
    'action',
    'related',
    'reportingComponent',
    'reportingInstance',
  ]) {
    const path = rootPath.child(field === 'reportingComponent' ? 'reportingController' : field);
    errors.push(...immutable(shown(field, object[field]), shown(field, old[field]), path));
  }
  return errors;
}

function sourceText(object: KubeObject): string {
  const component =
    text(object['source']?.component) === ''
      ? text(object['reportingComponent'])
      : text(object['source'].component);
  const host =
    text(object['source']?.host) === '' ? text(object['reportingInstance']) : text(object['source'].host);
  return host === '' ? component : `${component}, ${host}`;
}

const involved = (field: string) => (object: KubeObject) => text(object['involvedObject']?.[field]);

export const eventStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'Event',
  resource: 'events',
  plainMetadata: true,
  anyFinalizer: true,
  allowCreateOnUpdate: true,
  defaultPropagation: 'Unsupported',
  // Events are named after their object with a suffix, so a prefix may end with a dot.
  validateName: nameIsPathSegment,
  validate,
  validateUpdate,
  selectableFields: {
    'involvedObject.kind': involved('kind'),
    'involvedObject.namespace': involved('namespace'),
    'involvedObject.name': involved('name'),
    'involvedObject.uid': involved('uid'),
    'involvedObject.apiVersion': involved('apiVersion'),
    'involvedObject.resourceVersion': involved('resourceVersion'),
    'involvedObject.fieldPath': involved('fieldPath'),
    reason: (object) => text(object['reason']),
    reportingComponent: (object) => text(object['reportingComponent']),
    source: (object) =>
      text(object['source']?.component) === ''
        ? text(object['reportingComponent'])
        : text(object['source'].component),
    type: (object) => text(object['type']),
  },
  columns: columnsOf['/events'] ?? [],
  cells(object, nowMs) {
    const since = (time: unknown): string =>
      translateTimestampSince(isSet(time) ? text(time) : undefined, nowMs);
    const first = since(isSet(object['firstTimestamp']) ? object['firstTimestamp'] : object['eventTime']);
    let last = isSet(object['lastTimestamp']) ? since(object['lastTimestamp']) : first;
    let count: number = object['count'] ?? 0;
    const series = object['series'] as Json | null | undefined;
    if (isSet(series)) {
      last = since(series['lastObservedTime']);
      count = series['count'] ?? 0;
    } else if (count === 0) count = 1;
    const kind = text(object['involvedObject']?.kind).toLowerCase();
    const name = text(object['involvedObject']?.name);
    return [
      last,
      text(object['type']),
      text(object['reason']),
      name === '' ? kind : `${kind}/${name}`,
      text(object['involvedObject']?.fieldPath),
      sourceText(object),
      text(object['message']).trim(),
      first,
      count,
      nameOf(object),
    ];
  },
};
