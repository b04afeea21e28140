import { validations } from './expressions.ts';

type Json = Readonly<Record<string, unknown>>;

const text = { type: 'string' };
const integer = { type: 'integer' };

/** What the rules are about: bounded and unbounded members of every type. */
const ruleSchema: Json = {
  type: 'object',
  properties: {
    s: text,
    sb: { type: 'string', maxLength: 64 },
    i: integer,
    n: { type: 'number' },
    b: { type: 'boolean' },
    l: { type: 'array', items: text },
    lb: { type: 'array', maxItems: 10, items: { type: 'string', maxLength: 20 } },
    li: { type: 'array', maxItems: 100, items: integer },
    m: { type: 'object', additionalProperties: text },
    mb: { type: 'object', maxProperties: 10, additionalProperties: { type: 'string', maxLength: 30 } },
    o: { type: 'object', properties: { x: integer, y: { type: 'string', maxLength: 5 } } },
    ol: {
      type: 'array',
      maxItems: 50,
      items: {
        type: 'object',
        required: ['k'],
        properties: { k: { type: 'string', maxLength: 10 }, v: integer },
      },
    },
    u: {
      type: 'array',
      items: {
        type: 'object',
        required: ['k'],
        properties: { k: text, v: { type: 'array', items: text } },
      },
    },
    ios: { 'x-kubernetes-int-or-string': true },
    d: { type: 'string', format: 'duration' },
    t: { type: 'string', format: 'date-time' },
    by: { type: 'string', format: 'byte' },
    en: { type: 'string', enum: ['a', 'bcd'] },
    'a-b': text,
    namespace: text,
    p: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
};

/** A definition with one rule. */
export function definition(rule: string): Json {
  const spec = { ...ruleSchema, 'x-kubernetes-validations': [{ rule }] };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.x.example.com' },
    spec: {
      group: 'x.example.com',
      scope: 'Namespaced',
      names: { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
        },
      ],
    },
  };
}

const policy = (kind: string, spec: Json): Json => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind,
  metadata: { name: 'p' },
  spec: {
    matchConstraints: {
      resourceRules: [
        { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
      ],
    },
    ...spec,
  },
});
const validating = (spec: Json): Json => policy('ValidatingAdmissionPolicy', spec);
const holds = { expression: 'true' };

export function validatingPolicies(): Json[] {
  const messages = ['1', "'a' + request.name", ' ', "authorizer.path('/').check('get').reason()", 'object.x'];
  const annotations = [
    ['a', '1'],
    ['a', 'null'],
    ['a b', "'x'"],
    ['', "'x'"],
    ['a', ''],
    ['a', 'object.x'],
  ] as const;
  const conditions = [
    ['a', '1'],
    ['a', ''],
    ['', 'true'],
    ['a', 'params.x'],
    ['a', 'nope'],
    ['a b', 'true'],
    ['a', 'variables.x'],
  ] as const;
  const variables = ["'a'", '1', 'nope', 'object.x', 'variables.a', '[1]'];
  return [
    ...validations.map((expression) => validating({ validations: [{ expression }] })),
    ...messages.map((messageExpression) => validating({ validations: [{ ...holds, messageExpression }] })),
    ...annotations.map(([key, valueExpression]) =>
      validating({ auditAnnotations: [{ key, valueExpression }] }),
    ),
    ...conditions.map(([name, expression]) =>
      validating({ validations: [holds], matchConditions: [{ name, expression }] }),
    ),
    ...variables.map((expression) =>
      validating({
        validations: [{ expression: 'variables.a > 1' }],
        variables: [{ name: 'a', expression }],
      }),
    ),
    validating({
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      validations: [{ expression: "params.data.x == 'a'" }],
      matchConditions: [{ name: 'a', expression: "params.data.x == 'b'" }],
    }),
  ];
}

export function mutatingPolicies(): Json[] {
  const patch = (expression: string): Json => ({ patchType: 'JSONPatch', jsonPatch: { expression } });
  const apply = (expression: string): Json => ({
    patchType: 'ApplyConfiguration',
    applyConfiguration: { expression },
  });
  const patches = [
    "[JSONPatch{op:'add',path:'/a',value:1}]",
    "JSONPatch{op:'add'}",
    '[]',
    '[1]',
    "[JSONPatch{nope:'add'}]",
    '[JSONPatch{op:1}]',
    'nope',
    '',
    "has(object.metadata.labels) ? [JSONPatch{op:'add',path:'/a',value:1}] : []",
    "object.x.map(y, JSONPatch{op:'add',path:'/a',value:y})",
    "[JSONPatch{op:'add',path:'/a',value:Object.x{a:1}}] + []",
    "[JSONPatch{op:'add',path:'/' + jsonpatch.escapeKey('a/b'),value:{'a':'b'}}]",
  ].map(patch);
  const configurations = [
    'Object{a: 1}',
    'Object.spec{}',
    "{'a':1}",
    'object',
    'Object{spec: Object.spec{x: [1,2]}}',
    'Nope{}',
    '',
  ].map(apply);
  const odd: Json[] = [
    { patchType: 'JSONPatch' },
    { patchType: 'X' },
    {},
    { ...patch('[]'), ...apply('Object{}') },
  ];
  return [[], ...[...patches, ...configurations, ...odd].map((mutation) => [mutation])].map((mutations) =>
    policy('MutatingAdmissionPolicy', { reinvocationPolicy: 'Never', mutations }),
  );
}
