import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildOpenApiV3 } from '../openapi/index.ts';
import { openApiSchemaOf } from './openapi-schema.ts';
import { expressionWarnings } from './type-checking.ts';

const deployment = { group: 'apps', version: 'v1', kind: 'Deployment' };

function warningsOf(policy: Parameters<typeof expressionWarnings>[0]) {
  const schema = openApiSchemaOf(buildOpenApiV3('apis/apps/v1') as object, deployment);
  assert.ok(schema);
  return expressionWarnings(policy, [{ kind: deployment, schema }], undefined);
}

test('expressions that do not fit a kind are told in upstream’s words', () => {
  const validations = [
    { expression: "object.spec.replicas > 'x'" },
    { expression: 'object.spec.nope == 1' },
    { expression: 'object.spec.replicas > 1', messageExpression: 'object.metadata.nam' },
    {
      expression: "object.metadata.labels['a'] == 'b' && has(object.spec.template.spec.containers[0].image)",
    },
  ];
  assert.deepEqual(warningsOf({ validations }), [
    {
      fieldRef: 'spec.validations[0].expression',
      warning:
        "apps/v1, Kind=Deployment: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '(int, string)'\n | object.spec.replicas > 'x'\n | .....................^\n",
    },
    {
      fieldRef: 'spec.validations[1].expression',
      warning:
        "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'nope'\n | object.spec.nope == 1\n | ...........^\n",
    },
    {
      fieldRef: 'spec.validations[2].messageExpression',
      warning:
        "apps/v1, Kind=Deployment: ERROR: <input>:1:16: undefined field 'nam'\n | object.metadata.nam\n | ...............^\n",
    },
  ]);
});

test('variables have the types of their expressions', () => {
  const variables = [{ name: 'count', expression: 'object.spec.replicas' }];
  const [warning] = warningsOf({ variables, validations: [{ expression: "variables.count == 'x'" }] });
  assert.match(warning?.warning ?? '', /no matching overload for '_==_' applied to '\(int, string\)'/);
});

test('a schema that refers to itself has an end', () => {
  const document = buildOpenApiV3('apis/apiextensions.k8s.io/v1') as object;
  const kind = { group: 'apiextensions.k8s.io', version: 'v1', kind: 'CustomResourceDefinition' };
  const schema = openApiSchemaOf(document, kind);
  assert.ok(schema);
  const validations = [
    { expression: "object.spec.versions.all(v, v.schema.openAPIV3Schema.type == 'object')" },
  ];
  assert.deepEqual(expressionWarnings({ validations }, [{ kind, schema }], undefined), []);
});
