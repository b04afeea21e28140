import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import {
  fileModeMessage,
  validateDownwardItem,
  validateLocalDescendingPath,
  validateLocalNonReservedPath,
  validatePathNoBacksteps,
} from './env.ts';
import { validateAnnotations, validateLabels } from './meta.ts';
import { isDns1123Label, isDns1123Subdomain, nameIsDnsSubdomain } from './names.ts';
import { quantitySign } from './quantities.ts';
import type { Json } from './values.ts';
import { isSet, list, oneOf, problems, text } from './values.ts';
import { validateClaimSpec } from './persistent-volume-claim-spec.ts';

type SourceRule = (source: Json, path: FieldPath, volume: Json) => FieldError[];

const required = (source: Json, path: FieldPath, ...names: string[]): FieldError[] =>
  names.filter((name) => text(source[name]) === '').map((name) => fieldError.required(path.child(name)));

function validateKeyToPath(item: Json, path: FieldPath): FieldError[] {
  const errors = required(item, path, 'key');
  if (text(item['path']) === '') errors.push(fieldError.required(path.child('path')));
  errors.push(...validateLocalNonReservedPath(text(item['path']), path.child('path')));
  const mode: unknown = item['mode'];
  if (typeof mode === 'number' && (mode < 0 || mode > 0o777))
    errors.push(fieldError.invalid(path.child('mode'), mode, fileModeMessage));
  return errors;
}

const validateItems = (source: Json, path: FieldPath): FieldError[] =>
  list(source['items']).flatMap((item: Json, index) =>
    validateKeyToPath(item, path.child('items').index(index)),
  );

function validateDefaultMode(source: Json, path: FieldPath): FieldError[] {
  const mode: unknown = source['defaultMode'];
  return typeof mode === 'number' && (mode < 0 || mode > 0o777)
    ? [fieldError.invalid(path.child('defaultMode'), mode, fileModeMessage)]
    : [];
}

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
];

export const validateHostPath: SourceRule = (source, path) => {
  if (text(source['path']) === '') return [fieldError.required(path.child('path'))];
  const errors = validatePathNoBacksteps(text(source['path']), path.child('path'));
  if (isSet(source['type']) && !hostPathTypes.includes(text(source['type'])))
    errors.push(fieldError.notSupported(path.child('type'), source['type'], hostPathTypes));
  return errors;
};

const validateEmptyDir: SourceRule = (source, path) =>
  isSet(source['sizeLimit']) && quantitySign(source['sizeLimit']) < 0
    ? [fieldError.forbidden(path.child('sizeLimit'), 'SizeLimit field must be a valid resource quantity')]
    : [];

const validateSecret: SourceRule = (source, path) => [
  ...required(source, path, 'secretName'),
  ...validateDefaultMode(source, path),
  ...validateItems(source, path),
];

const validateConfigMap: SourceRule = (source, path) => [
  ...required(source, path, 'name'),
  ...validateDefaultMode(source, path),
  ...validateItems(source, path),
];

export const validateNfs: SourceRule = (source, path) => {
  const errors = required(source, path, 'server', 'path');
  if (!text(source['path']).startsWith('/'))
    errors.push(fieldError.invalid(path.child('path'), text(source['path']), 'must be an absolute path'));
  return errors;
};

const iqn = /^iqn\.\d{4}-(0[1-9]|1[0-2])\.[a-z0-9]+([-.][a-z0-9]+)*(:[^,;*&$|\s]+)?$/i;
const eui = /^eui\.[0-9a-f]{16}$/i;
const naa = /^naa\.[0-9a-f]{32}$/i;

export const validateIscsi: SourceRule = (source, path) => {
  const errors = required(source, path, 'targetPortal');
  const name = text(source['iqn']);
  if (name === '') errors.push(fieldError.required(path.child('iqn')));
  else if (!/^(iqn|eui|naa)/.test(name))
    errors.push(
      fieldError.invalid(path.child('iqn'), name, 'must be valid format starting with iqn, eui, or naa'),
    );
  else if (!(iqn.test(name) || eui.test(name) || naa.test(name)))
    errors.push(fieldError.invalid(path.child('iqn'), name, 'must be valid format'));
  const initiator = source['initiatorName'] as string | null | undefined;
  if (isSet(initiator)) {
    // Upstream writes the path in lower case.
    const at = path.child('initiatorname');
    if (!/^(iqn|eui|naa)/.test(initiator))
      errors.push(fieldError.invalid(at, initiator, 'must be valid format starting with iqn, eui, or naa'));
    else if (!(iqn.test(initiator) || eui.test(initiator) || naa.test(initiator)))
      errors.push(fieldError.invalid(at, initiator, 'must be valid format'));
  }
  const lun: number = source['lun'] ?? 0;
  if (lun < 0 || lun > 255)
    errors.push(fieldError.invalid(path.child('lun'), lun, 'must be between 0 and 255, inclusive'));
  if (
    (source['chapAuthDiscovery'] === true || source['chapAuthSession'] === true) &&
    !isSet(source['secretRef'])
  )
    errors.push(fieldError.required(path.child('secretRef')));
  return errors;
};

const validateGcePersistentDisk: SourceRule = (source, path) => {
  const errors = required(source, path, 'pdName');
  const partition: number = source['partition'] ?? 0;
  if (partition < 0 || partition > 255)
    errors.push(
      fieldError.invalid(path.child('partition'), partition, 'must be between 0 and 255, inclusive'),
    );
  return errors;
};

const validateAws: SourceRule = (source, path) => {
  const errors = required(source, path, 'volumeID');
  const partition: number = source['partition'] ?? 0;
  if (partition < 0 || partition > 255)
    errors.push(
      fieldError.invalid(path.child('partition'), partition, 'must be between 0 and 255, inclusive'),
    );
  return errors;
};

const validateGitRepo: SourceRule = (source, path) => [
  ...required(source, path, 'repository'),
  ...validateLocalDescendingPath(text(source['directory']), path.child('directory')),
];

const validateGlusterfs: SourceRule = (source, path) => required(source, path, 'endpoints', 'path');

const validateRbd: SourceRule = (source, path) => {
  const errors = list(source['monitors']).length === 0 ? [fieldError.required(path.child('monitors'))] : [];
  return [...errors, ...required(source, path, 'image')];
};

const validateQuobyte: SourceRule = (source, path) => {
  const errors: FieldError[] = [];
  const registry = text(source['registry']);
  if (registry === '')
    errors.push(
      fieldError.required(
        path.child('registry'),
        'must be a host:port pair or multiple pairs separated by commas',
      ),
    );
  else
    for (const pair of registry.split(','))
      if (!/^[^:]+:[^:]+$/.test(pair))
        errors.push(
          fieldError.invalid(
            path.child('registry'),
            registry,
            'must be a host:port pair or multiple pairs separated by commas',
          ),
        );
  return [...errors, ...required(source, path, 'volume')];
};

const validateFlex: SourceRule = (source, path) => required(source, path, 'driver');
const validateCinder: SourceRule = (source, path) => [
  ...required(source, path, 'volumeID'),
  ...(isSet(source['secretRef']) && text(source['secretRef'].name) === ''
    ? [fieldError.required(path.child('secretRef', 'name'))]
    : []),
];
const validateCephFs: SourceRule = (source, path) =>
  list(source['monitors']).length === 0 ? [fieldError.required(path.child('monitors'))] : [];

const validateFlocker: SourceRule = (source, path) => {
  const name = text(source['datasetName']);
  const uuid = text(source['datasetUUID']);
  if (name === '' && uuid === '')
    return [fieldError.required(path, 'one of datasetName and datasetUUID is required')];
  if (name !== '' && uuid !== '')
    return [
      fieldError.invalid(path, 'resource', 'datasetName and datasetUUID can not be specified simultaneously'),
    ];
  return name.includes('/')
    ? [fieldError.invalid(path.child('datasetName'), name, "must not contain '/'")]
    : [];
};

const validateDownwardApi: SourceRule = (source, path) => [
  ...validateDefaultMode(source, path),
  ...list(source['items']).flatMap((file: Json) => validateDownwardItem(file, path)),
];

const validateFc: SourceRule = (source, path) => {
  const wwns = list(source['targetWWNs']);
  const wwids = list(source['wwids']);
  if (wwns.length === 0 && wwids.length === 0)
    return [
      fieldError.required(path.child('targetWWNs'), 'must specify either targetWWNs or wwids, but not both'),
    ];
  if (wwns.length > 0 && wwids.length > 0)
    return [
      fieldError.invalid(
        path.child('targetWWNs'),
        wwns,
        'targetWWNs and wwids can not be specified simultaneously',
      ),
    ];
  if (wwns.length === 0) return [];
  if (!isSet(source['lun']))
    return [fieldError.required(path.child('lun'), 'lun is required if targetWWNs is specified')];
  const lun = source['lun'] as number;
  return lun < 0 || lun > 255
    ? [fieldError.invalid(path.child('lun'), lun, 'must be between 0 and 255, inclusive')]
    : [];
};

const validateAzureFile: SourceRule = (source, path) => required(source, path, 'secretName', 'shareName');
const validateVsphere: SourceRule = (source, path) => required(source, path, 'volumePath');

const validateAzureDisk: SourceRule = (source, path) => {
  const errors = required(source, path, 'diskName', 'diskURI');
  if (isSet(source['cachingMode']))
    errors.push(
      ...oneOf(path.child('cachingMode'), source['cachingMode'], ['None', 'ReadOnly', 'ReadWrite']),
    );
  if (isSet(source['kind']))
    errors.push(...oneOf(path.child('kind'), source['kind'], ['Dedicated', 'Managed', 'Shared']));
  const uri = text(source['diskURI']);
  if (source['kind'] === 'Managed' && !uri.startsWith('/subscriptions/'))
    errors.push(
      fieldError.notSupported(path.child('diskURI'), uri, [
        '/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}',
      ]),
    );
  if (source['kind'] !== 'Managed' && isSet(source['kind']) && !uri.startsWith('https://'))
    errors.push(
      fieldError.notSupported(path.child('diskURI'), uri, [
        'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd',
      ]),
    );
  return errors;
};

const validatePhoton: SourceRule = (source, path) => required(source, path, 'pdID');
const validatePortworx: SourceRule = (source, path) => required(source, path, 'volumeID');
const validateScaleIo: SourceRule = (source, path) =>
  required(source, path, 'gateway', 'system', 'volumeName');

const validateStorageOs: SourceRule = (source, path) => {
  const errors: FieldError[] = [];
  const name = text(source['volumeName']);
  if (name === '') errors.push(fieldError.required(path.child('volumeName')));
  else errors.push(...problems(path.child('volumeName'), name, isDns1123Label(name)));
  const namespace = text(source['volumeNamespace']);
  if (namespace !== '')
    errors.push(...problems(path.child('volumeNamespace'), namespace, isDns1123Label(namespace)));
  if (isSet(source['secretRef']))
    errors.push(...required(source['secretRef'] as Json, path.child('secretRef'), 'name'));
  return errors;
};

/** The rule of names of CSI drivers. */
export function validateCsiDriverName(name: string, path: FieldPath): FieldError[] {
  if (name === '') return [fieldError.required(path)];
  const errors: FieldError[] = [];
  if (name.length > 63) errors.push(fieldError.tooLong(path, 63));
  return [...errors, ...problems(path, name, isDns1123Subdomain(name.toLowerCase()))];
}

const validateCsi: SourceRule = (source, path) => {
  const errors = validateCsiDriverName(text(source['driver']), path.child('driver'));
  const ref = source['nodePublishSecretRef'] as Json | null | undefined;
  if (isSet(ref)) {
    if (text(ref['name']) === '')
      errors.push(fieldError.required(path.child('nodePublishSecretRef', 'name')));
    else
      errors.push(
        ...problems(path.child('name'), text(ref['name']), nameIsDnsSubdomain(text(ref['name']), false)),
      );
  }
  return errors;
};

const validateEphemeral: SourceRule = (source, path) => {
  const template = source['volumeClaimTemplate'] as Json | null | undefined;
  const at = path.child('volumeClaimTemplate');
  if (!isSet(template)) return [fieldError.required(at)];
  const meta = (template['metadata'] ?? {}) as Json;
  const errors = validateAnnotations(meta['annotations'], at.child('metadata', 'annotations'));
  errors.push(...validateLabels(meta['labels'], at.child('metadata', 'labels')));
  for (const name of Object.keys(meta))
    if (name !== 'labels' && name !== 'annotations' && isSet(meta[name]) && meta[name] !== '')
      errors.push(
        fieldError.forbidden(
          at.child('metadata'),
          `metadata field other than labels and annotations not allowed: ${name}`,
        ),
      );
  errors.push(...validateClaimSpec((template['spec'] ?? {}) as Json, at.child('spec')));
  return errors;
};

const validateImage: SourceRule = (source, path) => {
  const errors: FieldError[] = [];
  const reference = text(source['reference']);
  if (reference === '') errors.push(fieldError.required(path.child('reference')));
  else if (reference.trim() !== reference)
    errors.push(
      fieldError.invalid(path.child('reference'), reference, 'must not have leading or trailing whitespace'),
    );
  errors.push(
    ...oneOf(path.child('pullPolicy'), text(source['pullPolicy']), ['Always', 'IfNotPresent', 'Never']),
  );
  return errors;
};

function validateProjected(source: Json, path: FieldPath): FieldError[] {
  const errors = validateDefaultMode(source, path);
  const paths = new Set<string>();
  list(source['sources']).forEach((projection: Json, index) => {
    const at = path.child('sources').index(index);
    let count = 0;
    const more = (name: string): boolean => {
      if (!isSet(projection[name])) return false;
      count += 1;
      return true;
    };
    const seePath = (file: string): void => {
      if (file === '') return;
      if (paths.has(file))
        errors.push(
          fieldError.invalid(
            path,
            (source['sources'] as Json[]).length > 0 ? file : file,
            'conflicting duplicate paths',
          ),
        );
      paths.add(file);
    };
    for (const name of ['secret', 'configMap'])
      if (more(name)) {
        const value = projection[name] as Json;
        if (text(value['name']) === '') errors.push(fieldError.required(at.child(name, 'name')));
        list(value['items']).forEach((item: Json, itemIndex) => {
          errors.push(...validateKeyToPath(item, at.child(name, 'items').index(itemIndex)));
          seePath(text(item['path']));
        });
      }
    if (more('downwardAPI'))
      for (const file of list(projection['downwardAPI'].items) as Json[]) {
        errors.push(...validateDownwardItem(file, at.child('downwardAPI')));
        seePath(text(file['path']));
      }
    if (more('serviceAccountToken')) {
      const token = projection['serviceAccountToken'] as Json;
      const seconds: number = token['expirationSeconds'] ?? 0;
      if (seconds < 600)
        errors.push(
          fieldError.invalid(
            at.child('serviceAccountToken', 'expirationSeconds'),
            seconds,
            'may not specify a duration less than 10 minutes',
          ),
        );
      if (seconds > 2 ** 32)
        errors.push(
          fieldError.invalid(
            at.child('serviceAccountToken', 'expirationSeconds'),
            seconds,
            'may not specify a duration larger than 2^32 seconds',
          ),
        );
      if (text(token['path']) === '') errors.push(fieldError.required(path.child('path')));
      else {
        errors.push(
          ...validateLocalNonReservedPath(text(token['path']), at.child('serviceAccountToken', 'path')),
        );
        seePath(text(token['path']));
      }
    }
    more('clusterTrustBundle');
    more('podCertificate');
    if (count > 1)
      errors.push(fieldError.forbidden(at, 'may not specify more than 1 volume type per source'));
  });
  return errors;
}

/** In the order in which upstream looks at them, which decides who is "more than 1". */
const sources: readonly (readonly [name: string, rule: SourceRule])[] = [
  ['emptyDir', validateEmptyDir],
  ['hostPath', validateHostPath],
  ['gitRepo', validateGitRepo],
  ['gcePersistentDisk', validateGcePersistentDisk],
  ['awsElasticBlockStore', validateAws],
  ['secret', validateSecret],
  ['nfs', validateNfs],
  ['iscsi', validateIscsi],
  ['glusterfs', validateGlusterfs],
  ['flocker', validateFlocker],
  ['persistentVolumeClaim', (source, path) => required(source, path, 'claimName')],
  ['rbd', validateRbd],
  ['cinder', validateCinder],
  ['cephfs', validateCephFs],
  ['quobyte', validateQuobyte],
  ['downwardAPI', validateDownwardApi],
  ['fc', validateFc],
  ['flexVolume', validateFlex],
  ['configMap', validateConfigMap],
  ['azureFile', validateAzureFile],
  ['vsphereVolume', validateVsphere],
  ['photonPersistentDisk', validatePhoton],
  ['portworxVolume', validatePortworx],
  ['azureDisk', validateAzureDisk],
  ['storageos', validateStorageOs],
  ['projected', validateProjected],
  ['scaleIO', validateScaleIo],
  ['csi', validateCsi],
  ['ephemeral', validateEphemeral],
  ['image', validateImage],
];

/** Names that upstream's messages write in their own way. */
const misspelt: Readonly<Record<string, string>> = { cephfs: 'cephFS', downwardAPI: 'downwarAPI' };

export const volumeSourceNames: readonly string[] = sources.map(([name]) => name);

export function validateVolumes(volumes: unknown, path: FieldPath, podMeta: Json | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const claims = new Set<string>();
  for (const volume of list(volumes) as Json[])
    if (isSet(volume['persistentVolumeClaim'])) claims.add(text(volume['persistentVolumeClaim'].claimName));
  list(volumes).forEach((volume: Json, index) => {
    const at = path.index(index);
    const own: FieldError[] = [];
    let count = 0;
    for (const [name, rule] of sources) {
      const source = volume[name] as Json | null | undefined;
      if (!isSet(source)) continue;
      if (count > 0)
        own.push(
          fieldError.forbidden(at.child(misspelt[name] ?? name), 'may not specify more than 1 volume type'),
        );
      else {
        count += 1;
        // Upstream tells of this one by another name.
        own.push(...rule(source, at.child(name === 'gcePersistentDisk' ? 'persistentDisk' : name), volume));
      }
      // The generated claim is named <pod>-<volume>, which must be a name and free.
      const podName = text(podMeta?.['name']);
      if (name === 'ephemeral' && podName !== '' && text(volume['name']) !== '') {
        const claim = `${podName}-${text(volume['name'])}`;
        own.push(
          ...nameIsDnsSubdomain(claim, false).map((problem) =>
            fieldError.invalid(at.child('name'), text(volume['name']), `PVC name "${claim}": ${problem}`),
          ),
        );
        if (claims.has(claim))
          own.push(
            fieldError.invalid(
              at.child('name'),
              text(volume['name']),
              `must not reference a PVC by name "${claim}" when that name would also be used for the ephemeral volume`,
            ),
          );
      }
    }
    if (count === 0) own.push(fieldError.required(at, 'must specify a volume type'));
    const name = text(volume['name']);
    if (name === '') own.push(fieldError.required(at.child('name')));
    else {
      own.push(...problems(at.child('name'), name, isDns1123Label(name)));
      if (names.has(name)) own.push(fieldError.duplicate(at.child('name'), name));
    }
    names.add(name);
    errors.push(...own);
  });
  return errors;
}

/** The rule of one kind of source. */
export function volumeSourceRule(name: string): (source: Json, path: FieldPath) => FieldError[] {
  const rule = sources.find(([each]) => each === name)?.[1];
  return (source, path) => rule?.(source, path, {}) ?? [];
}
