import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { rootPath } from '../common.ts';
import { setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { isConfigMapKey } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { entries, immutable, isSet, problems, text } from '../validation/values.ts';
import { base64Bytes, base64OfText, decodeBase64 } from './base64.ts';
import { dataBytesMax, validateImmutableData } from './config-map.ts';

const dataPath = rootPath.child('data');

function validateJson(data: Json, key: string): FieldError[] {
  const value = data[key] as string | undefined;
  if (value === undefined) return [fieldError.required(dataPath.key(key))];
  try {
    const parsed: unknown = JSON.parse(decodeBase64(value));
    if (parsed === null || (typeof parsed === 'object' && !Array.isArray(parsed))) return [];
  } catch {
    // Told below, without the content.
  }
  return [
    fieldError.invalid(dataPath.key(key), '<secret contents redacted>', jsonProblem(decodeBase64(value))),
  ];
}

/** The words of the parser upstream uses, for the common cases. */
function jsonProblem(content: string): string {
  const trimmed = content.trimStart();
  if (trimmed === '') return 'unexpected end of JSON input';
  const first = trimmed[0] as string;
  if (!/[[{"0-9tfn-]/.test(first)) return `invalid character '${first}' looking for beginning of value`;
  return 'unexpected end of JSON input';
}

function validate(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const data = (object['data'] ?? {}) as Json;
  let bytes = 0;
  for (const [key, value] of entries(data)) {
    errors.push(...problems(dataPath.key(key), key, isConfigMapKey(key)));
    bytes += base64Bytes(text(value));
  }
  if (bytes > dataBytesMax) errors.push(fieldError.tooLong(dataPath, dataBytesMax));
  const required = (key: string): void => {
    if (!(key in data)) errors.push(fieldError.required(dataPath.key(key)));
  };
  switch (object['type']) {
    case 'kubernetes.io/service-account-token':
      if (text(object.metadata.annotations?.['kubernetes.io/service-account.name']) === '')
        errors.push(
          fieldError.required(
            rootPath.child('metadata', 'annotations').key('kubernetes.io/service-account.name'),
          ),
        );
      break;
    case 'kubernetes.io/dockercfg':
      errors.push(...validateJson(data, '.dockercfg'));
      break;
    case 'kubernetes.io/dockerconfigjson':
      errors.push(...validateJson(data, '.dockerconfigjson'));
      break;
    case 'kubernetes.io/basic-auth':
      if (!('username' in data) && !('password' in data)) {
        required('username');
        required('password');
      }
      break;
    case 'kubernetes.io/ssh-auth':
      if (text(data['ssh-privatekey']) === '')
        errors.push(fieldError.required(dataPath.key('ssh-privatekey')));
      break;
    case 'kubernetes.io/tls':
      required('tls.crt');
      required('tls.key');
      break;
    default:
  }
  return errors;
}

function warnings(object: KubeObject): string[] {
  if (object['type'] !== 'kubernetes.io/tls') return [];
  const certificate = decodeBase64(text(object['data']?.['tls.crt']));
  if (!/-----BEGIN [A-Z0-9 ]+-----/.test(certificate))
    return ['tls: failed to find any PEM data in certificate input'];
  if (!certificate.includes('-----BEGIN CERTIFICATE-----'))
    return [
      'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: ' +
        blockTypes(certificate),
    ];
  const key = decodeBase64(text(object['data']?.['tls.key']));
  return /-----BEGIN [A-Z0-9 ]+-----/.test(key) ? [] : ['tls: failed to find any PEM data in key input'];
}

const blockTypes = (pem: string): string =>
  `[${[...pem.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----/g)].map((each) => each[1]).join(' ')}]`;

export const secretStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'Secret',
  revalidatesMetadata: true,
  resource: 'secrets',
  defaults(object) {
    setZeroDefault(object, 'type', 'Opaque');
    if (isSet(object['stringData'])) {
      const texts = entries(object['stringData']);
      if (texts.length > 0)
        object['data'] = {
          ...((object['data'] ?? {}) as Json),
          ...Object.fromEntries(texts.map(([key, value]) => [key, base64OfText(text(value))])),
        };
      delete object['stringData'];
    }
  },
  validate,
  warningsOnCreate: warnings,
  prepareForUpdate(object, old) {
    if (text(object['type']) === '') object['type'] = old['type'] as unknown;
  },
  validateUpdate: (object, old) => [
    ...immutable(object['type'], old['type'], rootPath.child('type')),
    ...validateImmutableData(object, old, ['data']),
    ...validate(object),
  ],
  warningsOnUpdate: warnings,
  selectableFields: { type: (object) => text(object['type']) },
  columns: columnsOf['/secrets'] ?? [],
  cells: (object, nowMs) => [
    nameOf(object),
    text(object['type']),
    entries(object['data']).length,
    ageOf(object, nowMs),
  ],
};
