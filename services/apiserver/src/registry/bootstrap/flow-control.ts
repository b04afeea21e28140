import type { KubeObject } from '@pilothouse/apimachinery';

/** Priority levels and flow schemas that every server has (facts of Kubernetes 1.36); `exempt` and `catch-all` may not be changed. */

export const mandatoryFlowControl: ReadonlySet<string> = new Set(['exempt', 'catch-all']);

/** An object with this annotation at `true` has its spec kept as it is here. */
export const autoUpdateAnnotation = 'apf.kubernetes.io/autoupdate-spec';

const level = (name: string, spec: object): KubeObject => ({
  apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
  kind: 'PriorityLevelConfiguration',
  metadata: { name, annotations: { [autoUpdateAnnotation]: 'true' } },
  spec,
});

const schema = (name: string, spec: object): KubeObject => ({
  apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
  kind: 'FlowSchema',
  metadata: { name, annotations: { [autoUpdateAnnotation]: 'true' } },
  spec,
});

export const priorityLevels: readonly KubeObject[] = [
  level('catch-all', {
    limited: { lendablePercent: 0, limitResponse: { type: 'Reject' }, nominalConcurrencyShares: 5 },
    type: 'Limited',
  }),
  level('exempt', { exempt: { lendablePercent: 0, nominalConcurrencyShares: 0 }, type: 'Exempt' }),
  level('global-default', {
    limited: {
      lendablePercent: 50,
      limitResponse: { queuing: { handSize: 6, queueLengthLimit: 50, queues: 128 }, type: 'Queue' },
      nominalConcurrencyShares: 20,
    },
    type: 'Limited',
  }),
  level('leader-election', {
    limited: {
      lendablePercent: 0,
      limitResponse: { queuing: { handSize: 4, queueLengthLimit: 50, queues: 16 }, type: 'Queue' },
      nominalConcurrencyShares: 10,
    },
    type: 'Limited',
  }),
  level('node-high', {
    limited: {
      lendablePercent: 25,
      limitResponse: { queuing: { handSize: 6, queueLengthLimit: 50, queues: 64 }, type: 'Queue' },
      nominalConcurrencyShares: 40,
    },
    type: 'Limited',
  }),
  level('system', {
    limited: {
      lendablePercent: 33,
      limitResponse: { queuing: { handSize: 6, queueLengthLimit: 50, queues: 64 }, type: 'Queue' },
      nominalConcurrencyShares: 30,
    },
    type: 'Limited',
  }),
  level('workload-high', {
    limited: {
      lendablePercent: 50,
      limitResponse: { queuing: { handSize: 6, queueLengthLimit: 50, queues: 128 }, type: 'Queue' },
      nominalConcurrencyShares: 40,
    },
    type: 'Limited',
  }),
  level('workload-low', {
    limited: {
      lendablePercent: 90,
      limitResponse: { queuing: { handSize: 6, queueLengthLimit: 50, queues: 128 }, type: 'Queue' },
      nominalConcurrencyShares: 100,
    },
    type: 'Limited',
  }),
];

export const flowSchemas: readonly KubeObject[] = [
  schema('catch-all', {
    distinguisherMethod: { type: 'ByUser' },
    matchingPrecedence: 10000,
    priorityLevelConfiguration: { name: 'catch-all' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
        resourceRules: [
          { apiGroups: ['*'], clusterScope: true, namespaces: ['*'], resources: ['*'], verbs: ['*'] },
        ],
        subjects: [
          { group: { name: 'system:unauthenticated' }, kind: 'Group' },
          { group: { name: 'system:authenticated' }, kind: 'Group' },
        ],
      },
    ],
  }),
  schema('exempt', {
    matchingPrecedence: 1,
    priorityLevelConfiguration: { name: 'exempt' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
        resourceRules: [
          { apiGroups: ['*'], clusterScope: true, namespaces: ['*'], resources: ['*'], verbs: ['*'] },
        ],
        subjects: [{ group: { name: 'system:masters' }, kind: 'Group' }],
      },
    ],
  }),
  schema('global-default', {
    distinguisherMethod: { type: 'ByUser' },
    matchingPrecedence: 9900,
    priorityLevelConfiguration: { name: 'global-default' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
        resourceRules: [
          { apiGroups: ['*'], clusterScope: true, namespaces: ['*'], resources: ['*'], verbs: ['*'] },
        ],
        subjects: [
          { group: { name: 'system:unauthenticated' }, kind: 'Group' },
          { group: { name: 'system:authenticated' }, kind: 'Group' },
        ],
      },
    ],
  }),
  schema('kube-controller-manager', {
    distinguisherMethod: { type: 'ByNamespace' },
    matchingPrecedence: 800,
    priorityLevelConfiguration: { name: 'workload-high' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
        resourceRules: [
          { apiGroups: ['*'], clusterScope: true, namespaces: ['*'], resources: ['*'], verbs: ['*'] },
        ],
        subjects: [{ kind: 'User', user: { name: 'system:kube-controller-manager' } }],
      },
    ],
  }),
  schema('kube-scheduler', {
    distinguisherMethod: { type: 'ByNamespace' },
    matchingPrecedence: 800,
    priorityLevelConfiguration: { name: 'workload-high' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
        resourceRules: [
          { apiGroups: ['*'], clusterScope: true, namespaces: ['*'], resources: ['*'], verbs: ['*'] },
        ],
        subjects: [{ kind: 'User', user: { name: 'system:kube-scheduler' } }],
      },
    ],
  }),
  schema('kube-system-service-accounts', {
    distinguisherMethod: { type: 'ByNamespace' },
    matchingPrecedence: 900,
    priorityLevelConfiguration: { name: 'workload-high' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
        resourceRules: [
          { apiGroups: ['*'], clusterScope: true, namespaces: ['*'], resources: ['*'], verbs: ['*'] },
        ],
        subjects: [{ kind: 'ServiceAccount', serviceAccount: { name: '*', namespace: 'kube-system' } }],
      },
    ],
  }),
  schema('probes', {
    matchingPrecedence: 2,
    priorityLevelConfiguration: { name: 'exempt' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['/healthz', '/readyz', '/livez'], verbs: ['get'] }],
        subjects: [
          { group: { name: 'system:unauthenticated' }, kind: 'Group' },
          { group: { name: 'system:authenticated' }, kind: 'Group' },
        ],
      },
    ],
  }),
  schema('service-accounts', {
    distinguisherMethod: { type: 'ByUser' },
    matchingPrecedence: 9000,
    priorityLevelConfiguration: { name: 'workload-low' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
        resourceRules: [
          { apiGroups: ['*'], clusterScope: true, namespaces: ['*'], resources: ['*'], verbs: ['*'] },
        ],
        subjects: [{ group: { name: 'system:serviceaccounts' }, kind: 'Group' }],
      },
    ],
  }),
  schema('system-leader-election', {
    distinguisherMethod: { type: 'ByUser' },
    matchingPrecedence: 100,
    priorityLevelConfiguration: { name: 'leader-election' },
    rules: [
      {
        resourceRules: [
          {
            apiGroups: ['coordination.k8s.io'],
            namespaces: ['*'],
            resources: ['leases'],
            verbs: ['get', 'create', 'update'],
          },
        ],
        subjects: [
          { kind: 'User', user: { name: 'system:kube-controller-manager' } },
          { kind: 'User', user: { name: 'system:kube-scheduler' } },
          { kind: 'ServiceAccount', serviceAccount: { name: '*', namespace: 'kube-system' } },
        ],
      },
    ],
  }),
  schema('system-node-high', {
    distinguisherMethod: { type: 'ByUser' },
    matchingPrecedence: 400,
    priorityLevelConfiguration: { name: 'node-high' },
    rules: [
      {
        resourceRules: [
          {
            apiGroups: [''],
            clusterScope: true,
            namespaces: ['*'],
            resources: ['nodes', 'nodes/status'],
            verbs: ['*'],
          },
          { apiGroups: ['coordination.k8s.io'], namespaces: ['*'], resources: ['leases'], verbs: ['*'] },
        ],
        subjects: [{ group: { name: 'system:nodes' }, kind: 'Group' }],
      },
    ],
  }),
  schema('system-nodes', {
    distinguisherMethod: { type: 'ByUser' },
    matchingPrecedence: 500,
    priorityLevelConfiguration: { name: 'system' },
    rules: [
      {
        nonResourceRules: [{ nonResourceURLs: ['*'], verbs: ['*'] }],
        resourceRules: [
          { apiGroups: ['*'], clusterScope: true, namespaces: ['*'], resources: ['*'], verbs: ['*'] },
        ],
        subjects: [{ group: { name: 'system:nodes' }, kind: 'Group' }],
      },
    ],
  }),
];
