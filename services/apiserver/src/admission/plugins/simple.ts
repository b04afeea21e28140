import { isDeepStrictEqual } from 'node:util';
import { fieldError, FieldPath, hasReason, isQualifiedName, StatusError } from '@pilothouse/apimachinery';
import type { PodSpec, Toleration } from '@pilothouse/api/quota';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { allContainers, podSpec } from '@pilothouse/api/quota';
import { forbid, isResource, joinFindings } from '../refusal.ts';
import { findNamespace } from './namespace-lifecycle.ts';

/** Lets everything pass. */
export function alwaysAdmit(): AdmissionPlugin {
  return { name: 'AlwaysAdmit', handles: () => true };
}

/** Refuses everything. */
export function alwaysDeny(): AdmissionPlugin {
  return {
    name: 'AlwaysDeny',
    handles: () => true,
    async validate(attributes) {
      throw forbid(attributes, 'admission control is denying all modifications');
    },
  };
}

/** Each start of a container pulls its image, so that the node's cache gives nobody access to a private one. */
export function alwaysPullImages(): AdmissionPlugin {
  /** The pod, unless nothing new is pulled. */
  const concerned = (attributes: AdmissionAttributes): PodSpec | undefined => {
    const { object, oldObject, operation } = attributes;
    if (!isResource(attributes, '', 'pods') || object === undefined) return undefined;
    const spec = podSpec(object);
    if (operation === 'UPDATE' && oldObject !== undefined) {
      const known = new Set(allContainers((oldObject['spec'] ?? {}) as PodSpec).map(({ image }) => image));
      if (allContainers(spec).every(({ image }) => known.has(image))) return undefined;
    }
    return spec;
  };
  const images = (spec: PodSpec): { pullPolicy?: string }[] =>
    (spec.volumes ?? []).flatMap((volume) => (volume['image'] as { pullPolicy?: string } | undefined) ?? []);
  return {
    name: 'AlwaysPullImages',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async admit(attributes) {
      const spec = concerned(attributes);
      if (spec === undefined) return;
      for (const container of allContainers(spec)) container.imagePullPolicy = 'Always';
      for (const image of images(spec)) image.pullPolicy = 'Always';
    },
    async validate(attributes) {
      const spec = concerned(attributes);
      if (spec === undefined) return;
      const root = new FieldPath('spec');
      const findings: string[] = [];
      const check = (at: FieldPath, value: unknown): void => {
        if (value === 'Always') return;
        const { field, message } = fieldError.notSupported(at, value ?? '', ['Always']);
        findings.push(forbid(attributes, `${field}: ${message}`).message);
      };
      for (const member of ['initContainers', 'containers', 'ephemeralContainers'] as const) {
        (spec[member] ?? []).forEach((container, index) =>
          check(root.child(member).index(index).child('imagePullPolicy'), container.imagePullPolicy),
        );
      }
      (spec.volumes ?? []).forEach((volume, index) => {
        const image = volume['image'] as { pullPolicy?: string } | undefined;
        if (image !== undefined)
          check(root.child('volumes').index(index).child('image', 'pullPolicy'), image.pullPolicy);
      });
      // Several refusals have no status of their own, as upstream.
      if (findings.length > 0) throw new StatusError(500, '', joinFindings(findings));
    },
  };
}

/** Makes the namespace of an object that comes into none. */
export function namespaceAutoProvision({ objects }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'NamespaceAutoProvision',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      if (attributes.namespace === '' || attributes.kind.kind === 'Namespace' || attributes.dryRun) return;
      if (objects.cached(resources.namespaces).get('', attributes.namespace) !== undefined) return;
      const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: attributes.namespace } };
      try {
        await objects.create(resources.namespaces, '', namespace);
      } catch (error) {
        if (!hasReason(error, 'AlreadyExists')) throw error;
      }
    },
  };
}

/** Refuses objects of a namespace that does not exist, deletions too. */
export function namespaceExists({ objects }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'NamespaceExists',
    handles: (operation) => operation !== 'CONNECT',
    async validate(attributes) {
      if (attributes.namespace === '' || attributes.kind.kind === 'Namespace') return;
      await findNamespace(objects, attributes.namespace);
    },
  };
}

/** No service claims addresses that the cluster does not own. */
export function denyServiceExternalIps(): AdmissionPlugin {
  const addresses = (object: { spec?: { externalIPs?: string[] } } | undefined): readonly string[] =>
    object?.spec?.externalIPs ?? [];
  return {
    name: 'DenyServiceExternalIPs',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      if (!isResource(attributes, '', 'services')) return;
      const known = addresses(attributes.oldObject as never);
      if (addresses(attributes.object as never).some((address) => !known.includes(address))) {
        throw forbid(attributes, 'Use of external IPs is denied by admission control');
      }
    },
  };
}

/** Required anti-affinity works per host only. */
export function limitPodHardAntiAffinityTopology(): AdmissionPlugin {
  return {
    name: 'LimitPodHardAntiAffinityTopology',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      if (!isResource(attributes, '', 'pods') || attributes.object === undefined) return;
      const terms = attributes.object['spec']?.affinity?.podAntiAffinity
        ?.requiredDuringSchedulingIgnoredDuringExecution as { topologyKey?: string }[] | undefined;
      for (const term of terms ?? []) {
        if (term.topologyKey !== 'kubernetes.io/hostname') {
          throw forbid(
            attributes,
            `affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey ${term.topologyKey} but only key kubernetes.io/hostname is allowed`,
          );
        }
      }
    },
  };
}

/** A pod that asks for an extended resource tolerates the taint of that name. */
export function extendedResourceToleration(): AdmissionPlugin {
  return {
    name: 'ExtendedResourceToleration',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async admit(attributes) {
      if (!isResource(attributes, '', 'pods') || attributes.object === undefined) return;
      const spec = podSpec(attributes.object);
      const names = new Set<string>();
      for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
        for (const name of Object.keys(container.resources?.requests ?? {}))
          if (isExtended(name)) names.add(name);
      }
      for (const key of [...names].sort()) {
        const wanted = { key, operator: 'Exists', effect: 'NoSchedule' };
        const tolerations = spec.tolerations ?? [];
        const index = tolerations.findIndex((each) => isDeepStrictEqual(taintOf(each), taintOf(wanted)));
        if (index < 0) spec.tolerations = [...tolerations, wanted];
        else tolerations[index] = wanted;
      }
    },
  };
}

/** What a toleration is about: two with the same are one. */
const taintOf = ({ key = '', effect = '', operator = '', value = '' }: Toleration): object => ({
  key,
  effect,
  operator,
  value,
});

const isExtended = (name: string): boolean =>
  name.includes('/') &&
  !name.includes('kubernetes.io/') &&
  !name.startsWith('requests.') &&
  isQualifiedName(`requests.${name}`).length === 0;
