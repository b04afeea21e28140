import { check } from 'k6';
import type { Options } from 'k6/options';
import {
  call,
  connection,
  duration,
  filler,
  makeNamespace,
  removeNamespace,
  scaled,
  thresholds,
} from './lib/cluster.ts';

export { handleSummary } from './lib/cluster.ts';

/** Users who create, read, change, list and delete ConfigMaps and Secrets: 3 writes to 5 reads. */
export const options: Options = {
  ...connection,
  scenarios: { mix: { executor: 'constant-vus', vus: scaled(8), duration } },
  thresholds: { ...thresholds('resource', 'namespace'), checks: ['rate>0.999'] },
};

export function setup(): { namespace: string } {
  return { namespace: makeNamespace('crud') };
}

export default function (data: { namespace: string }): void {
  const resource = __ITER % 2 === 0 ? 'configmaps' : 'secrets';
  const folder = `/api/v1/namespaces/${data.namespace}/${resource}`;
  const name = `object-${__VU}-${__ITER}`;
  const path = `${folder}/${name}`;
  const one = { resource, scope: 'resource' } as const;
  const content =
    resource === 'secrets' ? { stringData: { text: filler(512) } } : { data: { text: filler(512) } };
  const created = call('POST', folder, { metadata: { name }, ...content }, { verb: 'POST', ...one });
  check(created, { created: ({ status }) => status === 201 });
  call('GET', path, undefined, { verb: 'GET', ...one });
  call('PUT', path, { metadata: { name, labels: { changed: 'yes' } }, ...content }, { verb: 'PUT', ...one });
  const patched = call(
    'PATCH',
    path,
    { metadata: { annotations: { round: String(__ITER) } } },
    { verb: 'PATCH', ...one },
    { headers: { 'content-type': 'application/merge-patch+json' }, keepBody: true },
  );
  check(patched, { 'patch was applied': ({ body }) => String(body).includes(`"round":"${__ITER}"`) });
  const seen = call('GET', path, undefined, { verb: 'GET', ...one }, { keepBody: true });
  check(seen, { 'own write is read': ({ body }) => String(body).includes(`"round":"${__ITER}"`) });
  call('GET', `${folder}?limit=50`, undefined, { verb: 'LIST', resource, scope: 'namespace' });
  call('GET', `${path}?resourceVersion=0`, undefined, { verb: 'GET', ...one });
  const deleted = call('DELETE', path, undefined, { verb: 'DELETE', ...one });
  check(deleted, { deleted: ({ status }) => status === 200 });
}

export function teardown(data: { namespace: string }): void {
  removeNamespace(data.namespace);
}
