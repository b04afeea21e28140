import type { Backend } from './backend.ts';

/** What every backend must do; a failure throws. `open` gives the same stored state each time, after `close` of the one before. */
export interface BackendSuite {
  readonly name: string;
  run(
    open: () => Promise<Backend>,
    check: (actual: unknown, expected: unknown, what: string) => void,
  ): Promise<void>;
}

const one = (value: number): Uint8Array => Uint8Array.of(value);
const revisions = (
  backend: {
    scanRevisions(from: number, to: number): Iterable<{ main: number; sub: number; bytes: Uint8Array }>;
  },
  from = 0,
  to = 1e15,
): string =>
  [...backend.scanRevisions(from, to)]
    .map(({ main, sub, bytes }) => `${main}.${sub}=${bytes.join(',')}`)
    .join(' ');
const records = (backend: Backend, prefix = ''): string =>
  [...backend.scanRecords(prefix)].map(([key, value]) => `${key}=${value.join(',')}`).join(' ');

/** Puts a state of these revisions in the place of the present one. */
async function replace(
  backend: Backend,
  mains: readonly number[],
  meanwhile = (): void => {},
): Promise<void> {
  const next = backend.replacement();
  for (const main of mains) next.writeRevision(main, 0, one(main));
  await next.settled();
  meanwhile();
  let isInstalled = false;
  await next.install(() => (isInstalled = true));
  if (!isInstalled) throw new Error('Nobody was told');
}

export const backendSuites: readonly BackendSuite[] = [
  {
    name: 'reads its own writes before and after a flush, in order',
    async run(open, check) {
      const backend = await open();
      for (const [main, sub] of [
        [2, 0],
        [10, 1],
        [10, 0],
        [3, 0],
        [2 ** 40, 0],
      ] as const)
        backend.writeRevision(main, sub, one(main % 251));
      backend.writeRecord('b/2', one(2));
      backend.writeRecord('b/1', one(1));
      backend.writeRecord('a', one(0));
      const all = `2.0=2 3.0=3 10.0=10 10.1=10 ${2 ** 40}.0=${2 ** 40 % 251}`;
      for (const when of ['before', 'after']) {
        check(revisions(backend), all, `revisions ${when} flush`);
        check(revisions(backend, 3, 10), '3.0=3 10.0=10 10.1=10', `part ${when} flush`);
        check(records(backend, 'b/'), 'b/1=1 b/2=2', `records ${when} flush`);
        check(backend.readRevision(10, 1)?.[0], 10, 'read');
        check(backend.readRevision(10, 2), undefined, 'absent');
        await backend.flush();
      }
      backend.deleteRevision(3, 0);
      backend.writeRevision(11, 0, one(11));
      backend.writeRevision(2, 0, one(9));
      backend.deleteRecord('b/1');
      check(revisions(backend, 0, 11), '2.0=9 10.0=10 10.1=10 11.0=11', 'overlay over stored');
      check(records(backend), 'a=0 b/2=2', 'records over stored');
      check(backend.readRevision(3, 0), undefined, 'deleted in the overlay');
    },
  },
  {
    name: 'a snapshot does not see later writes, replacements or flushes',
    async run(open, check) {
      const backend = await open();
      backend.writeRevision(2, 0, one(1));
      await backend.flush();
      backend.writeRevision(3, 0, one(2));
      backend.writeRecord('r', one(5));
      const image = backend.snapshot();
      backend.deleteRevision(2, 0);
      backend.writeRevision(4, 0, one(3));
      await backend.flush();
      await replace(backend, []);
      check([...image.revisions()].map(({ main }) => main).join(), '2,3', 'revisions of the image');
      check([...image.records()].map(([key]) => key).join(), 'r', 'records of the image');
      image.release();
      check(revisions(backend), '', 'cleared');
    },
  },
  {
    name: 'a replacement takes the place of everything, also of what was written while it was made',
    async run(open, check) {
      const backend = await open();
      backend.writeRevision(2, 0, one(1));
      backend.writeRecord('x', one(1));
      await backend.flush();
      backend.writeRecord('y', one(1));
      const abandoned = backend.replacement();
      abandoned.writeRecord('z', one(1));
      await abandoned.abandon();
      await replace(backend, [9], () => backend.writeRecord('between', one(1)));
      check(revisions(backend), '9.0=9', 'before flush');
      check(records(backend), '', 'records before flush');
      await backend.flush();
      check(revisions(backend), '9.0=9', 'after flush');
      await backend.defragment();
      backend.writeRevision(10, 0, one(1));
      check(revisions(backend), '9.0=9 10.0=1', 'after defragmentation');
    },
  },
];
