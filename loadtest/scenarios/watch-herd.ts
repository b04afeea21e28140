import { sleep } from 'k6';
import { Counter, Trend } from 'k6/metrics';
import type { Options } from 'k6/options';
import {
  call,
  connection,
  duration,
  makeNamespace,
  removeNamespace,
  scaled,
  settings,
  thresholds,
} from './lib/cluster.ts';
import type { WatchHandle } from './lib/watch.ts';
import { watch } from './lib/watch.ts';

export { handleSummary } from './lib/cluster.ts';

/** From just before the write is sent until a watcher has its event. */
const delay = new Trend('watch_event_delay', true);
const lost = new Counter('watches_lost');
const gaps = new Counter('watch_events_missed');

const watchersEach = scaled(50);

/** Many watch the same objects while one writes: every watcher gets every event, in order and soon. */
export const options: Options = {
  ...connection,
  scenarios: {
    watchers: { executor: 'per-vu-iterations', vus: 4, iterations: 1, exec: 'watchers', maxDuration: '10m' },
    writer: { executor: 'constant-vus', vus: 1, duration, exec: 'writer', startTime: '2s' },
  },
  thresholds: {
    ...thresholds('resource'),
    watch_event_delay: ['p(99)<1000'],
    watches_lost: ['count==0'],
    watch_events_missed: ['count==0'],
  },
};

export function setup(): { namespace: string } {
  return { namespace: makeNamespace('watch') };
}

export function writer(data: { namespace: string }): void {
  const folder = `/api/v1/namespaces/${data.namespace}/configmaps`;
  const labels = { resource: 'configmaps', scope: 'resource' } as const;
  call(
    'POST',
    folder,
    {
      metadata: {
        name: `event-${__ITER}`,
        annotations: { sent: String(Date.now()), number: String(__ITER) },
      },
    },
    { verb: 'POST', ...labels },
  );
  sleep(0.1);
}

export function watchers(data: { namespace: string }): void {
  const handles: WatchHandle[] = [];
  const path = `/api/v1/namespaces/${data.namespace}/configmaps?watch=1&resourceVersion=0&allowWatchBookmarks=true`;
  for (let index = 0; index < watchersEach; index++) {
    let expected = 0;
    handles.push(
      watch(path, {
        event({ type, object }) {
          const sent = object.metadata.annotations?.['sent'];
          if (type !== 'ADDED' || sent === undefined) return;
          delay.add(Date.now() - Number(sent));
          const number = Number(object.metadata.annotations?.['number']);
          if (number !== expected) gaps.add(Math.abs(number - expected));
          expected = number + 1;
        },
        ended(asked) {
          if (!asked) lost.add(1);
        },
      }),
    );
  }
  setTimeout(
    () => {
      for (const handle of handles) handle.close();
    },
    (settings.durationSeconds + 4) * 1000,
  );
}

export function teardown(data: { namespace: string }): void {
  removeNamespace(data.namespace);
}
