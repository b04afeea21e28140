import { check } from 'k6';
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
  thresholds,
} from './lib/cluster.ts';

export { handleSummary } from './lib/cluster.ts';

const objects = scaled(500);

/** Everybody lists at once: from the cache, consistently, in pages, with selectors, of a namespace and of the whole cluster. */
export const options: Options = {
  ...connection,
  scenarios: { storm: { executor: 'constant-vus', vus: scaled(10), duration } },
  thresholds: { ...thresholds('namespace', 'cluster'), checks: ['rate>0.999'] },
};

export function setup(): { namespace: string } {
  const namespace = makeNamespace('list');
  for (let index = 0; index < objects; index++) {
    prepare('POST', `/api/v1/namespaces/${namespace}/configmaps`, {
      metadata: { name: `object-${index}`, labels: { part: String(index % 10) } },
      data: { text: filler(1024) },
    });
  }
  return { namespace };
}

export default function (data: { namespace: string }): void {
  const resource = 'configmaps';
  const inNamespace = `/api/v1/namespaces/${data.namespace}/${resource}`;
  const everywhere = { verb: 'LIST', resource, scope: 'cluster' } as const;
  const here = { verb: 'LIST', resource, scope: 'namespace' } as const;
  call('GET', `/api/v1/${resource}?resourceVersion=0`, undefined, everywhere);
  call('GET', `/api/v1/${resource}`, undefined, everywhere);
  const part = call('GET', `${inNamespace}?labelSelector=part%3D3`, undefined, here, { keepBody: true });
  check(part, {
    'a selector finds all of its part': ({ body }) => count(String(body)) === Math.ceil((objects - 3) / 10),
  });
  let next = '';
  let found = 0;
  do {
    const page = call(
      'GET',
      `${inNamespace}?limit=200&continue=${encodeURIComponent(next)}`,
      undefined,
      here,
      {
        keepBody: true,
      },
    );
    if (page.status !== 200) return;
    const { items, metadata } = JSON.parse(String(page.body)) as {
      items: unknown[];
      metadata: { continue?: string };
    };
    found += items.length;
    next = metadata.continue ?? '';
  } while (next !== '');
  // kube-root-ca.crt is there too where a controller manager runs.
  check(found, { 'the pages hold every object': (total) => total === objects || total === objects + 1 });
}

const count = (body: string): number => (JSON.parse(body) as { items: unknown[] }).items.length;

export function teardown(data: { namespace: string }): void {
  removeNamespace(data.namespace);
}
