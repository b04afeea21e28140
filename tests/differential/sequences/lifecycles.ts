import type { Sequence } from '../sequence-runner.ts';
import { core, group } from './parts.ts';

/** How objects, namespaces and claims begin and end, and who manages their fields. */
export const lifecycleSequences: readonly Sequence[] = [
  {
    name: 'deletion: finalizers, preconditions and propagation',
    watch: (own) => `${core(own)}/configmaps`,
    steps: [
      {
        method: 'POST',
        path: (own) => `${core(own)}/configmaps`,
        body: () => ({ metadata: { name: 'c', finalizers: ['example.com/hold'] }, data: { a: '1' } }),
      },
      {
        method: 'DELETE',
        path: (own) => `${core(own)}/configmaps/c`,
        body: () => ({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: 'wrong' } }),
      },
      {
        method: 'DELETE',
        path: (own) => `${core(own)}/configmaps/c`,
        body: () => ({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { resourceVersion: '1' } }),
      },
      {
        method: 'DELETE',
        path: (own) => `${core(own)}/configmaps/c`,
        body: (own) => ({
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          preconditions: { uid: own.answers[0]?.['metadata']?.uid as string },
        }),
      },
      { method: 'DELETE', path: (own) => `${core(own)}/configmaps/c` },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/configmaps/c`,
        body: () => ({ metadata: { finalizers: ['example.com/hold', 'example.com/more'] } }),
      },
      { method: 'PATCH', path: (own) => `${core(own)}/configmaps/c`, body: () => ({ data: { a: '2' } }) },
      {
        method: 'POST',
        path: (own) => `${core(own)}/configmaps`,
        body: () => ({ metadata: { name: 'c' } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/configmaps/c`,
        body: () => ({ metadata: { finalizers: null } }),
      },
      { method: 'GET', path: (own) => `${core(own)}/configmaps/c` },
      { method: 'POST', path: (own) => `${core(own)}/configmaps`, body: () => ({ metadata: { name: 'd' } }) },
      {
        method: 'DELETE',
        path: (own) => `${core(own)}/configmaps/d`,
        body: () => ({ kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Orphan' }),
      },
      { method: 'GET', path: (own) => `${core(own)}/configmaps/d` },
      {
        method: 'DELETE',
        path: (own) => `${core(own)}/configmaps/d`,
        body: () => ({ kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' }),
      },
      {
        method: 'DELETE',
        path: (own) => `${core(own)}/configmaps/d`,
        body: () => ({ kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Sideways' }),
      },
      {
        method: 'DELETE',
        path: (own) => `${core(own)}/configmaps/d`,
        body: () => ({
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          propagationPolicy: 'Orphan',
          orphanDependents: true,
        }),
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/configmaps/d`,
        body: () => ({ metadata: { finalizers: [] } }),
      },
      {
        method: 'POST',
        path: (own) => `${core(own)}/configmaps`,
        body: () => ({ metadata: { name: 'e' }, immutable: true, data: { a: '1' } }),
      },
      { method: 'PATCH', path: (own) => `${core(own)}/configmaps/e`, body: () => ({ data: { a: '2' } }) },
      { method: 'PATCH', path: (own) => `${core(own)}/configmaps/e`, body: () => ({ immutable: false }) },
      {
        method: 'PUT',
        path: (own) => `${core(own)}/configmaps/e`,
        body: () => ({ metadata: { name: 'e', resourceVersion: '1' } }),
      },
      {
        method: 'PUT',
        path: (own) => `${core(own)}/configmaps/none`,
        body: () => ({ metadata: { name: 'none', uid: 'x' } }),
      },
      { method: 'DELETE', path: (own) => `${core(own)}/configmaps?labelSelector=none=such` },
      { method: 'DELETE', path: (own) => `${core(own)}/configmaps` },
    ],
  },
  {
    name: 'apply: the order of managers is by whole seconds',
    watch: (own) => `${core(own)}/configmaps`,
    steps: [
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/configmaps/a?fieldManager=one`,
        body: () => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { x: '1' } }),
        contentType: 'apply',
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/configmaps/a?fieldManager=two`,
        body: () => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { y: '1' } }),
        contentType: 'apply',
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/configmaps/a?fieldManager=one`,
        body: () => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { x: '2' } }),
        contentType: 'apply',
        waitMs: 1100,
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/configmaps/a?fieldManager=one`,
        body: () => ({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'a' },
          data: { x: '2', y: '3' },
        }),
        contentType: 'apply',
      },
      {
        method: 'PATCH',
        path: (own) => `${core(own)}/configmaps/a?fieldManager=one&force=true`,
        body: () => ({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'a' },
          data: { x: '2', y: '3' },
        }),
        contentType: 'apply',
      },
      { method: 'DELETE', path: (own) => `${core(own)}/configmaps/a` },
    ],
  },
  {
    name: 'namespaces: nothing new while one ends',
    watch: () => '/api/v1/namespaces?fieldSelector=metadata.name=sequence-ending',
    steps: [
      {
        method: 'POST',
        path: () => '/api/v1/namespaces',
        body: () => ({ metadata: { name: 'sequence-ending' } }),
      },
      { method: 'DELETE', path: () => '/api/v1/namespaces/sequence-ending' },
      {
        method: 'POST',
        path: () => '/api/v1/namespaces/sequence-ending/secrets',
        body: () => ({ metadata: { name: 's' } }),
      },
      { method: 'DELETE', path: () => '/api/v1/namespaces/sequence-ending' },
      {
        method: 'PUT',
        path: () => '/api/v1/namespaces/sequence-ending/finalize',
        body: (own) => ({ ...own.last, metadata: { name: 'sequence-ending' }, spec: { finalizers: [] } }),
      },
      { method: 'GET', path: () => '/api/v1/namespaces/sequence-ending' },
      {
        method: 'POST',
        path: () => '/api/v1/namespaces/sequence-ending/secrets',
        body: () => ({ metadata: { name: 's' } }),
      },
    ],
  },
  {
    name: 'claims of devices: used only when allocated, allocated once',
    watch: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims`,
    steps: [
      {
        method: 'POST',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims`,
        body: () => ({
          metadata: { name: 'c' },
          spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'a' } }] } },
        }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims/c/status`,
        body: () => ({ status: { reservedFor: [{ resource: 'pods', name: 'p', uid: 'u' }] } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims/c/status`,
        body: () => ({
          status: {
            allocation: { devices: { results: [{ request: 'x', driver: 'D', pool: '', device: 'Bad' }] } },
          },
        }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims/c/status`,
        body: () => ({
          status: {
            allocation: {
              devices: { results: [{ request: 'r', driver: 'd.example.com', pool: 'p', device: 'd' }] },
            },
            devices: [{ driver: 'd.example.com', pool: 'p', device: 'd', conditions: [{ type: 'Ready' }] }],
          },
        }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims/c/status`,
        body: () => ({
          status: {
            allocation: {
              devices: { results: [{ request: 'r', driver: 'd.example.com', pool: 'p', device: 'd' }] },
            },
            devices: [
              { driver: 'd.example.com', pool: 'p', device: 'd', networkData: { ips: ['10.1.2.3/24'] } },
            ],
            reservedFor: [{ resource: 'pods', name: 'p', uid: 'u' }],
          },
        }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims/c/status`,
        body: () => ({
          status: {
            allocation: {
              devices: { results: [{ request: 'r', driver: 'd.example.com', pool: 'p', device: 'e' }] },
            },
          },
        }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims/c/status`,
        body: () => ({ status: { allocation: null, reservedFor: null } }),
      },
      {
        method: 'PATCH',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims/c`,
        body: () => ({ spec: { devices: { requests: [] } } }),
      },
      {
        method: 'POST',
        path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims`,
        body: () => ({
          metadata: { name: 'admin' },
          spec: {
            devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'a', adminAccess: true } }] },
          },
        }),
      },
      { method: 'DELETE', path: (own) => `${group('resource.k8s.io/v1', own)}/resourceclaims/c` },
    ],
  },
];
