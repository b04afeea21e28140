import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, hasReason, statusErrors } from '@pilothouse/apimachinery';
import { nodeIdentity } from '../../authorization/node/node-authorizer.ts';
import { referencedObjects } from '../../authorization/node/pod-references.ts';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { mirrorAnnotation } from '@pilothouse/api/quota';
import { forbid } from '../refusal.ts';

/** Labels in Kubernetes' own domains that a node agent may set on its node. */
const nodeLabels: readonly string[] = [
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.kubernetes.io/region',
  'failure-domain.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
];
const nodeLabelPrefixes: readonly string[] = ['kubelet.kubernetes.io/', 'node.kubernetes.io/'];

/** A node agent writes only its own node, its own pods, and what belongs to them. */
export function nodeRestriction(dependencies: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'NodeRestriction',
    handles: (operation) => operation !== 'CONNECT',
    async admit(attributes) {
      const { isNode, nodeName } = nodeIdentity(attributes.user);
      if (!isNode) return;
      if (nodeName === '') {
        throw forbid(attributes, `could not determine node from user ${goQuote(attributes.user.name)}`);
      }
      switch (`${attributes.resource.resource}.${attributes.resource.group}`) {
        case 'pods.':
          return admitPod(dependencies, nodeName, attributes);
        case 'nodes.':
          return admitNode(nodeName, attributes);
        case 'persistentvolumeclaims.':
          return admitClaimStatus(nodeName, attributes);
        case 'serviceaccounts.':
          return admitToken(dependencies, nodeName, attributes);
        case 'leases.coordination.k8s.io':
          return admitLease(nodeName, attributes);
        case 'csinodes.storage.k8s.io':
          return admitCsiNode(nodeName, attributes);
        case 'resourceslices.resource.k8s.io':
          return admitResourceSlice(nodeName, attributes);
      }
    },
  };
}

async function admitPod(
  dependencies: AdmissionDependencies,
  nodeName: string,
  attributes: AdmissionAttributes,
): Promise<void> {
  const { operation, subresource } = attributes;
  const quoted = goQuote(nodeName);
  if (subresource === '' && operation === 'CREATE') {
    return admitPodCreate(dependencies, nodeName, attributes);
  }
  if (subresource === '' && operation === 'DELETE') {
    const pod = attributes.oldObject ?? (await findPod(dependencies, attributes));
    if (pod?.['spec']?.nodeName !== nodeName) {
      throw forbid(attributes, `node ${quoted} can only delete pods with spec.nodeName set to itself`);
    }
    return;
  }
  if (subresource === 'status' && operation === 'UPDATE') {
    if (attributes.oldObject?.['spec']?.nodeName !== nodeName) {
      throw forbid(
        attributes,
        `node ${quoted} can only update pod status for pods with spec.nodeName set to itself`,
      );
    }
    if (
      !isDeepStrictEqual(attributes.oldObject.metadata.labels ?? {}, attributes.object?.metadata.labels ?? {})
    ) {
      throw forbid(attributes, `node ${quoted} cannot update labels through pod status`);
    }
    return;
  }
  if (subresource === 'eviction' && operation === 'CREATE') {
    const pod = await findPod(dependencies, attributes);
    if (pod?.['spec']?.nodeName !== nodeName) {
      throw forbid(attributes, `node ${nodeName} can only evict pods with spec.nodeName set to itself`);
    }
    return;
  }
  if (subresource === '') {
    throw forbid(
      attributes,
      `unexpected operation ${goQuote(operation)}, node ${quoted} can only create and delete mirror pods`,
    );
  }
  throw forbid(
    attributes,
    `unexpected pod subresource ${goQuote(subresource)}, only 'status' and 'eviction' are allowed`,
  );
}

async function findPod(
  { objects }: AdmissionDependencies,
  attributes: AdmissionAttributes,
): Promise<KubeObject | undefined> {
  const name = attributes.name !== '' ? attributes.name : (attributes.object?.metadata.name ?? '');
  const cached = objects.cached(resources.pods).get(attributes.namespace, name);
  if (cached !== undefined) return cached;
  try {
    return await objects.get(resources.pods, attributes.namespace, name);
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

async function admitPodCreate(
  { objects }: AdmissionDependencies,
  nodeName: string,
  attributes: AdmissionAttributes,
): Promise<void> {
  const pod = attributes.object as KubeObject;
  const quoted = goQuote(nodeName);
  if (pod.metadata.annotations?.[mirrorAnnotation] === undefined) {
    throw forbid(
      attributes,
      `pod does not have ${goQuote(mirrorAnnotation)} annotation, node ${quoted} can only create mirror pods`,
    );
  }
  if (pod['spec']?.nodeName !== nodeName) {
    throw forbid(attributes, `node ${quoted} can only create pods with spec.nodeName set to itself`);
  }
  const owners = pod.metadata.ownerReferences ?? [];
  const ownText = `node ${quoted} can only create pods with an owner reference set to itself`;
  if (owners.length !== 1) throw forbid(attributes, ownText);
  const owner = owners[0] as (typeof owners)[number];
  if (owner.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== nodeName) {
    throw forbid(attributes, ownText);
  }
  if (owner.controller !== true) {
    throw forbid(
      attributes,
      `node ${quoted} can only create pods with a controller owner reference set to itself`,
    );
  }
  if (owner.blockOwnerDeletion === true) {
    throw forbid(attributes, `node ${quoted} must not set blockOwnerDeletion on an owner reference`);
  }
  const node = await ownNode(objects, nodeName);
  if (owner.uid !== node.metadata.uid) {
    throw forbid(attributes, `node ${quoted} UID mismatch: expected ${owner.uid} got ${node.metadata.uid}`);
  }
  const kinds: Readonly<Record<string, string>> = {
    secret: 'secrets',
    configmap: 'configmaps',
    pvc: 'persistentvolumeclaims',
    serviceaccount: 'a service account',
    resourceclaim: 'resource claims',
  };
  const first = referencedObjects(pod)[0];
  if (first !== undefined) {
    throw forbid(attributes, `node ${quoted} can not create pods that reference ${kinds[first.kind]}`);
  }
}

async function ownNode(objects: AdmissionDependencies['objects'], name: string): Promise<KubeObject> {
  const cached = objects.cached(resources.nodes).get('', name);
  if (cached !== undefined) return cached;
  try {
    return await objects.get(resources.nodes, '', name);
  } catch (error) {
    if (hasReason(error, 'NotFound')) throw statusErrors.notFound({ group: '', resource: 'node' }, name);
    throw error;
  }
}

function admitNode(nodeName: string, attributes: AdmissionAttributes): void {
  const { object, oldObject } = attributes;
  const quoted = goQuote(nodeName);
  const requested = attributes.name !== '' ? attributes.name : (object?.metadata.name ?? '');
  if (requested !== nodeName) {
    throw forbid(attributes, `node ${quoted} is not allowed to modify node ${goQuote(requested)}`);
  }
  if (object === undefined) return;
  if (attributes.operation === 'CREATE') {
    if (object['spec']?.configSource !== undefined) {
      throw forbid(attributes, `node ${quoted} is not allowed to create pods with a non-nil configSource`);
    }
    const bad = forbiddenLabels(object.metadata.labels ?? {}, {});
    if (bad.length > 0) {
      throw forbid(
        attributes,
        `node ${quoted} is not allowed to set the following labels: ${bad.join(', ')}`,
      );
    }
    return;
  }
  if (attributes.operation !== 'UPDATE' || oldObject === undefined) return;
  if (!isDeepStrictEqual(object['spec']?.taints ?? [], oldObject['spec']?.taints ?? [])) {
    throw forbid(attributes, `node ${quoted} is not allowed to modify taints`);
  }
  const bad = forbiddenLabels(object.metadata.labels ?? {}, oldObject.metadata.labels ?? {});
  if (bad.length > 0) throw forbid(attributes, `is not allowed to modify labels: ${bad.join(', ')}`);
  if (!isDeepStrictEqual(object.metadata.ownerReferences ?? [], oldObject.metadata.ownerReferences ?? [])) {
    throw forbid(attributes, `node ${quoted} is not allowed to modify ownerReferences`);
  }
}

/** Changed labels in Kubernetes' domains that a node agent may not touch, sorted. */
function forbiddenLabels(
  next: Readonly<Record<string, string>>,
  old: Readonly<Record<string, string>>,
): string[] {
  const changed = new Set(
    [...Object.keys(next), ...Object.keys(old)].filter((key) => next[key] !== old[key]),
  );
  return [...changed].filter((key) => !mayModifyLabel(key)).sort();
}

function mayModifyLabel(key: string): boolean {
  const slash = key.indexOf('/');
  const domain = slash < 0 ? '' : key.slice(0, slash);
  const within = (suffix: string): boolean => domain === suffix || domain.endsWith(`.${suffix}`);
  if (within('node-restriction.kubernetes.io')) return false;
  if (!within('kubernetes.io') && !within('k8s.io')) return true;
  if (nodeLabels.includes(key)) return true;
  return nodeLabelPrefixes.some((prefix) => key.startsWith(prefix) || `.${key}`.includes(`.${prefix}`));
}

function admitClaimStatus(nodeName: string, attributes: AdmissionAttributes): void {
  if (attributes.subresource !== 'status' || attributes.operation !== 'UPDATE') {
    throw forbid(attributes, `node ${goQuote(nodeName)} may only update PVC status`);
  }
  const { status: _, metadata: __, ...object } = (attributes.object ?? {}) as KubeObject;
  const { status: ___, metadata: ____, ...old } = (attributes.oldObject ?? {}) as KubeObject;
  if (!isDeepStrictEqual(object['spec'], old['spec'])) {
    throw forbid(attributes, `node ${goQuote(nodeName)} is not allowed to update fields other than status`);
  }
}

async function admitToken(
  { objects }: AdmissionDependencies,
  nodeName: string,
  attributes: AdmissionAttributes,
): Promise<void> {
  if (attributes.operation !== 'CREATE' || attributes.subresource !== 'token') return;
  const reference = attributes.object?.['spec']?.boundObjectRef as
    { apiVersion?: string; kind?: string; name?: string; uid?: string } | undefined;
  if (reference?.apiVersion !== 'v1' || reference.kind !== 'Pod' || (reference.name ?? '') === '') {
    throw forbid(attributes, 'node requested token not bound to a pod');
  }
  if ((reference.uid ?? '') === '') {
    throw forbid(attributes, 'node requested token with a pod binding without a uid');
  }
  const name = reference.name as string;
  let pod = objects.cached(resources.pods).get(attributes.namespace, name);
  if (pod?.metadata.uid !== reference.uid) {
    try {
      pod = await objects.get(resources.pods, attributes.namespace, name);
    } catch (error) {
      if (hasReason(error, 'NotFound')) throw forbid(attributes, error);
      throw error;
    }
  }
  if (pod?.metadata.uid !== reference.uid) {
    throw forbid(
      attributes,
      `the UID in the bound object reference (${reference.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (pod?.['spec']?.nodeName !== nodeName) {
    throw forbid(attributes, 'node requested token bound to a pod scheduled on a different node');
  }
}

const leaseText = 'can only access node lease with the same name as the requesting node';

function admitLease(nodeName: string, attributes: AdmissionAttributes): void {
  const name = attributes.operation === 'CREATE' ? (attributes.object?.metadata.name ?? '') : attributes.name;
  if (attributes.namespace !== 'kube-node-lease') {
    throw forbid(attributes, 'can only access leases in the "kube-node-lease" system namespace');
  }
  if (name !== nodeName) throw forbid(attributes, leaseText);
}

function admitCsiNode(nodeName: string, attributes: AdmissionAttributes): void {
  const name = attributes.operation === 'CREATE' ? (attributes.object?.metadata.name ?? '') : attributes.name;
  if (name !== nodeName) {
    throw forbid(attributes, 'can only access CSINode with the same name as the requesting node');
  }
}

function admitResourceSlice(nodeName: string, attributes: AdmissionAttributes): void {
  const slice = attributes.operation === 'DELETE' ? attributes.oldObject : attributes.object;
  if (attributes.operation === 'DELETE' && slice === undefined) return;
  if (slice?.['spec']?.nodeName !== nodeName) {
    const what =
      attributes.operation === 'CREATE' ? 'create' : attributes.operation === 'DELETE' ? 'delete' : 'modify';
    throw forbid(attributes, `can only ${what} ResourceSlice with the same NodeName as the requesting node`);
  }
}
