import { goQuote } from '@pilothouse/apimachinery';
import type { UserInfo } from '../../authentication/interface.ts';
import { nodesGroup, nodeUserPrefix } from '../../authentication/interface.ts';
import type { AuthorizationAttributes, AuthorizationResult, Authorizer, PolicyRule } from '../interface.ts';
import { ruleAllows } from '../rbac/rule-match.ts';
import type { GraphKind, NodeGraph } from './node-graph.ts';

const leaseNamespace = 'kube-node-lease';

/** Whether a user is a node agent, and of which node (undefined: of none that can be told). */
export function nodeIdentity(user: UserInfo): { isNode: boolean; nodeName: string } {
  if (!user.name.startsWith(nodeUserPrefix) || !user.groups.includes(nodesGroup)) {
    return { isNode: false, nodeName: '' };
  }
  return { isNode: true, nodeName: user.name.slice(nodeUserPrefix.length) };
}

const allow: AuthorizationResult = { decision: 'allow', reason: '' };
const refuse = (reason: string): AuthorizationResult => ({ decision: 'noOpinion', reason });

/** Node agents: `rules` for what all nodes may do, and the graph for what only the node of a pod may see. */
export function nodeAuthorizer(graph: NodeGraph, rules: readonly PolicyRule[]): Authorizer {
  const byRules = (attributes: AuthorizationAttributes): AuthorizationResult =>
    rules.some((rule) => ruleAllows(rule, attributes)) ? allow : refuse('');

  const related = (
    nodeName: string,
    kind: GraphKind,
    attributes: AuthorizationAttributes,
  ): AuthorizationResult => {
    if (attributes.name === '') return refuse('No Object name found');
    return graph.needs(nodeName, kind, attributes.namespace, attributes.name)
      ? allow
      : refuse(`no relationship found between node '${nodeName}' and this object`);
  };

  const get = (
    nodeName: string,
    kind: GraphKind,
    attributes: AuthorizationAttributes,
  ): AuthorizationResult => {
    if (attributes.verb !== 'get') return refuse('can only get individual resources of this type');
    if (attributes.subresource !== '') return refuse('cannot get subresource');
    return related(nodeName, kind, attributes);
  };

  const read = (
    nodeName: string,
    kind: GraphKind,
    attributes: AuthorizationAttributes,
  ): AuthorizationResult => {
    if (!['get', 'list', 'watch'].includes(attributes.verb))
      return refuse('can only read resources of this type');
    if (attributes.subresource !== '') return refuse('cannot read subresource');
    if (attributes.namespace === '') return refuse('can only read namespaced object of this type');
    return related(nodeName, kind, attributes);
  };

  const decide = (nodeName: string, attributes: AuthorizationAttributes): AuthorizationResult => {
    switch (`${attributes.resource}.${attributes.apiGroup}`) {
      case 'secrets.':
        return read(nodeName, 'secret', attributes);
      case 'configmaps.':
        return read(nodeName, 'configmap', attributes);
      case 'persistentvolumeclaims.': {
        if (attributes.subresource !== 'status') return get(nodeName, 'pvc', attributes);
        if (!['update', 'patch'].includes(attributes.verb)) {
          return refuse('can only get/update/patch this type');
        }
        return related(nodeName, 'pvc', attributes);
      }
      case 'persistentvolumes.':
        return get(nodeName, 'pv', attributes);
      case 'resourceclaims.resource.k8s.io':
        return get(nodeName, 'resourceclaim', attributes);
      case 'resourceslices.resource.k8s.io':
        return resourceSlice(nodeName, attributes);
      case 'volumeattachments.storage.k8s.io':
        return get(nodeName, 'volumeattachment', attributes);
      case 'serviceaccounts.':
        return serviceAccount(nodeName, attributes);
      case 'leases.coordination.k8s.io':
        return lease(nodeName, attributes);
      case 'csinodes.storage.k8s.io':
        return csiNode(nodeName, attributes);
      case 'nodes.':
        return node(nodeName, attributes);
      case 'pods.':
        return pod(nodeName, attributes);
      default:
        return byRules(attributes);
    }
  };

  const serviceAccount = (nodeName: string, attributes: AuthorizationAttributes): AuthorizationResult => {
    if (attributes.verb === 'get' && attributes.subresource === '') {
      return get(nodeName, 'serviceaccount', attributes);
    }
    if (attributes.verb !== 'create' || attributes.name === '') {
      return refuse('can only create tokens for individual service accounts');
    }
    if (attributes.subresource !== 'token')
      return refuse('can only create token subresource of service account');
    return related(nodeName, 'serviceaccount', attributes);
  };

  const node = (nodeName: string, attributes: AuthorizationAttributes): AuthorizationResult => {
    const { verb, name, subresource } = attributes;
    if (subresource === '' && ['get', 'list', 'watch'].includes(verb)) {
      if (name === nodeName) return allow;
      if (verb === 'get' || name !== '')
        return refuse(`node '${nodeName}' cannot read '${name}', only its own Node object`);
      if (selects(attributes, 'metadata.name', nodeName)) return allow;
      return refuse(`node '${nodeName}' cannot read all nodes, only its own Node object`);
    }
    return byRules(attributes);
  };

  const pod = (nodeName: string, attributes: AuthorizationAttributes): AuthorizationResult => {
    const { verb, subresource } = attributes;
    if (subresource === '' && verb === 'get') return related(nodeName, 'pod', attributes);
    if (subresource === '' && (verb === 'list' || verb === 'watch')) {
      if (selects(attributes, 'spec.nodeName', nodeName)) return allow;
      // A request for one pod names it by a selector.
      if (attributes.name !== '' && related(nodeName, 'pod', attributes).decision === 'allow') return allow;
      return refuse('can only list/watch pods with spec.nodeName field selector');
    }
    return byRules(attributes);
  };

  return {
    async authorize(attributes) {
      const { isNode, nodeName } = nodeIdentity(attributes.user);
      if (!isNode) return refuse('');
      if (nodeName === '') return refuse(`unknown node for user ${goQuote(attributes.user.name)}`);
      return attributes.isResourceRequest ? decide(nodeName, attributes) : byRules(attributes);
    },
  };
}

function lease(nodeName: string, attributes: AuthorizationAttributes): AuthorizationResult {
  const { verb, namespace, name } = attributes;
  if (!['get', 'create', 'update', 'patch', 'delete'].includes(verb)) {
    return refuse('can only get, create, update, patch, or delete a node lease');
  }
  if (namespace !== leaseNamespace) {
    return refuse(`can only access leases in the ${goQuote(leaseNamespace)} system namespace`);
  }
  // A create does not name its object; admission looks at that.
  if (verb !== 'create' && name !== nodeName) {
    return refuse('can only access node lease with the same name as the requesting node');
  }
  return allow;
}

function csiNode(nodeName: string, attributes: AuthorizationAttributes): AuthorizationResult {
  const { verb, subresource, name } = attributes;
  if (!['get', 'create', 'update', 'patch', 'delete'].includes(verb)) {
    return refuse('can only get, create, update, patch, or delete a CSINode');
  }
  if (subresource !== '') return refuse('cannot authorize CSINode subresources');
  if (verb !== 'create' && name !== nodeName) {
    return refuse('can only access CSINode with the same name as the requesting node');
  }
  return allow;
}

function resourceSlice(nodeName: string, attributes: AuthorizationAttributes): AuthorizationResult {
  const { verb, subresource } = attributes;
  if (subresource !== '') return refuse('cannot authorize ResourceSlice subresources');
  if (['get', 'create', 'update', 'patch', 'delete'].includes(verb)) return allow;
  if (!['list', 'watch', 'deletecollection'].includes(verb)) {
    return refuse(
      'only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection',
    );
  }
  return selects(attributes, 'spec.nodeName', nodeName)
    ? allow
    : refuse('can only list/watch/deletecollection resourceslices with nodeName field selector');
}

function selects(attributes: AuthorizationAttributes, key: string, value: string): boolean {
  return (attributes.fieldSelector ?? []).some(
    (requirement) =>
      requirement.key === key &&
      ['In', '=', '=='].includes(requirement.operator) &&
      requirement.values?.length === 1 &&
      requirement.values[0] === value,
  );
}
