import assert from 'node:assert/strict';
import { test } from 'node:test';
import { strategyFor } from '../strategies.ts';

const strategy = strategyFor('flowcontrol.apiserver.k8s.io', 'flowschemas', 'v1', 'FlowSchema');
const causes = (rule: object): string[] =>
  (
    strategy.validate?.(
      {
        kind: 'FlowSchema',
        apiVersion: 'flowcontrol.apiserver.k8s.io/v1',
        metadata: { name: 'a' },
        spec: { matchingPrecedence: 5, priorityLevelConfiguration: { name: 'p' }, rules: [rule] },
      } as never,
      { featureEnabled: () => true } as never,
    ) ?? []
  ).map((error) => `${error.field}: ${error.message}`);
const subjects = [{ kind: 'User', user: { name: 'u' } }];

test('paths, namespaces and service accounts of a flow schema are checked', () => {
  const of = (urls: string[]): string[] =>
    causes({ subjects, nonResourceRules: [{ verbs: ['get'], nonResourceURLs: urls }] });
  const at = 'spec.rules[0].nonResourceRules[0].nonResourceURLs';
  assert.deepEqual(of(['/', '/healthz', '/a/*']), []);
  assert.deepEqual(of(['a']), [`${at}[0]: Invalid value: "a": must start with slash`]);
  assert.deepEqual(of(['/a//b', '/a*']), [
    `${at}[0]: Invalid value: "/a//b": must not contain double slash`,
    `${at}[1]: Invalid value: "/a*": wildcard can only do suffix matching`,
  ]);
  const resource = { verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['Bad'] };
  assert.match(
    causes({ subjects, resourceRules: [resource] })[0] ?? '',
    /each member of this list must be '\*'/,
  );
  const account = { kind: 'ServiceAccount', serviceAccount: { name: 'a/b', namespace: 'n' } };
  assert.match(
    causes({ subjects: [account], nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['*'] }] })[0] ?? '',
    /serviceAccount\.name: Invalid value: "a\/b"/,
  );
});
