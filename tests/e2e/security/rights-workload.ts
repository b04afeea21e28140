/** Objects that make nearly every controller act, in a namespace of their own. */
const labels = { app: 'rights' };
const container = {
  name: 'c',
  image: 'registry.k8s.io/pause:3.10',
  resources: { requests: { cpu: '10m', memory: '16Mi' } },
};
const template = { metadata: { labels }, spec: { containers: [container] } };
const selector = { matchLabels: labels };

export const namespace = 'rights';

const inside = (apiVersion: string, kind: string, name: string, rest: object): object => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
  ...rest,
});

export const workload: readonly object[] = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  inside('v1', 'ResourceQuota', 'quota', { spec: { hard: { pods: '100', configmaps: '100' } } }),
  inside('v1', 'Service', 'web', { spec: { selector: labels, ports: [{ port: 80 }] } }),
  inside('apps/v1', 'Deployment', 'web', { spec: { replicas: 2, selector, template } }),
  inside('apps/v1', 'DaemonSet', 'all', {
    spec: {
      selector: { matchLabels: { app: 'ds' } },
      template: { ...template, metadata: { labels: { app: 'ds' } } },
    },
  }),
  inside('apps/v1', 'StatefulSet', 'db', {
    spec: {
      serviceName: 'web',
      replicas: 1,
      selector: { matchLabels: { app: 'db' } },
      template: { ...template, metadata: { labels: { app: 'db' } } },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
        },
      ],
    },
  }),
  inside('v1', 'ReplicationController', 'old', {
    spec: {
      replicas: 1,
      selector: { app: 'rc' },
      template: { ...template, metadata: { labels: { app: 'rc' } } },
    },
  }),
  inside('batch/v1', 'Job', 'once', {
    spec: {
      ttlSecondsAfterFinished: 1,
      template: {
        metadata: { annotations: { 'pilothouse.dev/simulated-run': '1s' } },
        spec: { restartPolicy: 'Never', containers: [container] },
      },
    },
  }),
  inside('batch/v1', 'CronJob', 'often', {
    spec: {
      schedule: '* * * * *',
      jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [container] } } } },
    },
  }),
  inside('policy/v1', 'PodDisruptionBudget', 'web', { spec: { minAvailable: 1, selector } }),
  inside('autoscaling/v2', 'HorizontalPodAutoscaler', 'web', {
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 3,
      maxReplicas: 4,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
        },
      ],
    },
  }),
  inside('v1', 'Secret', 'token', {
    metadata: { name: 'token', namespace, annotations: { 'kubernetes.io/service-account.name': 'default' } },
    type: 'kubernetes.io/service-account-token',
  }),
  {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'rights' },
    spec: {
      capacity: { storage: '1Mi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      hostPath: { path: '/tmp/rights' },
    },
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'rights-aggregated' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { rights: 'yes' } }] },
    rules: [],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'rights-part', labels: { rights: 'yes' } },
    rules: [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }],
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'rights' },
    spec: {
      matchConstraints: {
        resourceRules: [
          { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] },
        ],
      },
      validations: [{ expression: 'object.spec.replicas <= 100' }],
    },
  },
];
