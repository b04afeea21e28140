import { Counter, Trend } from 'k6/metrics';
import type { Options } from 'k6/options';
import {
  call,
  connection,
  duration,
  makeNamespace,
  removeNamespace,
  scaled,
  thresholds,
} from './lib/cluster.ts';
import { watch } from './lib/watch.ts';

export { handleSummary } from './lib/cluster.ts';

/** From the ADDED event of a pod until it is told to be ready: scheduler, node, and two writes. */
const podStart = new Trend('pod_start', true);
/** From sending the Deployment until its last pod is ready: the deployment and replica set controllers too. */
const rollout = new Trend('deployment_ready', true);
const late = new Counter('deployments_not_ready');

const replicas = 3;
const patienceMs = 30_000;

/** Deployments come, get ready, and go. Needs nodes; simulated ones will do. */
export const options: Options = {
  ...connection,
  scenarios: { churn: { executor: 'constant-vus', vus: scaled(3), duration, gracefulStop: '35s' } },
  thresholds: { ...thresholds('resource'), pod_start: ['p(99)<5000'], deployments_not_ready: ['count==0'] },
};

export function setup(): { namespace: string } {
  return { namespace: makeNamespace('churn') };
}

export default function (data: { namespace: string }): void {
  const app = `web-${__VU}-${__ITER}`;
  const folder = `/apis/apps/v1/namespaces/${data.namespace}/deployments`;
  const labels = { group: 'apps', resource: 'deployments', scope: 'resource' } as const;
  const added = new Map<string, number>();
  const ready = new Set<string>();
  let startedMs = 0;
  const finish = (isReady: boolean): void => {
    if (!isReady) late.add(1);
    handle.close();
    call('DELETE', `${folder}/${app}`, undefined, { verb: 'DELETE', ...labels });
  };
  const timer = setTimeout(() => finish(false), patienceMs);
  const selector = encodeURIComponent(`app=${app}`);
  const handle = watch(
    `/api/v1/namespaces/${data.namespace}/pods?watch=1&resourceVersion=0&labelSelector=${selector}`,
    {
      opened() {
        startedMs = Date.now();
        call('POST', folder, deployment(app), { verb: 'POST', ...labels });
      },
      event({ type, object }) {
        const { uid = '' } = object.metadata;
        if (type === 'ADDED') added.set(uid, Date.now());
        const isReady = object.status?.conditions?.some(
          (each) => each.type === 'Ready' && each.status === 'True',
        );
        if (isReady !== true || ready.has(uid)) return;
        ready.add(uid);
        podStart.add(Date.now() - (added.get(uid) ?? startedMs));
        if (ready.size < replicas) return;
        rollout.add(Date.now() - startedMs);
        clearTimeout(timer);
        finish(true);
      },
      ended(asked) {
        if (asked) return;
        clearTimeout(timer);
        late.add(1);
      },
    },
  );
}

function deployment(app: string): object {
  return {
    metadata: { name: app },
    spec: {
      replicas,
      selector: { matchLabels: { app } },
      template: {
        metadata: { labels: { app } },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'web', image: 'registry.k8s.io/pause:3.10' }],
        },
      },
    },
  };
}

export function teardown(data: { namespace: string }): void {
  removeNamespace(data.namespace);
}
