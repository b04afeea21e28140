import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote } from '@pilothouse/apimachinery';
import { FieldPath } from '@pilothouse/apimachinery';
import { isFractional, quantityText } from '../../validation/quantities.ts';
import type { Json } from '../../validation/values.ts';
import { entries, isSet, list, text } from '../../validation/values.ts';

const deprecatedLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region':
    'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone':
    'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type':
    'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
};

const criticalPod = 'scheduler.alpha.kubernetes.io/critical-pod';

function deprecatedAnnotation(key: string): string | undefined {
  if (key === criticalPod) return `non-functional in v1.16+; use the "priorityClassName" field instead`;
  if (key === 'security.alpha.kubernetes.io/sysctls' || key === 'security.alpha.kubernetes.io/unsafe-sysctls')
    return `non-functional in v1.11+; use the "sysctls" field instead`;
  return undefined;
}

/** Warnings of a pod; on update only when the pod's spec is new in some way that matters is left to the caller. */
export function podWarnings(pod: KubeObject, old: KubeObject | undefined): string[] {
  if (old !== undefined && (pod.metadata.generation ?? 0) <= (old.metadata.generation ?? 0)) return [];
  return templateWarnings(pod, new FieldPath(), old);
}

/** Warnings of the template of a workload, when an update made a new generation of it. */
export function changedTemplateWarnings(object: KubeObject, old: KubeObject, path: FieldPath): string[] {
  return object.metadata.generation === old.metadata.generation
    ? []
    : templateWarnings(object['spec']?.template, path, old['spec']?.template);
}

/** Warnings of a pod or of a pod template at `path`. */
export function templateWarnings(template: Json | null | undefined, path: FieldPath, old?: Json): string[] {
  if (!isSet(template)) return [];
  const warnings: string[] = [];
  const meta = (template['metadata'] ?? {}) as Json;
  const spec = (template['spec'] ?? {}) as Json;
  const oldSpec = (old?.['spec'] ?? {}) as Json;
  const at = path.child('spec');
  for (const [key] of entries(spec['nodeSelector']))
    if (key in deprecatedLabels)
      warnings.push(`${at.child('nodeSelector').key(key).text}: ${deprecatedLabels[key] as string}`);
  warnings.push(...affinityWarnings(spec['affinity'], at.child('affinity')));
  warnings.push(...spreadWarnings(spec, at));
  for (const key of [...entries(meta['annotations']).map(([name]) => name)]) {
    const text_ = deprecatedAnnotation(key);
    if (text_ !== undefined)
      warnings.push(`${path.child('metadata', 'annotations').key(key).text}: ${text_}`);
  }
  list(spec['volumes']).forEach((volume: Json, index) =>
    warnings.push(...volumeWarnings(volume, at.child('volumes').index(index))),
  );
  warnings.push(...overlappingPaths(spec));
  const seenIps = new Set<string>();
  list(spec['hostAliases']).forEach((alias: Json, index) => {
    const ip = text(alias['ip']);
    if (seenIps.has(ip))
      warnings.push(`${at.child('hostAliases').index(index).child('ip').text}: duplicate ip ${goQuote(ip)}`);
    seenIps.add(ip);
  });
  const seenSecrets = new Set<string>();
  list(spec['imagePullSecrets']).forEach((ref: Json, index) => {
    const name = text(ref['name']);
    const where = at.child('imagePullSecrets').index(index).child('name').text;
    if (name === '') warnings.push(`${where}: invalid empty name ${goQuote(name)}`);
    else if (seenSecrets.has(name)) warnings.push(`${where}: duplicate name ${goQuote(name)}`);
    seenSecrets.add(name);
  });
  for (const name of ['initContainers', 'containers'])
    list(spec[name]).forEach((container: Json, index) =>
      warnings.push(...containerWarnings(container, at.child(name).index(index))),
    );
  warnings.push(...portWarnings(spec, at));
  const grace: unknown = spec['terminationGracePeriodSeconds'];
  if (typeof grace === 'number' && grace < 0)
    warnings.push(
      `${at.child('terminationGracePeriodSeconds').text}: must be >= 0; negative values are invalid and will be treated as 1`,
    );
  for (const [resource, value] of entries(spec['overhead']))
    if (resource === 'memory' && isFractional(value))
      warnings.push(fractional(at.child('overhead').key(resource), value));
  void oldSpec;
  return warnings;
}

const fractional = (path: FieldPath, value: unknown): string =>
  `${path.text}: fractional byte value ${goQuote(quantityText(value))} is invalid, must be an integer`;

function termWarnings(term: Json, path: FieldPath): string[] {
  return list(term['matchExpressions']).flatMap((each: Json, index) => {
    const key = text(each['key']);
    return key in deprecatedLabels
      ? [
          `${path.child('matchExpressions').index(index).child('key').text}: ${key} is ${deprecatedLabels[key] as string}`,
        ]
      : [];
  });
}

function affinityWarnings(affinity: Json | null | undefined, path: FieldPath): string[] {
  if (!isSet(affinity)) return [];
  const warnings: string[] = [];
  const node = affinity['nodeAffinity'] as Json | null | undefined;
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
  list(node?.[required]?.nodeSelectorTerms).forEach((term: Json, index) => {
    warnings.push(
      ...termWarnings(term, path.child('nodeAffinity', required, 'nodeSelectorTerms').index(index)),
    );
  });
  list(node?.[preferred]).forEach((term: Json, index) => {
    warnings.push(
      ...termWarnings(
        (term['preference'] ?? {}) as Json,
        path.child('nodeAffinity', preferred).index(index).child('preference'),
      ),
    );
  });
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    list(affinity[kind]?.[required]).forEach((term: Json, index) => {
      warnings.push(...nullSelector(term, path.child(kind, required).index(index)));
    });
    list(affinity[kind]?.[preferred]).forEach((term: Json, index) => {
      warnings.push(
        ...nullSelector(
          (term['podAffinityTerm'] ?? {}) as Json,
          path.child(kind, preferred).index(index).child('podAffinityTerm'),
        ),
      );
    });
  }
  return warnings;
}

const nullSelector = (term: Json, path: FieldPath): string[] =>
  isSet(term['labelSelector'])
    ? []
    : [`${path.child('labelSelector').text}: a null labelSelector results in matching no pod`];

function spreadWarnings(spec: Json, path: FieldPath): string[] {
  return list(spec['topologySpreadConstraints']).flatMap((constraint: Json, index) => {
    const at = path.child('topologySpreadConstraints').index(index);
    const key = text(constraint['topologyKey']);
    return [
      ...(key in deprecatedLabels
        ? [`${at.child('topologyKey').text}: ${key} is ${deprecatedLabels[key] as string}`]
        : []),
      ...nullSelector(constraint, at),
    ];
  });
}

const removedVolumes: Readonly<Record<string, string>> = {
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
};

function volumeWarnings(volume: Json, path: FieldPath): string[] {
  const warnings: string[] = [];
  for (const [name, text_] of Object.entries(removedVolumes))
    if (isSet(volume[name])) warnings.push(`${path.child(name).text}: ${text_}`);
  if (isSet(volume['ephemeral']))
    for (const [resource, value] of entries(
      volume['ephemeral'].volumeClaimTemplate?.spec?.resources?.requests,
    ))
      if (resource === 'storage' && isFractional(value))
        warnings.push(
          fractional(
            path.child('ephemeral', 'volumeClaimTemplate', 'spec', 'resources', 'requests').key('storage'),
            value,
          ),
        );
  return warnings;
}

/** Files of one volume that land on, or under, each other. */
function overlappingPaths(spec: Json): string[] {
  return list(spec['volumes']).flatMap((volume: Json) => {
    const label = `volume ${goQuote(text(volume['name']))}`;
    const pathsOf = (source: Json | null | undefined): string[] =>
      (list(source?.['items']) as Json[]).map((item) => text(item['path']));
    const warnings: string[] = [];
    if (isSet(volume['secret']))
      warnings.push(
        ...overlaps(
          pathsOf(volume['secret']),
          `${label} (Secret ${goQuote(text(volume['secret'].secretName))})`,
        ),
      );
    if (isSet(volume['configMap']))
      warnings.push(
        ...overlaps(
          pathsOf(volume['configMap']),
          `${label} (ConfigMap ${goQuote(text(volume['configMap'].name))})`,
        ),
      );
    if (isSet(volume['downwardAPI']))
      warnings.push(...overlaps(pathsOf(volume['downwardAPI']), `${label} (DownwardAPI)`));
    if (isSet(volume['projected'])) {
      const sources = list(volume['projected'].sources) as Json[];
      for (const source of sources)
        if (!Object.values(source).some(isSet)) warnings.push(`${label} (Projected) has no sources provided`);
    }
    return warnings;
  });
}

function overlaps(paths: readonly string[], label: string): string[] {
  const sorted = [...paths].sort();
  return sorted.flatMap((path, index) => {
    const under = sorted.slice(0, index).filter((other) => path === other || path.startsWith(`${other}/`));
    return under.length === 0
      ? []
      : [`${label}: overlapping paths: ${goQuote(path)} with ${under.map(goQuote).join(', ')}`];
  });
}

function containerWarnings(container: Json, path: FieldPath): string[] {
  const warnings: string[] = [];
  for (const [resource, value] of entries(container['resources']?.limits))
    if ((resource === 'memory' || resource === 'ephemeral-storage') && isFractional(value))
      warnings.push(fractional(path.child('resources', 'limits').key(resource), value));
  for (const [resource, value] of entries(container['resources']?.requests))
    if ((resource === 'memory' || resource === 'ephemeral-storage') && isFractional(value))
      warnings.push(fractional(path.child('resources', 'requests').key(resource), value));
  const names = new Set<string>();
  list(container['env']).forEach((variable: Json, index) => {
    const name = text(variable['name']);
    if (names.has(name))
      warnings.push(
        `${path.child('env').index(index).text}: hides previous definition of ${goQuote(name)}, which may be dropped when using apply`,
      );
    names.add(name);
  });
  return warnings;
}

function portWarnings(spec: Json, path: FieldPath): string[] {
  const warnings: string[] = [];
  const seen: { at: FieldPath; port: Json }[] = [];
  for (const name of ['containers', 'initContainers'])
    list(spec[name]).forEach((container: Json, index) => {
      if (name === 'initContainers' && container['restartPolicy'] !== 'Always') return;
      const at = path.child(name).index(index);
      const own: { at: FieldPath; port: Json }[] = [];
      list(container['ports']).forEach((port: Json, portIndex) => {
        const here = at.child('ports').index(portIndex);
        const same = (other: { port: Json }): boolean =>
          other.port['containerPort'] === port['containerPort'] &&
          other.port['protocol'] === port['protocol'] &&
          (other.port['hostPort'] ?? 0) === (port['hostPort'] ?? 0) &&
          text(other.port['hostIP']) === text(port['hostIP']);
        const twin = own.find(same);
        if (twin !== undefined) warnings.push(`${here.text}: duplicate port definition with ${twin.at.text}`);
        const name_ = text(port['name']);
        const named = name_ === '' ? undefined : seen.find((other) => other.port['name'] === name_);
        if (named !== undefined)
          warnings.push(
            `${here.text}: duplicate port name ${goQuote(name_)} with ${named.at.text}, services and probes that select ports by name will use ${named.at.text}`,
          );
        if (text(port['hostIP']) !== '' && (port['hostPort'] ?? 0) === 0)
          warnings.push(
            `${here.text}: hostIP set without hostPort: {Name:${text(port['name'])} HostPort:0 ContainerPort:${String(port['containerPort'] ?? 0)} Protocol:${text(port['protocol'])} HostIP:${text(port['hostIP'])}}`,
          );
        own.push({ at: here, port });
      });
      seen.push(...own);
    });
  return warnings;
}
