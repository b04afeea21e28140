import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { restore, specPath, statusHooks, statusPath } from '../common.ts';
import { ensure } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { internalText } from '../validation/internal-text.ts';
import { byteLength, nameIsDnsSubdomain } from '../validation/names.ts';
import { validateVolumeSpec } from '../validation/persistent-volume-spec.ts';
import type { Json } from '../validation/values.ts';
import { entries, isSet, problems, semanticEqual, text } from '../validation/values.ts';
import { validateCsiDriverName } from '../validation/volumes.ts';

function validate(object: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const attacher = text(spec['attacher']);
  if (attacher === '') errors.push(fieldError.required(specPath.child('attacher')));
  const source = (spec['source'] ?? {}) as Json;
  const path = specPath.child('source');
  const name = source['persistentVolumeName'] as string | null | undefined;
  const inline = source['inlineVolumeSpec'] as Json | null | undefined;
  if (!isSet(name) && !isSet(inline))
    errors.push(
      fieldError.required(path, 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'),
    );
  if (isSet(name) && isSet(inline))
    errors.push(
      fieldError.forbidden(path, 'must specify exactly one of inlineVolumeSpec and persistentVolumeName'),
    );
  if (isSet(name)) {
    if (name === '')
      errors.push(
        fieldError.required(
          path.child('persistentVolumeName'),
          'must specify non empty persistentVolumeName',
        ),
      );
    errors.push(...problems(path.child('persistentVolumeName'), name, nameIsDnsSubdomain(name, false)));
  }
  if (isSet(inline) && !isSet(name))
    errors.push(...validateVolumeSpec(inline, path.child('inlineVolumeSpec'), true));
  const node = text(spec['nodeName']);
  errors.push(...problems(specPath.child('nodeName'), node, nameIsDnsSubdomain(node, false)));
  if (attacher !== '') errors.push(...validateCsiDriverName(attacher, specPath.child('attacher')));
  return errors;
}

const metadataBytesMax = 256 * 1024;
const messageBytesMax = 1024;

function validateStatus(object: KubeObject): FieldError[] {
  const status = (object['status'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const bytes = entries(status['attachmentMetadata']).reduce(
    (sum, [key, value]) => sum + byteLength(key) + byteLength(text(value)),
    0,
  );
  if (bytes > metadataBytesMax)
    errors.push(fieldError.tooLong(statusPath.child('attachmentMetadata'), metadataBytesMax));
  for (const name of ['attachError', 'detachError']) {
    const error = (status[name] ?? {}) as Json;
    const path = statusPath.child(name);
    if (byteLength(text(error['message'])) > messageBytesMax)
      errors.push(fieldError.tooLong(path.child('message'), metadataBytesMax));
    if ((error['errorCode'] ?? 0) < 0)
      errors.push(
        fieldError.invalid(
          path.child('errorCode'),
          error['errorCode'],
          'must be between 0 and 2147483647, inclusive',
        ),
      );
  }
  return errors;
}

export const volumeAttachmentStrategy: ResourceStrategy = {
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'VolumeAttachment',
  revalidatesMetadata: true,
  resource: 'volumeattachments',
  allowUnconditionalUpdate: false,
  resetFields: ['status'],
  prepareForCreate(object) {
    object['status'] = { attached: false };
  },
  validate,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
  },
  validateUpdate(object, old) {
    const errors = validate(object);
    if (!semanticEqual(object['spec'], old['spec']))
      errors.push({
        type: 'FieldValueInvalid',
        field: specPath.text,
        message: `Invalid value: ${internalText('VolumeAttachmentSpec', object['spec'] ?? {})}: field is immutable`,
      });
    return errors;
  },
  defaults: (object) => void ensure(object, 'spec'),
  subresources: { status: statusHooks(validateStatus, { keepMeta: true }) },
  columns: columnsOf['storage.k8s.io/volumeattachments'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    text(object['spec']?.attacher),
    text(object['spec']?.source?.persistentVolumeName),
    text(object['spec']?.nodeName),
    object['status']?.attached === true,
    ageOf(object, nowMs),
  ],
};
