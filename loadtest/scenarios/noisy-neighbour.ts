import { sleep } from 'k6';
import http from 'k6/http';
import type { Options } from 'k6/options';
import {
  call,
  connection,
  duration,
  filler,
  makeNamespace,
  prepare,
  removeNamespace,
  scaled,
  settings,
} from './lib/cluster.ts';

export { handleSummary } from './lib/cluster.ts';

const noisy = `load-noisy-${settings.runId}`;
const quiet = `load-quiet-${settings.runId}`;
const bindingName = `load-neighbours-${settings.runId}`;
const bindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';

/**
 * One user lists everything as fast as it can, another one works as usual: priority and fairness must keep the second within the
 * objectives. The noisy one may be told to wait (429). Both are impersonated.
 */
export const options: Options = {
  ...connection,
  scenarios: {
    noisy: { executor: 'constant-vus', vus: scaled(20), duration, exec: 'noise' },
    quiet: { executor: 'constant-vus', vus: 2, duration, exec: 'work' },
  },
  thresholds: {
    'http_req_duration{user:quiet}': ['p(99)<1000'],
    'http_req_failed{user:quiet}': ['rate<0.001'],
    'http_reqs{user:noisy}': ['count>0'],
  },
};

export function setup(): { namespace: string } {
  const namespace = makeNamespace('noisy');
  prepare(
    'POST',
    bindings,
    {
      metadata: { name: bindingName },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [noisy, quiet].map((name) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name })),
    },
    [409],
  );
  for (let index = 0; index < scaled(300); index++)
    prepare('POST', `/api/v1/namespaces/${namespace}/configmaps`, {
      metadata: { name: `object-${index}` },
      data: { text: filler(2048) },
    });
  return { namespace };
}

const as = (user: string): Record<string, string> => ({ 'Impersonate-User': user });

export function noise(): void {
  call(
    'GET',
    '/api/v1/configmaps',
    undefined,
    { verb: 'LIST', resource: 'configmaps', scope: 'cluster', user: 'noisy' },
    { headers: as(noisy), expected: http.expectedStatuses(200, 429) },
  );
}

export function work(data: { namespace: string }): void {
  const folder = `/api/v1/namespaces/${data.namespace}/configmaps`;
  const name = `quiet-${__VU}-${__ITER}`;
  const labels = { resource: 'configmaps', scope: 'resource', user: 'quiet' } as const;
  const options = { headers: as(quiet) };
  call('POST', folder, { metadata: { name }, data: { text: 'a' } }, { verb: 'POST', ...labels }, options);
  call('GET', `${folder}/${name}`, undefined, { verb: 'GET', ...labels }, options);
  call('DELETE', `${folder}/${name}`, undefined, { verb: 'DELETE', ...labels }, options);
  sleep(0.1);
}

export function teardown(data: { namespace: string }): void {
  prepare('DELETE', `${bindings}/${bindingName}`, undefined, [404]);
  removeNamespace(data.namespace);
}
