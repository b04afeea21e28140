import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FieldPath } from '@pilothouse/apimachinery';
import { validateRootWithStatus } from './root-schema.ts';

const told = (schema: object): string[] =>
  validateRootWithStatus(schema, new FieldPath('schema')).map((each) => `${each.field}: ${each.message}`);

it('the root of a schema with a status has only what is not lost when the status is taken out', () => {
  assert.deepEqual(
    told({ type: 'object', properties: { spec: { type: 'object' } }, required: ['spec'] }),
    [],
  );
  assert.match(
    told({ type: 'array' })[0] ?? '',
    /^schema\.type: Invalid value: "array": only "object" is allowed/,
  );
  const [refused = ''] = told({
    type: 'object',
    maxProperties: 2,
    properties: { a: { type: 'array', items: { type: 'string' }, additionalProperties: false } },
  });
  assert.match(refused, /^schema: Invalid value: \{"ID":"","Schema":"","Ref":null,/);
  assert.match(refused, /"MaxProperties":2,/);
  assert.match(refused, /"Items":\{"Schema":\{.*\},"JSONSchemas":null\}/);
  assert.match(refused, /"AdditionalProperties":\{"Allows":false,"Schema":null\}/);
  assert.match(refused, /: only \[Description Type .* XValidations\] fields are allowed at the root/);
});
