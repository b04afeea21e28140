import type { Json, Sequence } from '../sequence-runner.ts';
import { core, group } from './parts.ts';

const pod = (name: string, more: Json = {}): Json => ({
  metadata: { name, labels: { app: name } },
  spec: { containers: [{ name: 'c', image: 'i' }], ...more },
});

const ready = {
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }], podIP: '10.1.2.3' },
};

const service = (name: string, spec: Json): Json => ({
  metadata: { name },
  spec: { selector: { app: 'web' }, ports: [{ port: 80 }], ...spec },
});

const bind = (name: string, node: string): Json => ({
  metadata: { name },
  target: { kind: 'Node', name: node },
});

/** Services, scales and pods. */
export const workloadSequences: readonly Sequence[] = [
  {
    name: 'services: addresses and ports are allocated, kept, given back and refused',
    watch: (own) => `${core(own)}/services`,
    steps: [
      {
        method: 'POST',
        path: (own) => `${core(own)}/services`,
        body: () => service('a', { clusterIP: '10.0.3.7' }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/services`,
        body: () => service('b', { clusterIP: '10.0.3.7' }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/services`,
        body: () => service('b', { clusterIP: '192.0.2.1' }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/services`,
        body: () => service('b', { type: 'NodePort', ports: [{ port: 80, nodePort: 30123 }] }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/services`,
        body: () => service('c', { type: 'NodePort', ports: [{ port: 80, nodePort: 30123 }] }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/services`,
        body: () => service('c', { type: 'NodePort', ports: [{ port: 80, nodePort: 80 }] }),
      },
      { method: 'DELETE', path: (own) => `${core(own)}/services/a` },
      {
        method: 'POST',
        path: (own) => `${core(own)}/services`,
        body: () => service('c', { clusterIP: '10.0.3.7' }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/services/c`,
        body: () => ({ spec: { type: 'NodePort' } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/services/c`,
        body: () => ({ spec: { clusterIP: '10.0.3.8' } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/services/c`,
        body: () => ({ spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/services/c/status`,
        body: () => ({ status: { loadBalancer: { ingress: [{ ip: '192.0.2.9' }] } } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/services/c`,
        body: () => ({ spec: { type: 'ClusterIP' } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/services/c`,
        body: () => ({ spec: { type: 'ExternalName', externalName: 'example.com' } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/services/c`,
        body: () => ({ spec: { type: 'ClusterIP', clusterIP: 'None', externalName: null } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/services/b`,
        body: () => ({ spec: { ports: [{ port: 80, nodePort: 30124 }] } }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/services`,
        body: () => service('d', { type: 'NodePort', ports: [{ port: 80, nodePort: 30123 }] }),
      },
      { method: 'GET', path: (own) => `${core(own)}/services` },
      { method: 'DELETE', path: (own) => `${core(own)}/services` },
    ],
  },
  {
    name: 'scale: read, replaced, patched, refused, with a stale revision',
    watch: (own) => `${group('apps/v1', own)}/deployments`,
    steps: [
      {
        method: 'POST',
        path: (own) => `${group('apps/v1', own)}/deployments`,
        body: () => ({
          metadata: { name: 'web' },
          spec: {
            replicas: 1,
            selector: { matchLabels: { app: 'web' } },
            template: { metadata: { labels: { app: 'web' } }, spec: pod('x')['spec'] as Json },
          },
        }),
      },
      { method: 'GET', path: (own) => `${group('apps/v1', own)}/deployments/web/scale` },
      {
        method: 'PUT',
        path: (own) => `${group('apps/v1', own)}/deployments/web/scale`,
        body: (own) => ({ ...own.last, spec: { replicas: 3 } }),
      },
      {
        method: 'PUT',
        path: (own) => `${group('apps/v1', own)}/deployments/web/scale`,
        body: (own) => ({ ...own.answers[1], spec: { replicas: 4 } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('apps/v1', own)}/deployments/web/scale`,
        body: () => ({ spec: { replicas: -1 } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('apps/v1', own)}/deployments/web/scale?fieldManager=scaler`,
        body: () => ({ spec: { replicas: 5 } }),
      },
      { method: 'GET', path: (own) => `${group('apps/v1', own)}/deployments/web` },
      {
        method: 'PUT',
        path: (own) => `${group('apps/v1', own)}/deployments/none/scale`,
        body: (own) => ({ metadata: { name: 'none', namespace: own.namespace }, spec: { replicas: 1 } }),
      },
      {
        method: 'DELETE',
        path: (own) => `${group('apps/v1', own)}/deployments/web?propagationPolicy=Foreground`,
      },
      { method: 'GET', path: (own) => `${group('apps/v1', own)}/deployments/web` },
    ],
  },
  {
    name: 'pods: bound once, evicted within their budget, deleted with grace',
    watch: (own) => `${core(own)}/pods`,
    steps: [
      { method: 'POST', path: (own) => `${core(own)}/pods`, body: () => pod('p') },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods`,
        body: () => pod('gated', { schedulingGates: [{ name: 'example.com/wait' }] }),
      },
      { method: 'POST', path: (own) => `${core(own)}/pods/gated/binding`, body: () => bind('gated', 'n') },
      { method: 'POST', path: (own) => `${core(own)}/pods/p/binding`, body: () => bind('other', 'n') },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/p/binding`,
        body: () => ({ ...bind('p', 'n'), target: { kind: 'Pod', name: 'n' } }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/p/binding`,
        body: () => bind('p', 'sequence-node'),
      },
      { method: 'POST', path: (own) => `${core(own)}/pods/p/binding`, body: () => bind('p', 'other-node') },
      { method: 'POST', path: (own) => `${core(own)}/pods/none/binding`, body: () => bind('none', 'n') },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/pods/p/status`,
        body: () => ready,
        contentType: 'strategic',
      },
      {
        method: 'POST',
        path: (own) => `${group('policy/v1', own)}/poddisruptionbudgets`,
        body: () => ({
          metadata: { name: 'b' },
          spec: { minAvailable: 1, selector: { matchLabels: { app: 'p' } } },
        }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/p/eviction`,
        body: () => ({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('policy/v1', own)}/poddisruptionbudgets/b/status`,
        body: () => ({
          status: {
            observedGeneration: 1,
            disruptionsAllowed: 0,
            currentHealthy: 1,
            desiredHealthy: 1,
            expectedPods: 1,
          },
        }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/p/eviction`,
        body: () => ({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('policy/v1', own)}/poddisruptionbudgets/b/status`,
        body: () => ({ status: { disruptionsAllowed: 1, currentHealthy: 2 } }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/p/eviction?dryRun=All`,
        body: () => ({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/p/eviction`,
        body: () => ({
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name: 'p' },
          deleteOptions: { preconditions: { uid: 'wrong' } },
        }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/p/eviction`,
        body: () => ({
          apiVersion: 'policy/v1',
          kind: 'Eviction',
          metadata: { name: 'p' },
          deleteOptions: { gracePeriodSeconds: 12 },
        }),
      },
      { method: 'GET', path: (own) => `${core(own)}/pods/p` },
      { method: 'GET', path: (own) => `${group('policy/v1', own)}/poddisruptionbudgets/b` },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/p/eviction`,
        body: () => ({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'p' } }),
      },
      { method: 'DELETE', path: (own) => `${core(own)}/pods/p?gracePeriodSeconds=20` },
      { method: 'DELETE', path: (own) => `${core(own)}/pods/p?gracePeriodSeconds=5` },
      { method: 'DELETE', path: (own) => `${core(own)}/pods/p?gracePeriodSeconds=0` },
      {
        method: 'POST',
        path: (own) => `${core(own)}/pods/none/eviction`,
        body: () => ({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: 'none' } }),
      },
      { method: 'DELETE', path: (own) => `${core(own)}/pods/gated` },
    ],
  },
];
