import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import type { WatchEvent, WatchStream } from '../registry/rest/rest-storage.ts';
import { StorageError } from './errors.ts';
import type { SelectionPredicate, Storage, StorageListOptions, StorageWatchOptions } from './interface.ts';
import { matchEverything } from './interface.ts';

export interface StorageUnderTest {
  readonly storage: Storage;
  /** Forgets the history of the store before `revision`. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}

function configMap(
  namespace: string,
  name: string,
  labels: Record<string, string> = {},
  data: Record<string, string> = {},
): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace, uid: `uid-${name}`, labels },
    data,
  };
}

const listAll: StorageListOptions = {
  resourceVersion: '',
  resourceVersionMatch: '',
  predicate: matchEverything,
  limit: 0,
  continue: '',
  prefix: '',
};
const watchAll: StorageWatchOptions = {
  prefix: '',
  predicate: matchEverything,
  resourceVersion: '',
  bookmarks: false,
  sendInitialEvents: undefined,
  timeoutSeconds: 0,
};
const labelled = (key: string, value: string): SelectionPredicate => ({
  everything: false,
  matches: (object) => object.metadata.labels?.[key] === value,
});

/** Reads `count` events; fails by the test's own timeout when they do not come. */
async function take(stream: WatchStream, count: number): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  while (events.length < count) {
    const batch = await stream.next();
    if (batch === undefined) break;
    events.push(...batch);
  }
  return events;
}

type ObjectEvent = Exclude<WatchEvent, { type: 'ERROR' }>;

const shown = (event: WatchEvent): string =>
  event.type === 'ERROR'
    ? `ERROR ${event.status.message ?? ''}`
    : `${event.type} ${event.object.object.metadata.name ?? ''}`;

const isStatus = (code: number, text: RegExp) => (error: unknown) =>
  error instanceof StatusError && error.httpCode === code && text.test(error.message);
const isStorageError = (kind: string) => (error: unknown) =>
  error instanceof StorageError && error.kind === kind;

/** The contract of {@link Storage} as tests: to be run over every implementation. `open` gives an empty storage each time. */
export function storageConformance(name: string, open: () => Promise<StorageUnderTest>): void {
  const check = (title: string, body: (under: StorageUnderTest) => Promise<void>): void => {
    void test(`${name}: ${title}`, { timeout: 20_000 }, async () => {
      const under = await open();
      try {
        await body(under);
      } finally {
        await under.close();
      }
    });
  };
  const update = (storage: Storage, key: string, change: (object: KubeObject) => void) =>
    storage.guaranteedUpdate(key, { mustExist: true, preconditions: undefined }, ({ existing }) => {
      const object = structuredClone(existing?.object) as KubeObject;
      change(object);
      return { object };
    });

  check('create gives the object a resourceVersion and refuses a second one', async ({ storage }) => {
    const stored = await storage.create('ns/a', configMap('ns', 'a'), 0);
    assert.equal(stored.object.metadata.resourceVersion, String(stored.revision));
    assert.ok(stored.revision > 0 && Object.isFrozen(stored.object.metadata));
    await assert.rejects(storage.create('ns/a', configMap('ns', 'a'), 0), isStorageError('keyExists'));
    const read = await storage.get('ns/a', { resourceVersion: '' });
    assert.deepEqual(read.object, stored.object);
  });

  check('get of a missing key, and at a revision of the future, fails', async ({ storage }) => {
    await assert.rejects(storage.get('ns/none', { resourceVersion: '' }), isStorageError('keyNotFound'));
    await assert.rejects(storage.get('ns/none', { resourceVersion: '0' }), isStorageError('keyNotFound'));
    await assert.rejects(
      storage.get('ns/none', { resourceVersion: '999999999' }),
      isStatus(504, /Too large resource version: 999999999/),
    );
    await assert.rejects(
      storage.get('ns/none', { resourceVersion: 'abc' }),
      // A cache in front does not classify it.
      (error: unknown) => [400, 500].some((code) => isStatus(code, /Invalid value: "abc"/)(error)),
    );
  });

  check('an update that changes nothing is not written', async ({ storage }) => {
    const stored = await storage.create('ns/a', configMap('ns', 'a'), 0);
    const same = await update(storage, 'ns/a', () => undefined);
    assert.equal(same.written, false);
    assert.equal(same.stored.revision, stored.revision);
    const changed = await update(storage, 'ns/a', (object) => (object['data'] = { k: 'v' }));
    assert.equal(changed.written, true);
    assert.ok(changed.stored.revision > stored.revision);
  });

  check('updates that race all take effect', async ({ storage }) => {
    await storage.create('ns/a', configMap('ns', 'a', {}, { n: '0' }), 0);
    const bump = () =>
      update(storage, 'ns/a', (object) => (object['data'] = { n: String(Number(object['data'].n) + 1) }));
    await Promise.all(Array.from({ length: 8 }, bump));
    const read = await storage.get('ns/a', { resourceVersion: '' });
    assert.equal(read.object['data'].n, '8');
  });

  check('an update creates a missing key only when it may', async ({ storage }) => {
    await assert.rejects(
      update(storage, 'ns/a', () => undefined),
      isStorageError('keyNotFound'),
    );
    const result = await storage.guaranteedUpdate(
      'ns/a',
      { mustExist: false, preconditions: undefined },
      ({ existing }) => {
        assert.equal(existing, undefined);
        return { object: configMap('ns', 'a') };
      },
    );
    assert.equal(result.written, true);
  });

  check('preconditions guard update and delete', async ({ storage }) => {
    const stored = await storage.create('ns/a', configMap('ns', 'a'), 0);
    const refuse = (error: unknown): boolean =>
      error instanceof StorageError &&
      error.message.endsWith('Precondition failed: UID in precondition: other, UID in object meta: uid-a');
    await assert.rejects(
      storage.delete('ns/a', { uid: 'other' }, () => undefined),
      refuse,
    );
    await assert.rejects(
      storage.guaranteedUpdate(
        'ns/a',
        { mustExist: true, preconditions: { uid: 'other' } },
        ({ existing }) => ({
          object: structuredClone(existing?.object) as KubeObject,
        }),
      ),
      refuse,
    );
    const gone = await storage.delete(
      'ns/a',
      { uid: 'uid-a', resourceVersion: String(stored.revision) },
      () => undefined,
    );
    assert.ok(gone.revision > stored.revision);
    assert.equal(gone.object.metadata.resourceVersion, String(gone.revision));
    await assert.rejects(
      storage.delete('ns/a', undefined, () => undefined),
      isStorageError('keyNotFound'),
    );
  });

  check('list is in key order, by namespace and by selector', async ({ storage }) => {
    for (const [namespace, object, app] of [
      ['b', 'x', '1'],
      ['a', 'z', '2'],
      ['a', 'y', '1'],
      ['a-b', 'q', '1'],
    ] as const) {
      await storage.create(`${namespace}/${object}`, configMap(namespace, object, { app }), 0);
    }
    const names = (items: readonly { key: string }[]): string[] => items.map((item) => item.key);
    const all = await storage.list(listAll);
    assert.deepEqual(names(all.items), ['a-b/q', 'a/y', 'a/z', 'b/x']);
    assert.equal(all.revision, await storage.currentRevision());
    assert.deepEqual(names((await storage.list({ ...listAll, prefix: 'a/' })).items), ['a/y', 'a/z']);
    const selected = await storage.list({ ...listAll, predicate: labelled('app', '1') });
    assert.deepEqual(names(selected.items), ['a-b/q', 'a/y', 'b/x']);
  });

  check('pages of a list show one revision, to the end', async ({ storage }) => {
    for (const object of ['a', 'b', 'c', 'd', 'e'])
      await storage.create(`ns/${object}`, configMap('ns', object), 0);
    const options = { ...listAll, prefix: 'ns/', limit: 2 };
    const first = await storage.list(options);
    assert.deepEqual([first.items.map((item) => item.key), first.remainingItemCount], [['ns/a', 'ns/b'], 3]);
    await storage.create('ns/bb', configMap('ns', 'bb'), 0);
    await storage.delete('ns/d', undefined, () => undefined);
    const second = await storage.list({ ...options, continue: first.continue });
    assert.deepEqual(
      second.items.map((item) => item.key),
      ['ns/c', 'ns/d'],
    );
    assert.equal(second.revision, first.revision);
    const third = await storage.list({ ...options, continue: second.continue });
    assert.deepEqual([third.items.map((item) => item.key), third.continue], [['ns/e'], '']);
    await assert.rejects(
      storage.list({ ...options, continue: first.continue, resourceVersion: '5' }),
      isStatus(400, /specifying resource version is not allowed when using continue/),
    );
    await assert.rejects(
      storage.list({ ...options, continue: 'abc' }),
      isStatus(400, /invalid continue token/),
    );
  });

  check('a page whose revision was compacted gives a token to go on with', async ({ storage, compact }) => {
    for (const object of ['a', 'b', 'c']) await storage.create(`ns/${object}`, configMap('ns', object), 0);
    const { startKeyToken } = {
      startKeyToken: (await storage.list({ ...listAll, limit: 1 })).items[0]?.revision ?? 0,
    };
    await storage.delete('ns/c', undefined, () => undefined);
    await compact(await storage.currentRevision());
    // A token of a revision that no cache holds.
    const token = btoa(JSON.stringify({ v: 'meta.k8s.io/v1', rv: startKeyToken, start: 'ns/a\0' }))
      .replaceAll('+', '-')
      .replaceAll('/', '_')
      .replaceAll('=', '');
    let next = '';
    await assert.rejects(storage.list({ ...listAll, limit: 1, continue: token }), (error) => {
      assert.ok(error instanceof StatusError);
      assert.equal(error.reason, 'Expired');
      next = String(error.status.metadata['continue']);
      return true;
    });
    const rest = await storage.list({ ...listAll, limit: 1, continue: next });
    assert.deepEqual(
      rest.items.map((item) => item.key),
      ['ns/b'],
    );
  });

  check('a list at an exact revision shows that state', async ({ storage, compact }) => {
    const a = await storage.create('ns/a', configMap('ns', 'a'), 0);
    const b = await storage.create('ns/b', configMap('ns', 'b'), 0);
    const options = {
      ...listAll,
      resourceVersion: String(a.revision),
      resourceVersionMatch: 'Exact' as const,
    };
    const then = await storage.list(options);
    assert.deepEqual([then.items.map((item) => item.key), then.revision], [['ns/a'], a.revision]);
    const newer = await storage.list({
      ...options,
      resourceVersion: String(b.revision),
      resourceVersionMatch: 'NotOlderThan',
    });
    assert.equal(newer.items.length, 2);
    await compact(await storage.currentRevision());
    await assert.rejects(
      storage.list(options),
      isStatus(410, /The resourceVersion for the provided list is too old/),
    );
    await assert.rejects(
      storage.list({ ...options, resourceVersionMatch: 'NotOlderThan', resourceVersion: '999999999' }),
      isStatus(504, /Too large resource version/),
    );
  });

  check('a watch begins with the state and goes on with changes', async ({ storage }) => {
    await storage.create('ns/a', configMap('ns', 'a'), 0);
    const stream = await storage.watch(watchAll);
    assert.deepEqual((await take(stream, 1)).map(shown), ['ADDED a']);
    await update(storage, 'ns/a', (object) => (object['data'] = { k: 'v' }));
    await storage.create('ns/b', configMap('ns', 'b'), 0);
    const gone = await storage.delete('ns/a', undefined, () => undefined);
    const events = await take(stream, 3);
    assert.deepEqual(events.map(shown), ['MODIFIED a', 'ADDED b', 'DELETED a']);
    const last = events[2] as ObjectEvent;
    assert.equal(last.object.object.metadata.resourceVersion, String(gone.revision));
    assert.deepEqual(last.object.object['data'], { k: 'v' });
    stream.close();
    assert.equal(await stream.next(), undefined);
  });

  check('a watch resumes behind a resourceVersion', async ({ storage }) => {
    const a = await storage.create('ns/a', configMap('ns', 'a'), 0);
    const b = await storage.create('ns/b', configMap('ns', 'b'), 0);
    await storage.create('other/c', configMap('other', 'c'), 0);
    const stream = await storage.watch({ ...watchAll, resourceVersion: String(a.revision) });
    assert.deepEqual((await take(stream, 2)).map(shown), ['ADDED b', 'ADDED c']);
    stream.close();
    const inNamespace = await storage.watch({
      ...watchAll,
      prefix: 'other/',
      resourceVersion: String(a.revision),
    });
    assert.deepEqual((await take(inNamespace, 1)).map(shown), ['ADDED c']);
    inNamespace.close();
    assert.ok(b.revision > a.revision);
  });

  check('a watcher with a selector sees objects come and go as they match', async ({ storage }) => {
    await storage.create('ns/a', configMap('ns', 'a', { app: 'x' }), 0);
    const stream = await storage.watch({ ...watchAll, predicate: labelled('app', 'y') });
    const label = (app: string, n: string) =>
      update(storage, 'ns/a', (object) => {
        object.metadata.labels = { app };
        object['data'] = { n };
      });
    await label('y', '1');
    await label('y', '2');
    const left = await label('x', '3');
    await label('x', '4');
    await storage.create('ns/b', configMap('ns', 'b', { app: 'y' }), 0);
    const events = await take(stream, 4);
    assert.deepEqual(events.map(shown), ['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED b']);
    const gone = events[2] as ObjectEvent;
    // The last state that matched, at the revision of the change.
    assert.equal(gone.object.object['data'].n, '2');
    assert.equal(gone.object.object.metadata.resourceVersion, String(left.stored.revision));
    stream.close();
  });

  check('initial events end with a bookmark when asked for', async ({ storage }) => {
    await storage.create('ns/a', configMap('ns', 'a'), 0);
    const stream = await storage.watch({ ...watchAll, sendInitialEvents: true, bookmarks: true });
    const events = await take(stream, 2);
    assert.deepEqual(events.map(shown), ['ADDED a', 'BOOKMARK ']);
    const bookmark = events[1] as ObjectEvent;
    assert.deepEqual(bookmark.object.object, {
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: {
        annotations: { 'k8s.io/initial-events-end': 'true' },
        resourceVersion: String(bookmark.object.revision),
      },
    });
    stream.close();
    const silent = await storage.watch({ ...watchAll, sendInitialEvents: false });
    await storage.create('ns/b', configMap('ns', 'b'), 0);
    assert.deepEqual((await take(silent, 1)).map(shown), ['ADDED b']);
    silent.close();
  });

  check(
    'a validation that refuses stops a delete, and sees a newer state after a race',
    async ({ storage }) => {
      await storage.create('ns/a', configMap('ns', 'a'), 0);
      await assert.rejects(
        storage.delete('ns/a', undefined, () => {
          throw new StatusError(403, 'Forbidden', 'no');
        }),
        isStatus(403, /no/),
      );
      const seen: string[] = [];
      await storage.delete('ns/a', undefined, async (existing) => {
        seen.push(String(existing.object['data'].n));
        if (seen.length === 1) await update(storage, 'ns/a', (object) => (object['data'] = { n: '2' }));
      });
      assert.deepEqual(seen, ['undefined', '2']);
    },
  );
}
