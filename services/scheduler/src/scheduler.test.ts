import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock } from '@pilothouse/base';
import { silentLogger } from '@pilothouse/base';
import type { Transport, TransportRequest, TransportResponse } from '@pilothouse/client';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import { startScheduler } from './scheduler.ts';

/** As much of an API server as the scheduler talks to: lists, watches, bindings, status patches, deletes, events. */
class FakeApi implements Transport {
  readonly objects = new Map<string, KubeObject>();
  readonly events: KubeObject[] = [];
  /** The next so many bindings fail with 500. */
  failBindings = 0;
  readonly #watchers = new Map<string, Set<(line: string | undefined) => void>>();
  #revision = 1;

  put(collection: string, object: KubeObject): void {
    const key = `${collection}|${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
    const type = this.objects.has(key) ? 'MODIFIED' : 'ADDED';
    const stored = {
      ...object,
      metadata: { uid: key, ...object.metadata, resourceVersion: String(++this.#revision) },
    };
    this.objects.set(key, stored);
    this.#tell(collection, type, stored);
  }
  remove(collection: string, namespace: string, name: string): void {
    const key = `${collection}|${namespace}/${name}`;
    const object = this.objects.get(key);
    this.objects.delete(key);
    if (object !== undefined) this.#tell(collection, 'DELETED', object);
  }
  pod(name: string): KubeObject | undefined {
    return this.objects.get(`pods|default/${name}`);
  }

  #tell(collection: string, type: string, object: KubeObject): void {
    for (const send of this.#watchers.get(collection) ?? []) send(`${JSON.stringify({ type, object })}\n`);
  }

  request(request: TransportRequest): Promise<TransportResponse> {
    const [path = '', query = ''] = request.path.split('?');
    const parts = path.split('/').slice(path.startsWith('/apis') ? 4 : 3);
    const namespaced = parts[0] === 'namespaces' && parts.length > 2;
    const [collection = '', name, subresource] = namespaced ? parts.slice(2) : parts;
    const namespace = namespaced ? (parts[1] as string) : '';
    const body = request.body === undefined ? undefined : (JSON.parse(String(request.body)) as KubeObject);
    if (query.includes('watch=true')) {
      if (query.includes('sendInitialEvents'))
        return Promise.resolve(
          answer(400, { kind: 'Status', code: 400, reason: 'BadRequest', message: 'no' }),
        );
      return Promise.resolve(this.#watch(collection, request.signal));
    }
    const key = `${collection}|${namespace}/${name ?? ''}`;
    if (collection === 'events') {
      if (request.method === 'POST' && body !== undefined) this.events.push(body);
      return Promise.resolve(answer(201, body ?? {}));
    }
    if (request.method === 'GET') {
      const items = [...this.objects]
        .filter(([each]) => each.startsWith(`${collection}|`))
        .map(([, object]) => object);
      return Promise.resolve(
        answer(200, {
          kind: 'List',
          apiVersion: 'v1',
          metadata: { resourceVersion: String(this.#revision) },
          items,
        }),
      );
    }
    const object = this.objects.get(key);
    if (object === undefined)
      return Promise.resolve(answer(404, { kind: 'Status', code: 404, reason: 'NotFound', message: 'gone' }));
    if (request.method === 'DELETE') this.remove(collection, namespace, name ?? '');
    else if (subresource === 'binding') {
      if (this.failBindings > 0) {
        this.failBindings--;
        return Promise.resolve(
          answer(500, {
            kind: 'Status',
            code: 500,
            reason: 'InternalError',
            message: 'etcdserver: leader changed',
          }),
        );
      }
      this.put(collection, { ...object, spec: { ...object['spec'], nodeName: body?.['target'].name } });
    } else this.put(collection, { ...object, status: { ...object['status'], ...body?.['status'] } });
    return Promise.resolve(answer(200, object));
  }

  #watch(collection: string, signal: AbortSignal | undefined): TransportResponse {
    const lines: (string | undefined)[] = [];
    let wake: (() => void) | undefined;
    const send = (line: string | undefined): void => {
      lines.push(line);
      wake?.();
    };
    let set = this.#watchers.get(collection);
    if (set === undefined) this.#watchers.set(collection, (set = new Set()));
    set.add(send);
    signal?.addEventListener('abort', () => send(undefined));
    async function* stream(): AsyncGenerator<Uint8Array> {
      for (;;) {
        while (lines.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        const line = lines.shift();
        if (line === undefined) return;
        yield Buffer.from(line);
      }
    }
    return { status: 200, headers: {}, body: stream() };
  }
  close(): void {}
}

function answer(status: number, body: object): TransportResponse {
  async function* once(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from(JSON.stringify(body)));
  }
  return { status, headers: {}, body: once() };
}

/** Twenty times real time, so that backoffs of seconds pass in an instant. */
const fastClock: Clock = {
  now: () => nodeClock.now(),
  monotonic: () => nodeClock.monotonic() * 20,
  setTimeout: (callback, delayMs) => nodeClock.setTimeout(callback, delayMs / 20),
  setInterval: (callback, periodMs) => nodeClock.setInterval(callback, periodMs / 20),
};

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `timed out: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const node = (name: string, cpu: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name },
  spec: {},
  status: { allocatable: { cpu, memory: '8Gi', pods: '110' } },
});
const pod = (name: string, cpu: string, priority = 0): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: {
    schedulerName: 'default-scheduler',
    priority,
    containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }],
  },
  status: { phase: 'Pending' },
});

test('pods are bound, told why not, tried again when a node comes, and make room for more important ones', async () => {
  const api = new FakeApi();
  api.put('pods', pod('early', '1'));
  const scheduler = await startScheduler({
    transport: api,
    clock: fastClock,
    random: nodeRandom,
    logger: silentLogger,
    host: 'h',
    server: { address: '127.0.0.1', port: 0 },
  });
  try {
    await until('the event of a pod without nodes', () =>
      api.events.some((event) => event['note'] === 'no nodes available to schedule pods'),
    );
    assert.equal(api.pod('early')?.['status'].conditions[0].reason, 'Unschedulable');
    api.put('nodes', node('n1', '2'));
    await until('the pod to be bound', () => api.pod('early')?.['spec'].nodeName === 'n1');
    await until('the Scheduled event', () =>
      api.events.some(
        (event) =>
          event['note'] === 'Successfully assigned default/early to n1' && event['action'] === 'Binding',
      ),
    );

    api.failBindings = 1;
    api.put('pods', pod('retried', '500m'));
    await until(
      'a binding that failed to be tried again',
      () => api.pod('retried')?.['spec'].nodeName === 'n1',
    );

    api.put('pods', pod('vip', '2', 100));
    await until(
      'the victims to go',
      () => api.pod('early') === undefined && api.pod('retried') === undefined,
    );
    await until('the important pod to be bound', () => api.pod('vip')?.['spec'].nodeName === 'n1');
    assert.ok(api.events.some((event) => event['reason'] === 'Preempted'));

    api.put('pods', pod('late', '1'));
    await until('the condition of a pod that does not fit', () =>
      /Insufficient cpu/.test(api.pod('late')?.['status'].conditions?.[0]?.message ?? ''),
    );
    api.remove('pods', 'default', 'vip');
    await until('the freed room to be used', () => api.pod('late')?.['spec'].nodeName === 'n1');

    const base = `http://127.0.0.1:${scheduler.port}`;
    assert.equal(await (await fetch(`${base}/readyz`)).text(), 'ok');
    assert.match(
      await (await fetch(`${base}/metrics`)).text(),
      /scheduler_schedule_attempts_total\{profile="default-scheduler",result="scheduled"\} 4/,
    );
  } finally {
    await scheduler.close();
  }
});
