import { runSteps, type Steps } from '@pilothouse/base';
import type { JsonObject } from './json-shape.ts';
import type { Bytes } from './openapi-fields.ts';
import {
  none,
  block,
  text,
  texts,
  flag,
  double,
  integer,
  message,
  named,
  namedSteps,
  any,
  extensions,
  each,
} from './openapi-fields.ts';

/**
 * The Swagger 2.0 document in protobuf (message `openapi.v2.Document` of gnostic), which older clients ask for. Only the parts of
 * the format that Kubernetes publishes are written; others are left out.
 */
export const openApiV2ProtobufMediaType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
/** What clients send in Accept. */
export const openApiV2ProtobufAccept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';

function schema(value: JsonObject): Bytes {
  return Buffer.concat([
    text(1, value['$ref']),
    text(2, value['format']),
    text(3, value['title']),
    text(4, value['description']),
    'default' in value ? block(5, any(value['default'])) : none,
    double(6, value['multipleOf']),
    double(7, value['maximum']),
    flag(8, value['exclusiveMaximum']),
    double(9, value['minimum']),
    flag(10, value['exclusiveMinimum']),
    integer(11, value['maxLength']),
    integer(12, value['minLength']),
    text(13, value['pattern']),
    integer(14, value['maxItems']),
    integer(15, value['minItems']),
    flag(16, value['uniqueItems']),
    integer(17, value['maxProperties']),
    integer(18, value['minProperties']),
    texts(19, value['required']),
    Array.isArray(value['enum'])
      ? Buffer.concat((value['enum'] as unknown[]).map((item) => block(20, any(item))))
      : none,
    additionalProperties(value['additionalProperties']),
    typeof value['type'] === 'string' ? block(22, text(1, value['type'])) : none,
    message(23, value['items'], (items) => block(1, schema(items))),
    each(value['allOf'], (item) => block(24, schema(item))),
    message(25, value['properties'], (properties) => named(1, properties, schema)),
    'example' in value ? block(30, any(value['example'])) : none,
    extensions(31, value),
  ]);
}

function additionalProperties(value: unknown): Bytes {
  if (typeof value === 'boolean') return block(21, Buffer.from([0x10, value ? 1 : 0]));
  return message(21, value, (item) => block(1, schema(item)));
}

/** Position of `uniqueItems` and whether `allowEmptyValue` sits in the middle, by parameter place. */
function nonBodyParameter(value: JsonObject): Bytes {
  const isQuery = value['in'] === 'query';
  const shift = isQuery ? 1 : 0;
  const body = Buffer.concat([
    flag(1, value['required']),
    text(2, value['in']),
    text(3, value['description']),
    text(4, value['name']),
    text(5 + shift, value['type']),
    text(6 + shift, value['format']),
    flag(19 + shift, value['uniqueItems']),
    extensions(22 + shift, value),
  ]);
  return block(isQuery ? 3 : 4, body);
}

function parameter(value: JsonObject): Bytes {
  if (value['in'] !== 'body') return block(2, nonBodyParameter(value));
  return block(
    1,
    Buffer.concat([
      text(1, value['description']),
      text(2, value['name']),
      text(3, value['in']),
      flag(4, value['required']),
      message(5, value['schema'], schema),
    ]),
  );
}

const parameterItem = (value: JsonObject): Bytes =>
  typeof value['$ref'] === 'string' ? block(2, text(1, value['$ref'])) : block(1, parameter(value));

const response = (value: JsonObject): Bytes =>
  block(
    1,
    Buffer.concat([
      text(1, value['description']),
      message(2, value['schema'], (item) => block(1, schema(item))),
    ]),
  );

const operation = (value: JsonObject): Bytes =>
  Buffer.concat([
    texts(1, value['tags']),
    text(2, value['summary']),
    text(3, value['description']),
    text(5, value['operationId']),
    texts(6, value['produces']),
    texts(7, value['consumes']),
    each(value['parameters'], (item) => block(8, parameterItem(item))),
    message(9, value['responses'], (responses) => named(1, responses, response)),
    texts(10, value['schemes']),
    flag(11, value['deprecated']),
    extensions(13, value),
  ]);

const pathItem = (value: JsonObject): Bytes =>
  Buffer.concat([
    message(2, value['get'], operation),
    message(3, value['put'], operation),
    message(4, value['post'], operation),
    message(5, value['delete'], operation),
    message(6, value['options'], operation),
    message(7, value['head'], operation),
    message(8, value['patch'], operation),
    each(value['parameters'], (item) => block(9, parameterItem(item))),
    extensions(10, value),
  ]);

const apiKey = (value: JsonObject): Bytes =>
  block(
    2,
    Buffer.concat([
      text(1, value['type']),
      text(2, value['name']),
      text(3, value['in']),
      text(4, value['description']),
    ]),
  );

/** Encodes a Swagger 2.0 document that is given as plain JSON. */
export function encodeOpenApiV2Protobuf(document: Readonly<Record<string, unknown>>): Buffer {
  return runSteps(openApiV2ProtobufSteps(document));
}

/** {@link encodeOpenApiV2Protobuf} in steps of a path or a definition. */
export function* openApiV2ProtobufSteps(document: Readonly<Record<string, unknown>>): Steps<Buffer> {
  return Buffer.concat([
    text(1, document['swagger']),
    message(2, document['info'], (info) => Buffer.concat([text(1, info['title']), text(2, info['version'])])),
    yield* namedSteps(8, document['paths'], 2, pathItem),
    yield* namedSteps(9, document['definitions'], 1, schema),
    message(10, document['parameters'], (parameters) => named(1, parameters, parameter)),
    each(document['security'], (item) =>
      block(
        12,
        named(1, item, (scopes) => texts(1, scopes)),
      ),
    ),
    message(13, document['securityDefinitions'], (definitions) => named(1, definitions, apiKey)),
  ]);
}
