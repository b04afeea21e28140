import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { validateAffinity, validateTolerations, validateTopologySpread } from './affinity.ts';
import type { PodFacts } from './containers.ts';
import { validateContainers, validateEphemeralContainers, validateInitContainers } from './containers.ts';
import { validateIpLegacy } from './network.ts';
import {
  inclusiveRange,
  isDns1123Label,
  isDns1123Subdomain,
  isDns1123SubdomainWithUnderscore,
  isQualifiedName,
  nameIsDnsSubdomain,
} from './names.ts';
import { validateAnnotations, validateLabels } from './meta.ts';
import { internalText } from './internal-text.ts';
import { validateOverhead, validateResourceRequirements } from './resources.ts';
import { validatePodSecurityContext } from './security-context.ts';
import type { Json } from './values.ts';
import { isSet, list, oneOf, problems, text } from './values.ts';
import { validateVolumes } from './volumes.ts';
import { validateHostProcess } from './windows.ts';

const int32Max = 2147483647;
const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];

function validateDnsConfig(config: Json | null | undefined, policy: string, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (policy === 'None') {
    if (!isSet(config))
      return [fieldError.required(path, 'must provide `dnsConfig` when `dnsPolicy` is None')];
    if (list(config['nameservers']).length === 0)
      return [
        fieldError.required(
          path.child('nameservers'),
          'must provide at least one DNS nameserver when `dnsPolicy` is None',
        ),
      ];
  }
  if (!isSet(config)) return errors;
  const servers = list(config['nameservers']) as string[];
  const searches = list(config['searches']) as string[];
  if (servers.length > 3)
    errors.push(
      fieldError.invalid(path.child('nameservers'), servers, 'must not have more than 3 nameservers'),
    );
  servers.forEach((server, index) => {
    errors.push(...validateIpLegacy(path.child('nameservers').index(index), server));
  });
  if (searches.length > 32)
    errors.push(
      fieldError.invalid(path.child('searches'), searches, 'must not have more than 32 search paths'),
    );
  if (searches.join(' ').length > 2048)
    errors.push(
      fieldError.invalid(
        path.child('searches'),
        searches,
        'must not have more than 2048 characters (including spaces) in the search list',
      ),
    );
  searches.forEach((search, index) => {
    if (search === '.') return;
    const plain = search.endsWith('.') ? search.slice(0, -1) : search;
    errors.push(
      ...problems(path.child('searches').index(index), plain, isDns1123SubdomainWithUnderscore(plain)),
    );
  });
  list(config['options']).forEach((option: Json, index) => {
    if (text(option['name']) === '')
      errors.push(fieldError.required(path.child('options').index(index), 'must not be empty'));
  });
  return errors;
}

function validateHostAliases(aliases: unknown, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  list(aliases).forEach((alias: Json, index) => {
    errors.push(...validateIpLegacy(path.index(index).child('ip'), text(alias['ip'])));
    list(alias['hostnames']).forEach((name, nameIndex) => {
      errors.push(
        ...problems(
          path.index(index).child('hostnames').index(nameIndex),
          name,
          isDns1123Subdomain(text(name)),
        ),
      );
    });
  });
  return errors;
}

const invalidClaim = (claim: Json, path: FieldPath, detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field: path.toString(),
  message: `Invalid value: ${internalText('PodResourceClaim', claim)}: ${detail}`,
});

function validateResourceClaims(claims: unknown, podName: string, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  list(claims).forEach((claim: Json, index) => {
    const at = path.index(index);
    const name = text(claim['name']);
    if (name === '') errors.push(fieldError.required(at.child('name')));
    else {
      if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
      names.add(name);
      errors.push(...problems(at.child('name'), name, isDns1123Label(name)));
    }
    const direct = claim['resourceClaimName'] as string | null | undefined;
    const template = claim['resourceClaimTemplateName'] as string | null | undefined;
    if (isSet(direct) && isSet(template))
      errors.push(
        invalidClaim(
          claim,
          at,
          'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified',
        ),
      );
    if (!isSet(direct) && !isSet(template))
      errors.push(
        invalidClaim(claim, at, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'),
      );
    if (isSet(direct))
      errors.push(...problems(at.child('resourceClaimName'), direct, nameIsDnsSubdomain(direct, false)));
    if (isSet(template))
      errors.push(
        ...problems(at.child('resourceClaimTemplateName'), template, nameIsDnsSubdomain(template, false)),
      );
  });
  void podName;
  return errors;
}

function validateHostNetwork(spec: Json, path: FieldPath): FieldError[] {
  if (spec['hostNetwork'] !== true) return [];
  const errors: FieldError[] = [];
  for (const name of ['containers', 'initContainers'])
    list(spec[name]).forEach((container: Json, index) => {
      list(container['ports']).forEach((port: Json, portIndex) => {
        const hostPort: number = port['hostPort'] ?? 0;
        if (hostPort !== (port['containerPort'] ?? 0))
          errors.push(
            fieldError.invalid(
              path.child(name).index(index).child('ports').index(portIndex).child('hostPort'),
              hostPort,
              'must match `containerPort` when `hostNetwork` is true',
            ),
          );
      });
    });
  return errors;
}

function validateGates(gates: unknown, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  list(gates).forEach((gate: Json, index) => {
    const name = text(gate['name']);
    errors.push(...problems(path.index(index), name, isQualifiedName(name)));
    if (seen.has(name)) errors.push(fieldError.duplicate(path.index(index), name));
    seen.add(name);
  });
  return errors;
}

const linuxOnlyPod = ['hostPID', 'hostIPC', 'shareProcessNamespace'];
const linuxOnlyPodContext = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'fsGroup',
  'fsGroupChangePolicy',
  'sysctls',
  'runAsUser',
  'runAsGroup',
  'supplementalGroups',
  'supplementalGroupsPolicy',
];
const linuxOnlyContext = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
];

const cannotSet = (os: string): string => `cannot be set for a ${os} pod`;

function containersWithPath(spec: Json, path: FieldPath): [Json, FieldPath][] {
  return ['containers', 'initContainers', 'ephemeralContainers'].flatMap((name) =>
    list(spec[name]).map((container: Json, index): [Json, FieldPath] => [
      container,
      path.child(name).index(index),
    ]),
  );
}

function validateLinux(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (isSet(spec['securityContext']?.windowsOptions))
    errors.push(
      fieldError.forbidden(
        path.child('securityContext', 'windowsOptions'),
        'windows options cannot be set for a linux pod',
      ),
    );
  for (const [container, at] of containersWithPath(spec, path))
    if (isSet(container['securityContext']?.windowsOptions))
      errors.push(
        fieldError.forbidden(
          at.child('securityContext', 'windowsOptions'),
          'windows options cannot be set for a linux pod',
        ),
      );
  return errors;
}

const isAbsent = (value: unknown): boolean => !isSet(value) || (Array.isArray(value) && value.length === 0);

function validateWindows(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const context = spec['securityContext'] as Json | null | undefined;
  for (const name of linuxOnlyPodContext)
    if (!isAbsent(context?.[name]))
      errors.push(fieldError.forbidden(path.child('securityContext', name), cannotSet('windows')));
  for (const name of linuxOnlyPod)
    if (isSet(spec[name]) && spec[name] !== false)
      errors.push(fieldError.forbidden(path.child(name), cannotSet('windows')));
  for (const [container, at] of containersWithPath(spec, path))
    for (const name of linuxOnlyContext)
      if (isSet(container['securityContext']?.[name]))
        errors.push(fieldError.forbidden(at.child('securityContext', name), cannotSet('windows')));
  return errors;
}

function validateOs(spec: Json, path: FieldPath): FieldError[] {
  const os = spec['os'] as Json | null | undefined;
  if (!isSet(os)) return [];
  const name = text(os['name']);
  if (name === '') return [fieldError.required(path.child('os', 'name'))];
  if (name !== 'linux' && name !== 'windows')
    return [fieldError.notSupported(path.child('os'), name, ['linux', 'windows'])];
  return name === 'linux' ? validateLinux(spec, path) : validateWindows(spec, path);
}

function validateHostUsers(spec: Json, path: FieldPath): FieldError[] {
  if (spec['hostUsers'] !== false) return [];
  const errors: FieldError[] = [];
  for (const name of ['hostNetwork', 'hostIPC', 'hostPID'])
    if (spec[name] === true) errors.push(fieldError.forbidden(path.child(name), 'when `hostUsers` is false'));
  for (const [container, at] of containersWithPath(spec, path))
    if (list(container['volumeDevices']).length > 0)
      errors.push(fieldError.forbidden(at.child('volumeDevices'), 'when `hostUsers` is false'));
  return errors;
}

/** Files that environment variables are read from lie in volumes of the pod. */
function validateFileKeyVolumes(spec: Json, path: FieldPath): FieldError[] {
  const names = new Set((list(spec['volumes']) as Json[]).map((volume) => text(volume['name'])));
  return containersWithPath(spec, path).flatMap(([container, at]) =>
    (list(container['env']) as Json[]).flatMap((variable, index) => {
      const file = variable['valueFrom']?.fileKeyRef as Json | null | undefined;
      if (!isSet(file) || (text(file['volumeName']) !== '' && names.has(text(file['volumeName'])))) return [];
      return [
        fieldError.notFound(
          at.child('env').index(index).child('valueFrom', 'fileKeyRef', 'volumeName'),
          text(file['volumeName']),
        ),
      ];
    }),
  );
}

/** A pod's or pod template's spec, as defaulted. */
export function validatePodSpec(spec: Json, meta: Json | undefined, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const claimNames = new Set(
    (list(spec['resourceClaims']) as Json[])
      .map((claim) => text(claim['name']))
      .filter((name) => name !== ''),
  );
  const volumes = list(spec['volumes']) as Json[];
  const volumeErrors = validateVolumes(volumes, path.child('volumes'), meta);
  // A volume with a fault counts as absent where it is mounted.
  const validVolumes = new Map(
    volumes
      .filter(
        (_, index) =>
          !volumeErrors.some((error) => error.field.startsWith(`${path.child('volumes').index(index).text}`)),
      )
      .map((volume): [string, Json] => [text(volume['name']), volume]),
  );
  const facts: PodFacts = {
    volumes: validVolumes,
    claimNames,
    restartPolicy: text(spec['restartPolicy']),
    graceSeconds: isSet(spec['terminationGracePeriodSeconds'])
      ? (spec['terminationGracePeriodSeconds'] as number)
      : undefined,
    hostUsers: spec['hostUsers'] !== false,
  };
  errors.push(...volumeErrors);
  errors.push(
    ...validateResourceClaims(spec['resourceClaims'], text(meta?.['name']), path.child('resourceClaims')),
  );
  errors.push(...validateContainers(spec['containers'], facts, path.child('containers')));
  errors.push(
    ...validateInitContainers(
      spec['initContainers'],
      list(spec['containers']),
      facts,
      path.child('initContainers'),
    ),
  );
  errors.push(...validateEphemeralContainers(spec, facts, path.child('ephemeralContainers')));
  errors.push(...validateFileKeyVolumes(spec, path));
  errors.push(...validatePodResources(spec, claimNames, path.child('resources')));
  errors.push(...validateHostNetwork(spec, path));
  if (text(spec['restartPolicy']) === '') errors.push(fieldError.required(path.child('restartPolicy')));
  else
    errors.push(
      ...oneOf(path.child('restartPolicy'), spec['restartPolicy'], ['Always', 'OnFailure', 'Never']),
    );
  if (text(spec['dnsPolicy']) === '') errors.push(fieldError.required(path.child('dnsPolicy')));
  else errors.push(...oneOf(path.child('dnsPolicy'), spec['dnsPolicy'], dnsPolicies));
  errors.push(...validateLabels(spec['nodeSelector'], path.child('nodeSelector')));
  errors.push(...validatePodSecurityContext(spec['securityContext'], path.child('securityContext')));
  if (
    isSet(spec['shareProcessNamespace']) &&
    spec['hostPID'] === true &&
    spec['shareProcessNamespace'] === true
  )
    errors.push(
      fieldError.invalid(
        path.child('shareProcessNamespace'),
        true,
        'ShareProcessNamespace and HostPID cannot both be enabled',
      ),
    );
  errors.push(...validateAffinity(spec['affinity'], path.child('affinity')));
  errors.push(...validateDnsConfig(spec['dnsConfig'], text(spec['dnsPolicy']), path.child('dnsConfig')));
  list(spec['readinessGates']).forEach((gate: Json, index) => {
    const type = text(gate['conditionType']);
    errors.push(
      ...problems(
        path.child('readinessGates').index(index).child('conditionType'),
        type,
        isQualifiedName(type),
      ),
    );
  });
  errors.push(...validateGates(spec['schedulingGates'], path.child('schedulingGates')));
  errors.push(
    ...validateTopologySpread(spec['topologySpreadConstraints'], path.child('topologySpreadConstraints')),
  );
  errors.push(...validateHostProcess(spec, path), ...validateHostUsers(spec, path));
  const nameFields = [
    ['serviceAccountName', nameIsDnsSubdomain],
    ['nodeName', nameIsDnsSubdomain],
  ] as const;
  for (const [name, rule] of nameFields)
    if (text(spec[name]) !== '')
      errors.push(...problems(path.child(name), spec[name], rule(text(spec[name]), false)));
  const deadline: unknown = spec['activeDeadlineSeconds'];
  if (typeof deadline === 'number' && (deadline < 1 || deadline > int32Max))
    errors.push(
      fieldError.invalid(path.child('activeDeadlineSeconds'), deadline, inclusiveRange(1, int32Max)),
    );
  errors.push(...validateHostnameOverride(spec, path));
  for (const name of ['hostname', 'subdomain'])
    if (text(spec[name]) !== '')
      errors.push(...problems(path.child(name), spec[name], isDns1123Label(text(spec[name]))));
  errors.push(...validateTolerations(spec['tolerations'], path.child('tolerations')));
  errors.push(...validateHostAliases(spec['hostAliases'], path.child('hostAliases')));
  for (const name of ['priorityClassName', 'runtimeClassName'])
    if (isSet(spec[name]) && !(name === 'priorityClassName' && spec[name] === ''))
      errors.push(...problems(path.child(name), spec[name], nameIsDnsSubdomain(text(spec[name]), false)));
  if (isSet(spec['preemptionPolicy']))
    errors.push(...validatePreemptionPolicy(spec['preemptionPolicy'], path.child('preemptionPolicy')));
  if (isSet(spec['overhead'])) errors.push(...validateOverhead(spec['overhead'], path.child('overhead')));
  errors.push(...validateOs(spec, path));
  return errors;
}

export function validatePreemptionPolicy(policy: unknown, path: FieldPath): FieldError[] {
  if (policy === '') return [fieldError.required(path)];
  return oneOf(path, policy, ['PreemptLowerPriority', 'Never']);
}

const hostnameBytesMax = 64;

function validateHostnameOverride(spec: Json, path: FieldPath): FieldError[] {
  const name = spec['hostnameOverride'] as string | null | undefined;
  if (!isSet(name)) return [];
  const at = path.child('hostnameOverride');
  const errors: FieldError[] = [];
  if (spec['setHostnameAsFQDN'] === true)
    errors.push(fieldError.forbidden(at, 'may not be specified when setHostnameAsFQDN is true'));
  if (spec['hostNetwork'] === true)
    errors.push(fieldError.forbidden(at, 'may not be specified when hostNetwork is true'));
  if (name.length > hostnameBytesMax) errors.push(fieldError.tooLong(at, hostnameBytesMax));
  return [...errors, ...problems(at, name, isDns1123Subdomain(name))];
}

function validatePodResources(spec: Json, claimNames: ReadonlySet<string>, path: FieldPath): FieldError[] {
  const resources = spec['resources'] as Json | null | undefined;
  if (!isSet(resources)) return [];
  if (spec['os']?.name === 'windows') return [fieldError.forbidden(path, 'may not be set for a windows pod')];
  const errors: FieldError[] = [];
  if (list(resources['claims']).length > 0)
    errors.push(
      fieldError.forbidden(path.child('claims'), 'claims may not be set for Resources at pod-level'),
    );
  for (const kind of ['limits', 'requests'])
    for (const name of Object.keys((resources[kind] ?? {}) as Json))
      if (name !== 'cpu' && name !== 'memory' && !name.startsWith('hugepages-'))
        errors.push(
          fieldError.notSupported(path.child(kind).key(name), name, ['cpu', 'hugepages', 'memory']),
        );
  if (errors.length > 0) return errors;
  return validateResourceRequirements({ ...resources, claims: undefined }, path, claimNames);
}

/** Rules that hold for pods but not for templates, kept apart for old templates' sake. */
export function validateOnlyForPod(spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  if (text(spec['serviceAccountName']) === '')
    list(spec['volumes']).forEach((volume: Json, index) => {
      list(volume['projected']?.sources).forEach((source: Json, sourceIndex) => {
        if (isSet(source['serviceAccountToken']))
          errors.push(
            fieldError.forbidden(
              path
                .child('volumes')
                .index(index)
                .child('projected', 'sources')
                .index(sourceIndex)
                .child('serviceAccountToken'),
              'must not be specified when serviceAccountName is not set',
            ),
          );
      });
    });
  for (const [container, at] of containersWithPath(spec, path)) {
    const image = text(container['image']);
    if (image.trim() !== image)
      errors.push(
        fieldError.invalid(at.child('image'), image, 'must not have leading or trailing whitespace'),
      );
  }
  return errors;
}

export function validateTemplateMetadata(template: Json, path: FieldPath): FieldError[] {
  const meta = (template['metadata'] ?? {}) as Json;
  return [
    ...validateLabels(meta['labels'], path.child('labels')),
    ...validateAnnotations(meta['annotations'], path.child('annotations')),
  ];
}

/** metadata.labels, metadata.annotations and spec of a pod template. */
export function validatePodTemplateSpec(template: Json, path: FieldPath): FieldError[] {
  const spec = (template['spec'] ?? {}) as Json;
  const errors = validateTemplateMetadata(template, path);
  errors.push(...validatePodSpec(spec, undefined, path.child('spec')));
  if (list(spec['ephemeralContainers']).length > 0)
    errors.push(
      fieldError.forbidden(
        path.child('spec', 'ephemeralContainers'),
        'ephemeral containers not allowed in pod template',
      ),
    );
  return errors;
}
