import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { badValue, fieldError, shownMember } from '@pilothouse/apimachinery';
import { validateNodeSelector } from './affinity.ts';
import { nameIsDnsSubdomain } from './names.ts';
import { accessModes, volumeModes } from './persistent-volume-claim-spec.ts';
import { validatePersistentSource } from './persistent-volume-source.ts';
import { quantityOf, quantitySign } from './quantities.ts';
import { validatePositiveQuantity } from './resources.ts';
import type { Json } from './values.ts';
import { entries, isSet, list, oneOf, problems, text } from './values.ts';

const subdomain = (name: string): string[] => nameIsDnsSubdomain(name, false);

function inlineErrors(spec: Json, path: FieldPath): FieldError[] {
  const context = 'in the context of inline volumes';
  const errors = [
    ['claimRef', isSet(spec['claimRef'])] as const,
    ['capacity', entries(spec['capacity']).length > 0] as const,
    ['nodeAffinity', isSet(spec['nodeAffinity'])] as const,
    ['storageClassName', text(spec['storageClassName']) !== ''] as const,
  ]
    .filter(([, given]) => given)
    .map(([name]) => fieldError.forbidden(path.child(name), `may not be specified ${context}`));
  if (!isSet(spec['csi']))
    errors.push(fieldError.required(path.child('csi'), `has to be specified ${context}`));
  const policy = text(spec['persistentVolumeReclaimPolicy']);
  if (policy !== '' && policy !== 'Retain')
    errors.push(
      fieldError.forbidden(path.child('persistentVolumeReclaimPolicy'), `may only be Retain ${context}`),
    );
  if (isSet(spec['volumeMode']) && spec['volumeMode'] !== 'Filesystem')
    errors.push(
      fieldError.forbidden(
        path.child('volumeMode'),
        `may not specify volumeMode other than Filesystem ${context}`,
      ),
    );
  return errors;
}

function validateAmounts(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const capacity = (spec['capacity'] ?? null) as Json | null;
  const amounts = entries(capacity);
  if (amounts.length === 0) errors.push(fieldError.required(path.child('capacity')));
  if (!amounts.some(([name]) => name === 'storage') || amounts.length > 1)
    errors.push({
      type: 'FieldValueNotSupported',
      field: path.child('capacity').text,
      message: `Unsupported value: ${badValue(amounts.length > 0 ? Object.fromEntries(amounts) : shownMember(spec, 'capacity'))}: supported values: "storage"`,
    });
  for (const [name, value] of amounts)
    if (name === 'storage') {
      if (quantitySign(value) < 0)
        errors.push(
          fieldError.invalid(
            path.child('capacity').key(name),
            quantityOf(value).value,
            'must be a valid resource quantity',
          ),
        );
      errors.push(...validatePositiveQuantity(value, path.child('capacity').key(name)));
    }
  return errors;
}

/** A volume's spec. One that is inline in an attachment describes a volume of a driver, and nothing of who claims it. */
export function validateVolumeSpec(spec: Json, path: FieldPath, inline = false): FieldError[] {
  const errors = inline ? inlineErrors(spec, path) : [];
  const modes = list(spec['accessModes']) as string[];
  if (modes.length === 0) errors.push(fieldError.required(path.child('accessModes')));
  for (const mode of modes) errors.push(...oneOf(path.child('accessModes'), mode, accessModes));
  if (modes.includes('ReadWriteOncePod') && modes.length > 1)
    errors.push(
      fieldError.forbidden(path.child('accessModes'), 'may not use ReadWriteOncePod with other access modes'),
    );
  if (!inline) errors.push(...validateAmounts(spec, path));
  const policy = text(spec['persistentVolumeReclaimPolicy']);
  if (policy !== '' && !inline)
    errors.push(
      ...oneOf(path.child('persistentVolumeReclaimPolicy'), policy, ['Delete', 'Recycle', 'Retain']),
    );
  const affinity = spec['nodeAffinity'] as Json | null | undefined;
  let affinityFound = false;
  if (isSet(affinity) && !inline) {
    const at = path.child('nodeAffinity', 'required');
    if (isSet(affinity['required'])) {
      const found = validateNodeSelector(affinity['required'] as Json, at);
      errors.push(...found);
      affinityFound = found.length === 0;
    } else errors.push(fieldError.required(at, 'must specify required node constraints'));
  }
  errors.push(...validatePersistentSource(spec, path, affinityFound));
  if (text(spec['hostPath']?.path) !== '' && isRootPath(text(spec['hostPath'].path)) && policy === 'Recycle')
    errors.push(
      fieldError.forbidden(
        path.child('persistentVolumeReclaimPolicy'),
        "may not be 'recycle' for a hostPath mount of '/'",
      ),
    );
  const className = text(spec['storageClassName']);
  if (className !== '' && !inline)
    errors.push(...problems(path.child('storageClassName'), className, subdomain(className)));
  if (isSet(spec['volumeMode']) && !inline)
    errors.push(...oneOf(path.child('volumeMode'), spec['volumeMode'], volumeModes));
  const attributes = spec['volumeAttributesClassName'] as string | null | undefined;
  if (isSet(attributes)) {
    const at = path.child('volumeAttributesClassName');
    if (attributes === '') errors.push(fieldError.required(at, 'an empty string is disallowed'));
    else errors.push(...problems(at, attributes, subdomain(attributes)));
    if (!isSet(spec['csi']))
      errors.push(
        fieldError.required(path.child('csi'), 'has to be specified when using volumeAttributesClassName'),
      );
  }
  return errors;
}

const isRootPath = (path: string): boolean => path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1') === '/';
