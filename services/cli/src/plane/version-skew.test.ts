import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skewProblems } from './version-skew.ts';

const of = (versions: Readonly<Record<string, string>>): ReadonlyMap<string, string> =>
  new Map(Object.entries(versions));

const problems = (versions: {
  apiservers?: Record<string, string>;
  clients?: Record<string, string>;
  kubelets?: Record<string, string>;
  stores?: Record<string, string>;
}): string[] =>
  skewProblems({
    apiservers: of(versions.apiservers ?? { a: 'v1.36.3', b: 'v1.36.3' }),
    clients: of(versions.clients ?? {}),
    kubelets: of(versions.kubelets ?? {}),
    stores: of(versions.stores ?? {}),
  });

test('what the policy allows is no problem', () => {
  assert.deepEqual(
    problems({
      apiservers: { a: 'v1.36.3', b: 'v1.35.0' },
      clients: { scheduler: 'v1.35.2' },
      kubelets: { n: 'v1.33.0', m: 'v1.35.9' },
      stores: { x: '3.7.1', y: '3.6.4' },
    }),
    [],
  );
  assert.deepEqual(problems({ apiservers: {}, kubelets: { n: 'v1.1.0' } }), []);
  assert.deepEqual(problems({ clients: { scheduler: 'unknown' } }), []);
});

test('each rule is told with who breaks it', () => {
  assert.match(
    problems({ apiservers: { a: 'v1.36.3', b: 'v1.34.0' } })[0] ?? '',
    /^API servers differ by more than 1 minor version: b has v1\.34\.0, a v1\.36\.3$/,
  );
  // Of two API servers the older one counts.
  assert.match(
    problems({ apiservers: { a: 'v1.36.3', b: 'v1.35.3' }, clients: { scheduler: 'v1.36.0' } })[0] ?? '',
    /^Component scheduler has v1\.36\.0, newer than API server b/,
  );
  assert.match(problems({ clients: { scheduler: 'v1.34.0' } })[0] ?? '', /more than 1 minor version older/);
  assert.match(problems({ kubelets: { n: 'v1.37.0' } })[0] ?? '', /^Kubelet of node n .* newer/);
  assert.match(problems({ kubelets: { n: 'v1.32.9' } })[0] ?? '', /more than 3 minor versions older/);
  assert.match(problems({ stores: { x: '3.7.1', y: '3.5.9' } })[0] ?? '', /^Store members differ/);
});
