import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { validatePathNoBacksteps } from './env.ts';
import type { Json } from './values.ts';
import { isSet, problems, text } from './values.ts';
import { nameIsDnsLabel, nameIsDnsSubdomain } from './names.ts';
import {
  validateCsiDriverName,
  validateHostPath,
  validateIscsi,
  validateNfs,
  volumeSourceRule,
} from './volumes.ts';

type Rule = (source: Json, path: FieldPath) => FieldError[];

function validateSecretRef(ref: Json | null | undefined, path: FieldPath): FieldError[] {
  if (!isSet(ref)) return [];
  const errors: FieldError[] = [];
  for (const [name, rule] of [
    ['name', nameIsDnsSubdomain],
    ['namespace', nameIsDnsLabel],
  ] as const) {
    const value = text(ref[name]);
    if (value === '') errors.push(fieldError.required(path.child(name)));
    else errors.push(...problems(path.child(name), value, rule(value, false)));
  }
  return errors;
}

const validateCsi: Rule = (source, path) => {
  const errors = validateCsiDriverName(text(source['driver']), path.child('driver'));
  if (text(source['volumeHandle']) === '') errors.push(fieldError.required(path.child('volumeHandle')));
  for (const name of [
    'controllerPublishSecretRef',
    'controllerExpandSecretRef',
    'nodePublishSecretRef',
    'nodeExpandSecretRef',
  ])
    errors.push(...validateSecretRef(source[name], path.child(name)));
  return errors;
};

const validateLocal: Rule = (source, path) =>
  text(source['path']) === ''
    ? [fieldError.required(path.child('path'))]
    : validatePathNoBacksteps(text(source['path']), path.child('path'));

const validateAzureFile: Rule = (source, path) => {
  const errors = ['secretName', 'shareName']
    .filter((name) => text(source[name]) === '')
    .map((name) => fieldError.required(path.child(name)));
  if (isSet(source['secretNamespace']) && source['secretNamespace'] === '')
    errors.push(fieldError.required(path.child('secretNamespace')));
  return errors;
};

const shared = (name: string): Rule => volumeSourceRule(name);

/** Kinds of backing storage, in the order in which upstream looks at them. */
const sources: readonly (readonly [string, Rule])[] = [
  ['hostPath', (source, path) => validateHostPath(source, path, {})],
  ['gcePersistentDisk', shared('gcePersistentDisk')],
  ['awsElasticBlockStore', shared('awsElasticBlockStore')],
  ['glusterfs', shared('glusterfs')],
  ['flocker', shared('flocker')],
  ['nfs', (source, path) => validateNfs(source, path, {})],
  ['rbd', shared('rbd')],
  ['quobyte', shared('quobyte')],
  ['cephfs', shared('cephfs')],
  ['iscsi', (source, path) => validateIscsi(source, path, {})],
  ['cinder', shared('cinder')],
  ['fc', shared('fc')],
  ['flexVolume', shared('flexVolume')],
  ['azureFile', validateAzureFile],
  ['vsphereVolume', shared('vsphereVolume')],
  ['photonPersistentDisk', shared('photonPersistentDisk')],
  ['portworxVolume', shared('portworxVolume')],
  ['azureDisk', shared('azureDisk')],
  ['scaleIO', shared('scaleIO')],
  ['local', validateLocal],
  ['storageos', shared('storageos')],
  ['csi', validateCsi],
];

export const persistentSourceNames: readonly string[] = sources.map(([name]) => name);

export function validatePersistentSource(
  spec: Json,
  path: FieldPath,
  hasNodeAffinity: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  let count = 0;
  for (const [name, rule] of sources) {
    const source = spec[name] as Json | null | undefined;
    if (!isSet(source)) continue;
    if (count > 0)
      errors.push(
        fieldError.forbidden(
          path.child(name === 'cephfs' ? 'cephFS' : name),
          'may not specify more than 1 volume type',
        ),
      );
    else {
      count += 1;
      errors.push(...rule(source, path.child(name === 'gcePersistentDisk' ? 'persistentDisk' : name)));
      if (name === 'local' && !hasNodeAffinity)
        errors.push(fieldError.required(path.child('nodeAffinity'), 'Local volume requires node affinity'));
    }
  }
  if (count === 0) errors.push(fieldError.required(path, 'must specify a volume type'));
  return errors;
}
