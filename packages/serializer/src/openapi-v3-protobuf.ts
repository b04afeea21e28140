import { runSteps, type Steps } from '@pilothouse/base';
import { isJsonObject, type JsonObject } from './json-shape.ts';
import type { Bytes } from './openapi-fields.ts';
import {
  any,
  block,
  double,
  each,
  extensions,
  flag,
  integer,
  message,
  named,
  namedSteps,
  none,
  text,
  texts,
} from './openapi-fields.ts';

/** What is sent for an OpenAPI v3 document in protobuf (message `openapi.v3.Document` of gnostic). */
export const openApiV3ProtobufMediaType = 'application/com.github.proto-openapi.spec.v3.v1.0+protobuf';

/** A member that may be a reference: the thing itself is field 1, `{$ref}` field 2. */
const orReference =
  (body: (value: JsonObject) => Bytes) =>
  (value: JsonObject): Bytes =>
    typeof value['$ref'] === 'string' ? block(2, text(1, value['$ref'])) : block(1, body(value));

const schemaOrReference = (value: JsonObject): Bytes => orReference(schema)(value);

function schema(value: JsonObject): Bytes {
  return Buffer.concat([
    flag(1, value['nullable']),
    flag(3, value['readOnly']),
    'example' in value ? block(7, any(value['example'])) : none,
    text(9, value['title']),
    double(10, value['multipleOf']),
    double(11, value['maximum']),
    flag(12, value['exclusiveMaximum']),
    double(13, value['minimum']),
    flag(14, value['exclusiveMinimum']),
    integer(15, value['maxLength']),
    integer(16, value['minLength']),
    text(17, value['pattern']),
    integer(18, value['maxItems']),
    integer(19, value['minItems']),
    flag(20, value['uniqueItems']),
    integer(21, value['maxProperties']),
    integer(22, value['minProperties']),
    texts(23, value['required']),
    ...(Array.isArray(value['enum']) ? (value['enum'] as unknown[]).map((item) => block(24, any(item))) : []),
    text(25, value['type']),
    each(value['allOf'], (item) => block(26, schemaOrReference(item))),
    each(value['oneOf'], (item) => block(27, schemaOrReference(item))),
    each(value['anyOf'], (item) => block(28, schemaOrReference(item))),
    message(29, value['not'], schema),
    message(30, value['items'], (items) => block(1, schemaOrReference(items))),
    message(31, value['properties'], (properties) => named(1, properties, schemaOrReference)),
    additionalProperties(value['additionalProperties']),
    defaultValue(value['default']),
    text(34, value['description']),
    text(35, value['format']),
    extensions(36, value),
  ]);
}

function additionalProperties(value: unknown): Bytes {
  if (typeof value === 'boolean') return block(32, Buffer.from([0x10, value ? 1 : 0]));
  return message(32, value, (item) => block(1, schemaOrReference(item)));
}

/** The format knows numbers, booleans and texts only; other defaults leave an empty message. */
function defaultValue(value: unknown): Bytes {
  switch (typeof value) {
    case 'undefined':
      return none;
    case 'number': {
      const bytes = Buffer.alloc(9);
      bytes[0] = 0x09;
      bytes.writeDoubleLE(value, 1);
      return block(33, bytes);
    }
    case 'boolean':
      return block(33, Buffer.from([0x10, value ? 1 : 0]));
    case 'string':
      return block(33, block(3, Buffer.from(value)));
    default:
      return block(33, none);
  }
}

function mediaType(value: JsonObject): Bytes {
  return Buffer.concat([message(1, value['schema'], schemaOrReference), extensions(5, value)]);
}

/** Media types by name. */
const content = (field: number, value: unknown): Bytes =>
  message(field, value, (types) => named(1, types, mediaType));

function parameter(value: JsonObject): Bytes {
  return Buffer.concat([
    text(1, value['name']),
    text(2, value['in']),
    text(3, value['description']),
    flag(4, value['required']),
    flag(5, value['deprecated']),
    flag(6, value['allowEmptyValue']),
    text(7, value['style']),
    flag(8, value['explode']),
    flag(9, value['allowReserved']),
    message(10, value['schema'], schemaOrReference),
    content(13, value['content']),
    extensions(14, value),
  ]);
}

function requestBody(value: JsonObject): Bytes {
  return Buffer.concat([
    text(1, value['description']),
    content(2, value['content']),
    flag(3, value['required']),
    extensions(4, value),
  ]);
}

function response(value: JsonObject): Bytes {
  return Buffer.concat([text(1, value['description']), content(3, value['content']), extensions(5, value)]);
}

function responses(value: JsonObject): Bytes {
  const { default: fallback, ...byCode } = value;
  return Buffer.concat([
    message(1, fallback, orReference(response)),
    named(2, byCode, orReference(response)),
  ]);
}

const requirement = (value: JsonObject): Bytes =>
  Buffer.concat(
    Object.entries(value).map(([name, scopes]) =>
      block(1, Buffer.concat([text(1, name), block(2, texts(1, scopes))])),
    ),
  );

function operation(value: JsonObject): Bytes {
  return Buffer.concat([
    texts(1, value['tags']),
    text(2, value['summary']),
    text(3, value['description']),
    text(5, value['operationId']),
    each(value['parameters'], (item) => block(6, orReference(parameter)(item))),
    message(7, value['requestBody'], orReference(requestBody)),
    message(8, value['responses'], responses),
    flag(10, value['deprecated']),
    each(value['security'], (item) => block(11, requirement(item))),
    extensions(13, value),
  ]);
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;
const firstMethodField = 4;

function pathItem(value: JsonObject): Bytes {
  return Buffer.concat([
    text(2, value['summary']),
    text(3, value['description']),
    ...methods.map((method, index) => message(firstMethodField + index, value[method], operation)),
    each(value['parameters'], (item) => block(13, orReference(parameter)(item))),
    extensions(14, value),
  ]);
}

function securityScheme(value: JsonObject): Bytes {
  return Buffer.concat([
    text(1, value['type']),
    text(2, value['description']),
    text(3, value['name']),
    text(4, value['in']),
    text(5, value['scheme']),
    text(6, value['bearerFormat']),
    text(8, value['openIdConnectUrl']),
  ]);
}

function* componentsSteps(value: JsonObject): Steps<Bytes> {
  return Buffer.concat([
    yield* namedSteps(1, value['schemas'], 1, schemaOrReference),
    message(7, value['securitySchemes'], (schemes) => named(1, schemes, orReference(securityScheme))),
  ]);
}

const info = (value: JsonObject): Bytes =>
  Buffer.concat([
    text(1, value['title']),
    text(2, value['description']),
    text(6, value['version']),
    extensions(7, value),
  ]);

/** The parts of the format that Kubernetes publishes; others are left out. */
export function encodeOpenApiV3Protobuf(document: Readonly<Record<string, unknown>>): Buffer {
  return runSteps(openApiV3ProtobufSteps(document));
}

/** {@link encodeOpenApiV3Protobuf} in steps of a path or a schema. */
export function* openApiV3ProtobufSteps(document: Readonly<Record<string, unknown>>): Steps<Buffer> {
  const { paths, components } = document;
  return Buffer.concat([
    text(1, document['openapi']),
    message(2, document['info'], info),
    yield* namedSteps(4, isJsonObject(paths) ? paths : {}, 1, pathItem),
    isJsonObject(components) ? block(5, yield* componentsSteps(components)) : none,
    each(document['security'], (item) => block(6, requirement(item))),
  ]);
}
