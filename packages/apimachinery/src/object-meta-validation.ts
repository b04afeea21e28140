import type { FieldError } from './field-error.ts';
import { fieldError, FieldPath, goQuote } from './field-error.ts';
import { validateLabels } from './labels.ts';
import type { ManagedFieldsEntry, ObjectMeta, OwnerReference } from './meta.ts';
import { parseApiVersion } from './meta.ts';
import type { NameRule } from './name-validation.ts';
import { isQualifiedName, nameIsDnsLabel, nameIsDnsSubdomain, utf8Length } from './name-validation.ts';

/** Keys and values of all annotations together, in bytes. */
export const annotationsBytesMax = 256 * 1024;
const fieldManagerBytesMax = 128;
const subresourceBytesMax = 256;

const finalizerOrphan = 'orphan';
const finalizerForeground = 'foregroundDeletion';
const standardFinalizers = ['kubernetes', finalizerOrphan, finalizerForeground];

export const fieldImmutableError = 'field is immutable';

export interface ObjectMetaRules {
  readonly namespaced: boolean;
  /** Default: DNS-1123 subdomain. */
  readonly nameRule?: NameRule;
  /** Default `metadata`. */
  readonly path?: FieldPath;
  /** Built-in kinds also refuse finalizers without a domain; custom resources do not. Default true. */
  readonly builtIn?: boolean;
}

/** Checks metadata of a new object (upstream's ValidateObjectMeta). */
export function validateObjectMeta(meta: ObjectMeta, rules: ObjectMetaRules): FieldError[] {
  const path = rules.path ?? new FieldPath('metadata');
  const nameRule = rules.nameRule ?? nameIsDnsSubdomain;
  const errors: FieldError[] = [];
  const { name = '', generateName = '', namespace = '' } = meta;
  if (generateName !== '') {
    for (const text of nameRule(generateName, true))
      errors.push(fieldError.invalid(path.child('generateName'), generateName, text));
  }
  if (name === '') errors.push(fieldError.required(path.child('name'), 'name or generateName is required'));
  else
    for (const text of nameRule(name, false)) errors.push(fieldError.invalid(path.child('name'), name, text));
  if (rules.namespaced) {
    if (namespace === '') errors.push(fieldError.required(path.child('namespace')));
    else
      for (const text of nameIsDnsLabel(namespace, false))
        errors.push(fieldError.invalid(path.child('namespace'), namespace, text));
  } else if (namespace !== '') {
    errors.push(fieldError.forbidden(path.child('namespace'), 'not allowed on this type'));
  }
  if ((meta.generation ?? 0) < 0) {
    errors.push(
      fieldError.invalid(path.child('generation'), meta.generation, 'must be greater than or equal to 0'),
    );
  }
  errors.push(...validateLabels(meta.labels, path.child('labels')));
  errors.push(...validateAnnotations(meta.annotations, path.child('annotations')));
  errors.push(...validateOwnerReferences(meta.ownerReferences, path.child('ownerReferences')));
  errors.push(...validateFinalizers(meta.finalizers, path.child('finalizers')));
  errors.push(...validateManagedFields(meta.managedFields, path.child('managedFields')));
  if (rules.builtIn !== false)
    errors.push(...validateFinalizerDomains(meta.finalizers, path.child('finalizers')));
  return errors;
}

/** Checks the change from `old` to `meta` (upstream's ValidateObjectMetaUpdate). */
export function validateObjectMetaUpdate(
  meta: ObjectMeta,
  old: ObjectMeta,
  rules: { path?: FieldPath; builtIn?: boolean } = {},
): FieldError[] {
  const path = rules.path ?? new FieldPath('metadata');
  const errors: FieldError[] = [];
  if (isSet(old.deletionTimestamp)) {
    const added = (meta.finalizers ?? [])
      .filter((finalizer) => !(old.finalizers ?? []).includes(finalizer))
      .sort();
    if (added.length > 0) {
      const shown = `[]string{${added.map(goQuote).join(', ')}}`;
      const text = `no new finalizers can be added if the object is being deleted, found new finalizers ${shown}`;
      errors.push(fieldError.forbidden(path.child('finalizers'), text));
    }
  }
  if (!isSet(meta.resourceVersion)) {
    errors.push(
      fieldError.invalid(
        path.child('resourceVersion'),
        meta.resourceVersion ?? '',
        'must be specified for an update',
      ),
    );
  }
  if ((meta.generation ?? 0) < (old.generation ?? 0)) {
    errors.push(
      fieldError.invalid(path.child('generation'), meta.generation ?? 0, 'must not be decremented'),
    );
  }
  for (const field of ['name', 'namespace', 'uid'] as const) {
    if ((meta[field] ?? '') !== (old[field] ?? '')) {
      errors.push(fieldError.invalid(path.child(field), meta[field] ?? '', fieldImmutableError));
    }
  }
  for (const field of ['creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
    if ((meta[field] ?? null) !== (old[field] ?? null)) {
      errors.push(fieldError.invalid(path.child(field), meta[field] ?? null, fieldImmutableError));
    }
  }
  errors.push(...validateLabels(meta.labels, path.child('labels')));
  errors.push(...validateAnnotations(meta.annotations, path.child('annotations')));
  errors.push(...validateOwnerReferences(meta.ownerReferences, path.child('ownerReferences')));
  errors.push(...validateManagedFields(meta.managedFields, path.child('managedFields')));
  if (rules.builtIn !== false)
    errors.push(...validateFinalizerDomains(meta.finalizers, path.child('finalizers')));
  return errors;
}

function isSet(value: string | null | undefined): boolean {
  return value !== undefined && value !== null && value !== '';
}

export function validateAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    // As a qualified name, but upper case is fine also in the prefix.
    for (const text of isQualifiedName(key.toLowerCase())) errors.push(fieldError.invalid(path, key, text));
    bytes += utf8Length(key) + utf8Length(value);
  }
  if (bytes > annotationsBytesMax) errors.push(fieldError.tooLong(path, annotationsBytesMax));
  return errors;
}

export function validateOwnerReferences(
  references: readonly OwnerReference[] | undefined,
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  let controller: OwnerReference | undefined;
  for (const reference of references ?? []) {
    errors.push(...validateOwnerReference(reference, path));
    if (reference.controller !== true) continue;
    if (controller === undefined) controller = reference;
    else {
      const both = `${controller.kind}/${controller.name} and ${reference.kind}/${reference.name}`;
      const text = `Only one reference can have Controller set to true. Found "true" in references for ${both}`;
      errors.push(fieldError.invalid(path, references, text));
    }
  }
  return errors;
}

function validateOwnerReference(reference: OwnerReference, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const parsed = parseApiVersion(reference.apiVersion ?? '');
  if ((parsed?.version ?? '') === '') {
    errors.push(
      fieldError.invalid(path.child('apiVersion'), reference.apiVersion ?? '', 'version must not be empty'),
    );
  }
  for (const field of ['kind', 'name', 'uid'] as const) {
    if ((reference[field] ?? '') === '')
      errors.push(fieldError.invalid(path.child(field), '', 'must not be empty'));
  }
  // An Event may never own anything: events vanish by themselves.
  if (parsed?.group === '' && parsed.version === 'v1' && reference.kind === 'Event') {
    errors.push(fieldError.invalid(path, reference, '/v1, Kind=Event is disallowed from being an owner'));
  }
  return errors;
}

export function validateFinalizers(finalizers: readonly string[] | undefined, path: FieldPath): FieldError[] {
  const list = finalizers ?? [];
  const errors = list.flatMap((finalizer) =>
    isQualifiedName(finalizer).map((text) => fieldError.invalid(path, finalizer, text)),
  );
  if (list.includes(finalizerOrphan) && list.includes(finalizerForeground)) {
    const text = `finalizer ${finalizerOrphan} and ${finalizerForeground} cannot be both set`;
    errors.push(fieldError.invalid(path, list, text));
  }
  return errors;
}

function validateFinalizerDomains(finalizers: readonly string[] | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  (finalizers ?? []).forEach((finalizer, index) => {
    if (finalizer.includes('/') || standardFinalizers.includes(finalizer)) return;
    const text = 'name is neither a standard finalizer name nor is it fully qualified';
    errors.push(fieldError.invalid(path.index(index), finalizer, text));
  });
  return errors;
}

export function validateFieldManager(manager: string, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (utf8Length(manager) > fieldManagerBytesMax) errors.push(fieldError.tooLong(path, fieldManagerBytesMax));
  let position = 0;
  for (const character of manager) {
    if (!isPrintable(character)) {
      errors.push(
        fieldError.invalid(
          path,
          manager,
          `should only contain printable characters (at position ${position})`,
        ),
      );
    }
    position += utf8Length(character);
  }
  return errors;
}

function isPrintable(character: string): boolean {
  return character === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(character);
}

function validateManagedFields(
  entries: readonly ManagedFieldsEntry[] | undefined,
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  (entries ?? []).forEach((entry, index) => {
    const at = path.index(index);
    if (entry.operation !== 'Apply' && entry.operation !== 'Update') {
      errors.push(
        fieldError.invalid(at.child('operation'), entry.operation ?? '', 'must be `Apply` or `Update`'),
      );
    }
    if (
      entry.fieldsType !== undefined &&
      (entry.fieldsType as string) !== '' &&
      entry.fieldsType !== 'FieldsV1'
    ) {
      errors.push(fieldError.invalid(at.child('fieldsType'), entry.fieldsType, 'must be `FieldsV1`'));
    }
    errors.push(...validateFieldManager(entry.manager ?? '', at.child('manager')));
    if (utf8Length(entry.subresource ?? '') > subresourceBytesMax) {
      errors.push(fieldError.tooLong(at.child('subresource'), subresourceBytesMax));
    }
  });
  return errors;
}
