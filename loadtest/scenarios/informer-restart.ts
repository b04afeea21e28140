import { Counter, Trend } from 'k6/metrics';
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
import { watch } from './lib/watch.ts';

export { handleSummary } from './lib/cluster.ts';

/** From the beginning of the list until the watch that follows it is open. */
const synced = new Trend('informer_sync', true);
const failed = new Counter('informer_failures');

/** Controllers that come back all at once: each lists two kinds, watches from there, and is restarted a second later. */
export const options: Options = {
  ...connection,
  scenarios: { informers: { executor: 'constant-vus', vus: scaled(15), duration, gracefulStop: '10s' } },
  thresholds: { ...thresholds('cluster'), informer_sync: ['p(99)<5000'], informer_failures: ['count==0'] },
};

export function setup(): { namespace: string } {
  const namespace = makeNamespace('informer');
  for (let index = 0; index < scaled(300); index++)
    prepare('POST', `/api/v1/namespaces/${namespace}/configmaps`, {
      metadata: { name: `object-${index}` },
      data: { text: filler(512) },
    });
  return { namespace };
}

export default function (): void {
  for (const resource of ['configmaps', 'pods']) {
    const startedMs = Date.now();
    const list = call(
      'GET',
      `/api/v1/${resource}?resourceVersion=0&limit=500`,
      undefined,
      { verb: 'LIST', resource, scope: 'cluster' },
      { keepBody: true },
    );
    if (list.status !== 200) {
      failed.add(1);
      continue;
    }
    const { metadata } = JSON.parse(String(list.body)) as { metadata: { resourceVersion: string } };
    const path = `/api/v1/${resource}?watch=1&allowWatchBookmarks=true&resourceVersion=${metadata.resourceVersion}`;
    const handle = watch(path, {
      opened: () => synced.add(Date.now() - startedMs),
      event({ type }) {
        if (type === 'ERROR') failed.add(1);
      },
      ended(asked) {
        if (!asked) failed.add(1);
      },
    });
    setTimeout(() => handle.close(), 1000);
  }
}

export function teardown(data: { namespace: string }): void {
  removeNamespace(data.namespace);
}
