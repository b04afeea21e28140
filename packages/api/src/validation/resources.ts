import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { isDns1123Label, isQualifiedName } from './names.ts';
import {
  compareQuantities,
  isIntegerQuantity,
  quantityOf,
  quantitySign,
  quantityText,
} from './quantities.ts';
import type { Json } from './values.ts';
import { entries, list, problems, text } from './values.ts';

const containerResources = new Set(['cpu', 'memory', 'ephemeral-storage']);
const standardResources = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'persistentvolumeclaims',
  'configmaps',
  'services.nodeports',
  'services.loadbalancers',
  'requests.storage',
  'storage',
]);
const integerResources = new Set([
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]);
const quotaResources = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  'pods',
  'resourcequotas',
  'services',
  'replicationcontrollers',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
]);

export const isHugePage = (name: string): boolean => name.startsWith('hugepages-');
const isPrefixedHugePage = (name: string): boolean => name.startsWith('requests.hugepages-');
export const isNativeResource = (name: string): boolean =>
  !name.includes('/') || name.includes('kubernetes.io/');

/** Resources of devices: fully qualified, outside kubernetes.io, not a `requests.` quota name. */
export function isExtendedResource(name: string): boolean {
  if (isNativeResource(name) || name.startsWith('requests.')) return false;
  return isQualifiedName(`requests.${name}`).length === 0;
}

export const isOvercommitAllowed = (name: string): boolean => isNativeResource(name) && !isHugePage(name);

export const isStandardContainerResource = (name: string): boolean =>
  containerResources.has(name) || isHugePage(name);

const isInteger = (name: string): boolean => integerResources.has(name) || isExtendedResource(name);

export function validateResourceName(name: string, path: FieldPath): FieldError[] {
  const errors = problems(path, name, isQualifiedName(name));
  if (errors.length > 0) return errors;
  if (!name.includes('/') && !standardResources.has(name) && !isHugePage(name) && !isPrefixedHugePage(name))
    return [fieldError.invalid(path, name, 'must be a standard resource type or fully qualified')];
  return [];
}

export function validateContainerResourceName(name: string, path: FieldPath): FieldError[] {
  const errors = validateResourceName(name, path);
  if (!name.includes('/')) {
    if (!isStandardContainerResource(name))
      errors.push(fieldError.invalid(path, name, 'must be a standard resource for containers'));
  } else if (!isNativeResource(name) && !isExtendedResource(name)) {
    errors.push(fieldError.invalid(path, name, "doesn't follow extended resource name standard"));
  }
  return errors;
}

export function validateQuotaResourceName(name: string, path: FieldPath): FieldError[] {
  const errors = validateResourceName(name, path);
  if (!name.includes('/') && !quotaResources.has(name) && !isHugePage(name) && !isPrefixedHugePage(name))
    errors.push(fieldError.invalid(path, name, 'must be a standard resource for quota'));
  return errors;
}

export function validateNonNegativeQuantity(value: unknown, path: FieldPath): FieldError[] {
  return quantitySign(value) < 0
    ? [fieldError.invalid(path, quantityText(value), 'must be greater than or equal to 0')]
    : [];
}

export function validatePositiveQuantity(value: unknown, path: FieldPath): FieldError[] {
  return quantitySign(value) <= 0
    ? [fieldError.invalid(path, quantityText(value), 'must be greater than zero')]
    : [];
}

/** A resource's quantity: not negative, whole where parts make no sense. */
export function validateResourceQuantity(name: string, value: unknown, path: FieldPath): FieldError[] {
  const errors = validateNonNegativeQuantity(value, path);
  if (isInteger(name) && !isIntegerQuantity(value))
    errors.push(fieldError.invalid(path, quantityText(value), 'must be an integer'));
  return errors;
}

/** Resource requirements of a container, or by other names of a pod. `claimNames` are those of spec.resourceClaims. */
export function validateResourceRequirements(
  resources: Json | null | undefined,
  path: FieldPath,
  claimNames: ReadonlySet<string> | undefined,
  validateName: (name: string, path: FieldPath) => FieldError[] = validateContainerResourceName,
): FieldError[] {
  if (resources === null || resources === undefined) return [];
  const errors: FieldError[] = [];
  const limitsPath = path.child('limits');
  const requestsPath = path.child('requests');
  const limits: Json = resources['limits'] ?? {};
  const requests: Json = resources['requests'] ?? {};
  let hasCpuOrMemory = false;
  let hasHugePages = false;
  const see = (name: string, value: unknown): void => {
    if (name === 'cpu' || name === 'memory') hasCpuOrMemory = true;
    if (isHugePage(name)) hasHugePages = true;
    void value;
  };
  for (const [name, value] of entries(limits)) {
    const at = limitsPath.key(name);
    errors.push(...validateName(name, at));
    errors.push(...validateResourceQuantity(name, value, at));
    see(name, value);
    if (isHugePage(name)) errors.push(...validateHugePage(name, value, at));
  }
  for (const [name, value] of entries(requests)) {
    const at = requestsPath.key(name);
    errors.push(...validateName(name, at));
    errors.push(...validateResourceQuantity(name, value, at));
    const limit: unknown = limits[name];
    if (limit !== undefined && limit !== null) {
      if (!isOvercommitAllowed(name)) {
        if (compareQuantities(value, limit) !== 0)
          errors.push(
            fieldError.invalid(
              requestsPath,
              quantityText(value),
              `must be equal to ${name} limit of ${quantityText(limit)}`,
            ),
          );
      } else if (compareQuantities(value, limit) > 0)
        errors.push(
          fieldError.invalid(
            requestsPath,
            quantityText(value),
            `must be less than or equal to ${name} limit of ${quantityText(limit)}`,
          ),
        );
    } else if (!isOvercommitAllowed(name)) {
      errors.push(fieldError.required(limitsPath, 'Limit must be set for non overcommitable resources'));
    }
    see(name, value);
    if (isHugePage(name)) errors.push(...validateHugePage(name, value, at));
  }
  if (hasHugePages && !hasCpuOrMemory)
    errors.push(fieldError.forbidden(path, 'HugePages require cpu or memory'));
  errors.push(...validateClaimReferences(resources['claims'], path.child('claims'), claimNames));
  return errors;
}

function validateHugePage(name: string, value: unknown, path: FieldPath): FieldError[] {
  const page = quantityOf(name.slice('hugepages-'.length));
  const amount = quantityOf(value);
  if (page.nano > 0n && page.nano % 1_000_000_000n === 0n && amount.value % page.value === 0) return [];
  const written = amount.toString();
  return [fieldError.invalid(path, written, `${written} is not positive integer multiple of ${name}`)];
}

function validateClaimReferences(
  claims: unknown,
  path: FieldPath,
  claimNames: ReadonlySet<string> | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  list(claims).forEach((claim: Json, index) => {
    const at = path.index(index);
    const name = text(claim['name']);
    if (name === '') {
      errors.push(fieldError.required(at));
      return;
    }
    const request = text(claim['request']);
    if (request !== '') errors.push(...problems(at.child('request'), request, isDns1123Label(request)));
    const key = request === '' ? name : `${name}/${request}`;
    if (seen.has(key) || seen.has(name)) errors.push(fieldError.duplicate(at, key));
    seen.add(key);
    if (claimNames !== undefined && !claimNames.has(name)) {
      const base = fieldError.notFound(at, name);
      errors.push({
        ...base,
        message:
          base.message +
          (claimNames.size === 0
            ? ': must be one of the names in pod.spec.resourceClaims which is empty'
            : `: must be one of the names in pod.spec.resourceClaims: ${[...claimNames].sort().join(', ')}`),
      });
    }
  });
  return errors;
}

/** Quota-like lists: name and quantity. */
export function validateOverhead(overhead: unknown, path: FieldPath): FieldError[] {
  return validateResourceRequirements({ limits: overhead as Json }, path, undefined);
}
