import type { FieldError } from '@pilothouse/apimachinery';
import { fieldError, FieldPath } from '@pilothouse/apimachinery';
import { validateAffinity, validateTolerations, validateTopologySpread } from './affinity.ts';
import type { PodFacts } from './containers.ts';
import {
  validateContainers,
  validateEphemeralContainers,
  validateImageText,
  validateInitContainers,
} from './containers.ts';
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
import { validatePodAnnotations } from './pod-annotations.ts';
import { internalText } from './internal-text.ts';
import { validatePodResources } from './pod-resources.ts';
import { validateOverhead } from './resources.ts';
import { validatePodSecurityContext } from './security-context.ts';
import type { Json } from './values.ts';
import { isSet, list, oneOf, problems, text } from './values.ts';
import { validateVolumes } from './volumes.ts';
import { validateHostProcess } from './windows.ts';
import { validateWindowsPod } from './windows-pod.ts';

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

/** Upstream names no field in its refusal of claims, which shows as `[]`. */
const mirrorPod = 'kubernetes.io/config.mirror';

function validateResourceClaims(claims: unknown, meta: Json | undefined, path: FieldPath): FieldError[] {
  if (isSet(meta?.['annotations']?.[mirrorPod]))
    return list(claims).map(() =>
      fieldError.forbidden(new FieldPath('[]'), 'static pods do not support resource claims'),
    );
  const errors: FieldError[] = [];
  const names = new Set<string>();
  list(claims).forEach((claim: Json, index) => {
    const at = path.index(index);
    const name = text(claim['name']);
    if (name === '') errors.push(fieldError.required(at.child('name')));
    else if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
    else {
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
  return errors;
}

/** On the host's network a port is the host's own. A template may leave that to its pods (`isPod` false). */
function validateHostNetwork(spec: Json, path: FieldPath, isPod: boolean): FieldError[] {
  if (spec['hostNetwork'] !== true) return [];
  const errors: FieldError[] = [];
  list(spec['containers']).forEach((container: Json, index) => {
    list(container['ports']).forEach((port: Json, portIndex) => {
      const hostPort: number = port['hostPort'] ?? 0;
      if ((isPod || hostPort !== 0) && hostPort !== (port['containerPort'] ?? 0))
        errors.push(
          fieldError.invalid(
            path.child('containers').index(index).child('ports').index(portIndex).child('hostPort'),
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

function containersWithPath(spec: Json, path: FieldPath): [Json, FieldPath][] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((name) =>
    list(spec[name]).map((container: Json, index): [Json, FieldPath] => [
      container,
      path.child(name).index(index),
    ]),
  );
}

function validateLinux(spec: Json, path: FieldPath): FieldError[] {
  const all: [Json, FieldPath][] = [[spec, path], ...containersWithPath(spec, path)];
  return all
    .filter(([each]) => isSet(each['securityContext']?.windowsOptions))
    .map(([, at]) =>
      fieldError.forbidden(
        at.child('securityContext', 'windowsOptions'),
        'windows options cannot be set for a linux pod',
      ),
    );
}

function validateOs(spec: Json, path: FieldPath): FieldError[] {
  const os = spec['os'] as Json | null | undefined;
  if (!isSet(os)) return [];
  const name = text(os['name']);
  if (name === '') return [fieldError.required(path.child('os', 'name'))];
  if (name === 'linux') return validateLinux(spec, path);
  if (name === 'windows') return validateWindowsPod(spec, containersWithPath(spec, path), path);
  return [fieldError.notSupported(path.child('os'), name, ['linux', 'windows'])];
}

/** What cannot go with users of its own; two members bear upstream's internal names. */
function validateHostUsers(spec: Json, path: FieldPath): FieldError[] {
  if (spec['hostUsers'] !== false) return [];
  const errors: FieldError[] = [];
  for (const [name, shown] of [
    ['hostNetwork', 'hostNetwork'],
    ['hostPID', 'HostPID'],
    ['hostIPC', 'HostIPC'],
  ] as const)
    if (spec[name] === true)
      errors.push(fieldError.forbidden(path.child(shown), 'when `hostUsers` is false'));
  for (const [container, at] of containersWithPath(spec, path))
    if (list(container['volumeDevices']).length > 0)
      errors.push(fieldError.forbidden(at.child('volumeDevices'), 'when `hostUsers` is false'));
  return errors;
}

/** Files that environment variables are read from lie in volumes of the pod, made by its containers. */
function validateFileKeyVolumes(spec: Json, path: FieldPath): FieldError[] {
  const volumes = new Map((list(spec['volumes']) as Json[]).map((volume) => [text(volume['name']), volume]));
  return containersWithPath(spec, path).flatMap(([container, at]) =>
    (list(container['env']) as Json[]).flatMap((variable, index) => {
      const file = variable['valueFrom']?.fileKeyRef as Json | null | undefined;
      if (!isSet(file)) return [];
      const name = text(file['volumeName']);
      const where = at.child('env').index(index).child('valueFrom', 'fileKeyRef', 'volumeName');
      const volume = volumes.get(name);
      if (volume === undefined) return [fieldError.notFound(where, name)];
      if (isSet(volume['emptyDir'])) return [];
      return [fieldError.invalid(where, name, 'referenced volume must be of type emptyDir')];
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
  errors.push(...validateResourceClaims(spec['resourceClaims'], meta, path.child('resourceClaims')));
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
  errors.push(...validatePodResources(spec, path.child('resources')));
  errors.push(...validateHostNetwork(spec, path, meta !== undefined));
  if (text(spec['restartPolicy']) === '') errors.push(fieldError.required(path.child('restartPolicy')));
  else
    errors.push(
      ...oneOf(path.child('restartPolicy'), spec['restartPolicy'], ['Always', 'OnFailure', 'Never']),
    );
  if (text(spec['dnsPolicy']) === '') errors.push(fieldError.required(path.child('dnsPolicy')));
  else errors.push(...oneOf(path.child('dnsPolicy'), spec['dnsPolicy'], dnsPolicies));
  errors.push(...validateLabels(spec['nodeSelector'], path.child('nodeSelector')));
  errors.push(...validatePodSecurityContext(spec, path));
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
  errors.push(...validateHostProcess(spec, path));
  errors.push(...validateHostUsers(spec, path));
  errors.push(...validateHostnameOverride(spec, path));
  const nameFields = [
    ['serviceAccountName', nameIsDnsSubdomain],
    ['nodeName', nameIsDnsSubdomain],
  ] as const;
  for (const [name, rule] of nameFields)
    if (text(spec[name]) !== '')
      errors.push(...problems(path.child(name), spec[name], rule(text(spec[name]), false)));
  const deadline: unknown = spec['activeDeadlineSeconds'];
  // Beyond what a number holds exactly it is a bigint.
  if ((typeof deadline === 'number' || typeof deadline === 'bigint') && (deadline < 1 || deadline > int32Max))
    errors.push(
      fieldError.invalid(path.child('activeDeadlineSeconds'), deadline, inclusiveRange(1, int32Max)),
    );
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
  errors.push(...validateFileKeyVolumes(spec, path));
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
  for (const name of ['containers', 'initContainers'])
    list(spec[name]).forEach((container: Json, index) =>
      errors.push(...validateImageText(container, path.child(name).index(index))),
    );
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
  const annotations = (template['metadata']?.annotations ?? {}) as Record<string, string>;
  errors.push(...validatePodAnnotations(annotations, spec, path.child('annotations')));
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
