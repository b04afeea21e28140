import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import { nodeClock } from '@pilothouse/host';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes } from '../interface.ts';
import { mutatingPolicies } from './mutating-policies.ts';
import { validatingPolicies } from './validating-policies.ts';

type Cache = Readonly<Record<string, readonly object[]>>;

function dependencies(cache: Cache, allow: (verb: string) => boolean = () => true): AdmissionDependencies {
  const list = (resource: { resource: string }) => (cache[resource.resource] ?? []) as KubeObject[];
  return {
    objects: {
      cached: (resource: { resource: string }) => ({
        list: () => list(resource),
        get: (_: string, name: string) => list(resource).find(({ metadata }) => metadata.name === name),
      }),
      list: (resource: { resource: string }) => Promise.resolve(list(resource)),
      get: () => Promise.reject(new StatusError(404, 'NotFound', 'not found')),
    },
    clock: nodeClock,
    authorizer: {
      authorize: ({ verb }: { verb: string }) =>
        Promise.resolve({ decision: allow(verb) ? 'allow' : 'noOpinion', reason: '' }),
    },
  } as unknown as AdmissionDependencies;
}

interface Told {
  readonly warnings: string[];
  readonly annotations: Record<string, string>;
}

function request(object: object, told: Told = { warnings: [], annotations: {} }): AdmissionAttributes {
  return {
    operation: 'CREATE',
    kind: { group: '', version: 'v1', kind: 'ConfigMap' },
    resource: { group: '', version: 'v1', resource: 'configmaps' },
    subresource: '',
    name: 'c',
    namespace: '',
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, ...object } as KubeObject,
    oldObject: undefined,
    options: {},
    user: { name: 'u', groups: [] },
    dryRun: false,
    addWarning: (text) => told.warnings.push(text),
    addAuditAnnotation: (key, value) => {
      told.annotations[key] = value;
    },
  };
}

const matchConstraints = {
  resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['*'], resources: ['configmaps'] }],
};
const validating = (spec: object, binding: object = { validationActions: ['Deny'] }): Cache => ({
  validatingadmissionpolicies: [{ metadata: { name: 'p' }, spec: { matchConstraints, ...spec } }],
  validatingadmissionpolicybindings: [{ metadata: { name: 'b' }, spec: { policyName: 'p', ...binding } }],
});
const mutating = (spec: object): Cache => ({
  mutatingadmissionpolicies: [{ metadata: { name: 'p' }, spec: { matchConstraints, ...spec } }],
  mutatingadmissionpolicybindings: [{ metadata: { name: 'b' }, spec: { policyName: 'p' } }],
});

async function message(work: Promise<void> | undefined): Promise<string> {
  try {
    await work;
    return 'allowed';
  } catch (error) {
    return (error as Error).message;
  }
}
const denied =
  "configmaps \"c\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ";

test('a validation that does not hold refuses, in the words of its message expression', async () => {
  const plugin = validatingPolicies(
    dependencies(
      validating({
        variables: [{ name: 'n', expression: 'size(object.data)' }],
        validations: [{ expression: 'variables.n > 1', messageExpression: "'only ' + string(variables.n)" }],
      }),
    ),
  );
  assert.equal(await message(plugin.validate?.(request({ data: { a: '1' } }))), `${denied}only 1`);
  assert.equal(await message(plugin.validate?.(request({ data: { a: '1', b: '2' } }))), 'allowed');
  assert.equal(
    await message(plugin.validate?.(request({}))),
    `${denied}expression 'variables.n > 1' resulted in error: composited variable "n" fails to evaluate: no such key: data`,
  );
});

test('the authorizer is asked and waited for', async () => {
  const cache = validating({
    validations: [
      { expression: "authorizer.requestResource.check('bless').allowed()", message: 'not blessed' },
      { expression: "!authorizer.group('').resource('pods').namespace('x').check('get').errored()" },
    ],
  });
  assert.equal(await message(validatingPolicies(dependencies(cache)).validate?.(request({}))), 'allowed');
  const refusing = validatingPolicies(dependencies(cache, (verb) => verb !== 'bless'));
  assert.equal(await message(refusing.validate?.(request({}))), `${denied}not blessed`);
});

test('bindings may warn and note instead, and policies note for the audit log', async () => {
  const told: Told = { warnings: [], annotations: {} };
  const plugin = validatingPolicies(
    dependencies(
      validating(
        {
          validations: [{ expression: 'false', message: 'no' }],
          auditAnnotations: [{ key: 'who', valueExpression: 'request.userInfo.username' }],
        },
        { validationActions: ['Warn', 'Audit'] },
      ),
    ),
  );
  assert.equal(await message(plugin.validate?.(request({}, told))), 'allowed');
  assert.deepEqual(told.warnings, [
    "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no",
  ]);
  assert.equal(told.annotations['p/who'], 'u');
  assert.match(
    told.annotations['validation.policy.admission.k8s.io/validation_failure'] ?? '',
    /"expressionIndex":0/,
  );
});

test('parameters come from custom resources too', async () => {
  const cache = {
    ...validating(
      {
        paramKind: { apiVersion: 'x.io/v1', kind: 'Limit' },
        validations: [{ expression: 'size(object.data) <= params.spec.max' }],
      },
      { validationActions: ['Deny'], paramRef: { name: 'l', parameterNotFoundAction: 'Deny' } },
    ),
    customresourcedefinitions: [
      {
        metadata: { name: 'limits.x.io' },
        spec: {
          group: 'x.io',
          scope: 'Cluster',
          names: { kind: 'Limit', plural: 'limits' },
          versions: [{ name: 'v1', served: true }],
        },
      },
    ],
  };
  const withLimit = { ...cache, limits: [{ metadata: { name: 'l' }, spec: { max: 1 } }] };
  const data = { data: { a: '1', b: '2' } };
  assert.equal(
    await message(validatingPolicies(dependencies(withLimit)).validate?.(request(data))),
    `${denied}failed expression: size(object.data) <= params.spec.max`,
  );
  assert.equal(
    await message(validatingPolicies(dependencies(cache)).validate?.(request(data))),
    `${denied}failed to configure binding: no params found for policy binding with \`Deny\` parameterNotFoundAction`,
  );
});

test('mutations apply configurations and patches in their order', async () => {
  const plugin = mutatingPolicies(
    dependencies(
      mutating({
        mutations: [
          {
            patchType: 'ApplyConfiguration',
            applyConfiguration: { expression: "Object{metadata: Object.metadata{labels: {'added': 'yes'}}}" },
          },
          {
            patchType: 'JSONPatch',
            jsonPatch: {
              expression:
                "has(object.metadata.labels) ? [JSONPatch{op: 'add', path: '/data', value: {'seen': object.metadata.labels.added}}] : []",
            },
          },
        ],
      }),
    ),
  );
  const attributes = request({});
  await plugin.admit?.(attributes);
  assert.deepEqual(attributes.object?.metadata.labels, { added: 'yes' });
  assert.deepEqual(attributes.object?.['data'], { seen: 'yes' });
  assert.equal(plugin.wantsReadmission?.(attributes), true);
});

test('mutations that cannot be applied refuse the request, unless failures are ignored', async () => {
  const mutations = [
    {
      patchType: 'ApplyConfiguration',
      applyConfiguration: { expression: 'Object{metadata: Object.spec{}}' },
    },
  ];
  assert.equal(
    await message(mutatingPolicies(dependencies(mutating({ mutations }))).admit?.(request({}))),
    'policy \'p\' with binding \'b\' denied request: type mismatch: unexpected type name "Object.spec", expected "Object.metadata", which matches field name path from root Object type',
  );
  const ignoring = mutatingPolicies(dependencies(mutating({ mutations, failurePolicy: 'Ignore' })));
  assert.equal(await message(ignoring.admit?.(request({}))), 'allowed');
});
