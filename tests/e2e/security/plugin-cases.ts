/** One request that both servers answer the same. */
export interface Exchange {
  readonly name: string;
  /** Of a user of {@link tokens}; default: the administrator. */
  readonly token?: string;
  readonly method?: string;
  readonly target: string;
  readonly body?: object;
  /** That both must have; default: any. */
  readonly status?: number;
}

export const tokens = 'owner-token,olive,1,""\nfreed-token,freed,2,"system:masters"\n';

export const optionalPlugins = [
  'AlwaysPullImages',
  'DenyServiceExternalIPs',
  'EventRateLimit',
  'ExtendedResourceToleration',
  'ImagePolicyWebhook',
  'LimitPodHardAntiAffinityTopology',
  'NamespaceExists',
  'OwnerReferencesPermissionEnforcement',
  'PodNodeSelector',
  'PodTolerationRestriction',
];

export const admissionConfig = (imageKubeconfig: string): string => `apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: EventRateLimit
    configuration:
      apiVersion: eventratelimit.admission.k8s.io/v1alpha1
      kind: Configuration
      limits:
        - {type: Namespace, qps: 1, burst: 3, cacheSize: 10}
        - {type: SourceAndObject, qps: 1, burst: 3}
  - name: ImagePolicyWebhook
    configuration:
      imagePolicy: {kubeConfigFile: ${imageKubeconfig}, allowTTL: 5, denyTTL: 5, retryBackoff: 100, defaultAllow: false}
  - name: PodNodeSelector
    configuration:
      podNodeSelectorPluginConfig:
        clusterDefaultNodeSelector: zone=a
        listed: zone=a,disk=ssd
        broken: "a=b=c"
  - name: PodTolerationRestriction
    configuration:
      apiVersion: podtolerationrestriction.admission.k8s.io/v1alpha1
      kind: Configuration
      default: [{key: cluster, operator: Exists, effect: NoSchedule}]
      whitelist:
        - {operator: Exists, effect: NoSchedule}
        - {operator: Exists, effect: NoExecute}
  - name: PodSecurity
    configuration:
      apiVersion: pod-security.admission.config.k8s.io/v1
      kind: PodSecurityConfiguration
      defaults: {enforce: baseline, enforce-version: v1.30, warn: restricted}
      exemptions: {namespaces: [exempted], usernames: [freed], runtimeClasses: []}
  - name: ResourceQuota
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: ResourceQuotaConfiguration
      limitedResources:
        - {resource: persistentvolumeclaims, matchContains: [gold.storageclass.storage.k8s.io/requests.storage]}
        - {resource: pods, matchScopes: [{scopeName: PriorityClass, operator: In, values: [precious]}]}
`;

const namespace = (name: string, metadata: object = {}): Exchange => ({
  name: `namespace ${name}`,
  target: '/api/v1/namespaces',
  body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name, ...metadata } },
});

const podIn = (space: string, name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: space, ...metadata },
  spec: { containers: [{ name: 'c', image: 'i', imagePullPolicy: 'IfNotPresent' }], ...spec },
});

const pod = (
  what: string,
  space: string,
  spec: object = {},
  more: Partial<Exchange> & { metadata?: object } = {},
): Exchange => {
  const { metadata, ...rest } = more;
  const name = what
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return {
    name: what,
    target: `/api/v1/namespaces/${space}/pods`,
    body: podIn(space, name, spec, metadata),
    ...rest,
  };
};

const container = (more: object): object => ({ containers: [{ name: 'c', image: 'i', ...more }] });

const owned = (name: string, block: boolean, kind = 'ConfigMap', apiVersion = 'v1'): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name,
    namespace: 'plain',
    ownerReferences: [{ apiVersion, kind, name: 'owner', uid: 'u-1', blockOwnerDeletion: block }],
  },
});

const configs = '/api/v1/namespaces/plain/configmaps';

export const exchanges: readonly Exchange[] = [
  namespace('plain'),
  namespace('listed'),
  namespace('broken'),
  namespace('exempted', { labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } }),
  namespace('selected', { annotations: { 'scheduler.alpha.kubernetes.io/node-selector': 'zone=b' } }),
  namespace('missaid', { annotations: { 'scheduler.alpha.kubernetes.io/node-selector': 'no selector' } }),
  namespace('tolerant', {
    annotations: {
      'scheduler.alpha.kubernetes.io/defaultTolerations':
        '[{"key":"mine","operator":"Equal","value":"x","effect":"NoSchedule"}]',
      'scheduler.alpha.kubernetes.io/tolerationsWhitelist':
        '[{"key":"mine","operator":"Equal","value":"x"},{"key":"node.kubernetes.io/not-ready","operator":"Exists"},{"key":"node.kubernetes.io/unreachable","operator":"Exists"}]',
    },
  }),
  pod('AlwaysPullImages and the default tolerations', 'plain'),
  pod('AlwaysPullImages of a volume', 'plain', { volumes: [{ name: 'v', image: { reference: 'x' } }] }),
  pod('PodNodeSelector: the namespace adds', 'selected'),
  pod('PodNodeSelector: a conflict', 'selected', { nodeSelector: { zone: 'a' } }, { status: 403 }),
  pod('PodNodeSelector: what is on the list', 'listed', { nodeSelector: { disk: 'ssd' } }, { status: 201 }),
  pod('PodNodeSelector: what is not', 'listed', { nodeSelector: { disk: 'tape' } }, { status: 403 }),
  pod('PodNodeSelector: a list that cannot be read', 'broken', {}, { status: 500 }),
  pod('PodNodeSelector: an annotation that cannot be read', 'missaid', {}, { status: 500 }),
  pod('PodTolerationRestriction: defaults of the namespace', 'tolerant', {}, { status: 201 }),
  pod(
    'PodTolerationRestriction: not allowed',
    'tolerant',
    { tolerations: [{ key: 'other', operator: 'Exists' }] },
    { status: 500 },
  ),
  pod(
    'PodTolerationRestriction: not allowed in the cluster',
    'plain',
    { tolerations: [{ key: 'k', operator: 'Exists', effect: 'PreferNoSchedule' }] },
    { status: 500 },
  ),
  pod(
    'PodTolerationRestriction: memory pressure',
    'plain',
    container({ resources: { requests: { cpu: '1' } } }),
  ),
  pod('PodTolerationRestriction: covered twice', 'plain', {
    tolerations: [
      { key: 'cluster', operator: 'Equal', value: 'a', effect: 'NoSchedule' },
      { key: 'cluster', operator: 'Exists', effect: 'NoSchedule' },
    ],
  }),
  pod(
    'ExtendedResourceToleration',
    'plain',
    {
      ...container({ resources: { limits: { 'example.com/gpu': '1' } } }),
      tolerations: [{ key: 'example.com/gpu', operator: 'Exists', effect: 'NoExecute' }],
    },
    { status: 201 },
  ),
  pod(
    'LimitPodHardAntiAffinityTopology',
    'plain',
    {
      affinity: {
        podAntiAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'zone', labelSelector: {} }],
        },
      },
    },
    { status: 403 },
  ),
  pod('ImagePolicyWebhook refuses', 'plain', container({ image: 'bad' }), { status: 403 }),
  pod('ImagePolicyWebhook refuses without a reason', 'plain', container({ image: 'silent-bad' }), {
    status: 403,
  }),
  pod('ImagePolicyWebhook sees its annotations', 'plain', container({ image: 'bad' }), {
    status: 403,
    metadata: { annotations: { 'mine.image-policy.k8s.io/a': 'b', other: 'c' } },
  }),
  {
    name: 'ImagePolicyWebhook: ephemeral containers',
    method: 'PATCH',
    target: '/api/v1/namespaces/plain/pods/alwayspullimages-and-the-default-tolerations/ephemeralcontainers',
    body: { spec: { ephemeralContainers: [{ name: 'e', image: 'bad-too' }] } },
    status: 403,
  },
  {
    name: 'AlwaysPullImages: labels may change',
    method: 'PATCH',
    target: '/api/v1/namespaces/plain/pods/alwayspullimages-and-the-default-tolerations',
    body: { metadata: { labels: { a: 'b' } } },
    status: 200,
  },
  pod('PodSecurity: the default level', 'plain', { hostNetwork: true }, { status: 403 }),
  pod('PodSecurity: an exempt namespace', 'exempted', { hostNetwork: true }, { status: 201 }),
  pod('PodSecurity: an exempt user', 'plain', { hostPID: true }, { status: 201, token: 'freed-token' }),
  {
    name: 'PodSecurity: labels of an exempt namespace',
    method: 'PATCH',
    target: '/api/v1/namespaces/exempted',
    body: {
      metadata: {
        labels: {
          'pod-security.kubernetes.io/enforce': 'baseline',
          'pod-security.kubernetes.io/audit': 'restricted',
        },
      },
    },
  },
  {
    name: 'PodSecurity: warnings about a template',
    target: '/apis/apps/v1/namespaces/plain/deployments',
    body: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
      },
    },
    status: 201,
  },
  {
    name: 'DenyServiceExternalIPs',
    target: '/api/v1/namespaces/plain/services',
    body: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { ports: [{ port: 80 }], externalIPs: ['203.0.113.7'] },
    },
    status: 403,
  },
  {
    name: 'ResourceQuota: a claim without a quota',
    target: '/api/v1/namespaces/plain/persistentvolumeclaims',
    body: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'gold' },
      spec: {
        storageClassName: 'gold',
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1Gi' } },
      },
    },
    status: 403,
  },
  {
    name: 'ResourceQuota: a claim of another class',
    target: '/api/v1/namespaces/plain/persistentvolumeclaims',
    body: {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'iron' },
      spec: {
        storageClassName: 'iron',
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1Gi' } },
      },
    },
    status: 201,
  },
  {
    name: 'priority class',
    target: '/apis/scheduling.k8s.io/v1/priorityclasses',
    body: {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      metadata: { name: 'precious' },
      value: 5,
    },
  },
  pod('ResourceQuota: a scope without a quota', 'plain', { priorityClassName: 'precious' }, { status: 500 }),
  {
    name: 'quota',
    target: '/api/v1/namespaces/plain/resourcequotas',
    body: {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'q' },
      spec: {
        hard: { pods: '1' },
        scopeSelector: {
          matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['precious'] }],
        },
      },
    },
  },
  {
    name: 'quota status',
    method: 'PATCH',
    target: '/api/v1/namespaces/plain/resourcequotas/q/status',
    body: { status: { hard: { pods: '1' }, used: { pods: '0' } } },
  },
  pod('ResourceQuota: a scope with a quota', 'plain', { priorityClassName: 'precious' }, { status: 201 }),
  pod(
    'ResourceQuota: a scope with a full quota',
    'plain',
    { priorityClassName: 'precious' },
    { status: 403 },
  ),
  {
    name: 'role',
    target: '/apis/rbac.authorization.k8s.io/v1/namespaces/plain/roles',
    body: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'writer' },
      rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'create', 'update', 'patch'] }],
    },
  },
  {
    name: 'role binding',
    target: '/apis/rbac.authorization.k8s.io/v1/namespaces/plain/rolebindings',
    body: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'writer' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'writer' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'olive' }],
    },
  },
  {
    name: 'owner references: not blocking',
    token: 'owner-token',
    target: configs,
    body: owned('a', false),
    status: 201,
  },
  {
    name: 'owner references: blocking',
    token: 'owner-token',
    target: configs,
    body: owned('b', true),
    status: 403,
  },
  {
    name: 'owner references: blocking, unknown kind',
    token: 'owner-token',
    target: configs,
    body: owned('b', true, 'Nothing', 'x.example.com/v1'),
    status: 403,
  },
  {
    name: 'owner references: blocking, cluster scoped',
    token: 'owner-token',
    target: configs,
    body: owned('b', true, 'Node'),
    status: 403,
  },
  {
    name: 'owner references: a change without the right to delete',
    token: 'owner-token',
    method: 'PATCH',
    target: `${configs}/a`,
    body: { metadata: { ownerReferences: null } },
    status: 403,
  },
  {
    name: 'owner references: another change',
    token: 'owner-token',
    method: 'PATCH',
    target: `${configs}/a`,
    body: { data: { a: 'b' } },
    status: 200,
  },
  { name: 'owner references: as the administrator', target: configs, body: owned('c', true), status: 201 },
  {
    name: 'a node',
    target: '/api/v1/nodes',
    body: {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1', labels: { 'kubernetes.io/os': 'linux' } },
    },
    status: 201,
  },
  {
    name: 'its capacity',
    method: 'PATCH',
    target: '/api/v1/nodes/n1/status',
    body: {
      status: {
        capacity: { cpu: '2', memory: '1Gi', pods: '10' },
        allocatable: { cpu: '2', memory: '1Gi', pods: '10' },
      },
    },
  },
  pod(
    'big',
    'plain',
    { nodeName: 'n1', ...container({ resources: { requests: { cpu: '1', memory: '1Mi' } } }) },
    { status: 201 },
  ),
  {
    name: 'PodResizeValidator: more than the node has',
    method: 'PATCH',
    target: '/api/v1/namespaces/plain/pods/big/resize',
    body: {
      spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '3', memory: '2Gi' } } }] },
    },
    status: 403,
  },
  {
    name: 'a namespace that is missing',
    target: '/api/v1/namespaces/none/configmaps',
    body: { metadata: { name: 'c' } },
    status: 404,
  },
];
