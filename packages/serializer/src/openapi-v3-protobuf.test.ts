import assert from 'node:assert/strict';
import { it } from 'node:test';

import protobuf from 'protobufjs';

import { encodeOpenApiV3Protobuf } from './index.ts';

/** The part of gnostic's openapi.v3 messages that the sample uses. */
const gnostic = `
syntax = "proto3";
message Document { string openapi = 1; Info info = 2; Paths paths = 4; Components components = 5; }
message Info { string title = 1; string version = 6; }
message Paths { repeated NamedPathItem path = 1; }
message NamedPathItem { string name = 1; PathItem value = 2; }
message PathItem { Operation get = 4; repeated ParameterOrReference parameters = 13; }
message Operation { string operation_id = 5; Responses responses = 8; repeated NamedAny specification_extension = 13; }
message ParameterOrReference { Parameter parameter = 1; }
message Parameter { string name = 1; string in = 2; SchemaOrReference schema = 10; }
message Responses { repeated NamedResponse response = 2; }
message NamedResponse { string name = 1; ResponseOrReference value = 2; }
message ResponseOrReference { Response response = 1; }
message Response { string description = 1; MediaTypes content = 3; }
message MediaTypes { repeated NamedMediaType additional_properties = 1; }
message NamedMediaType { string name = 1; MediaType value = 2; }
message MediaType { SchemaOrReference schema = 1; }
message Components { Schemas schemas = 1; }
message Schemas { repeated NamedSchema additional_properties = 1; }
message NamedSchema { string name = 1; SchemaOrReference value = 2; }
message SchemaOrReference { oneof it { Schema schema = 1; Reference reference = 2; } }
message Reference { string ref = 1; }
message Schema { repeated string required = 23; string type = 25; Items items = 30; Schemas properties = 31; DefaultType default = 33; }
message Items { repeated SchemaOrReference schema_or_reference = 1; }
message DefaultType { oneof it { double number = 1; bool boolean = 2; string string = 3; } }
message NamedAny { string name = 1; Any value = 2; }
message Any { string yaml = 2; }
`;

it('encodeOpenApiV3Protobuf writes what an independent reader of the format reads', () => {
  const reference = { $ref: '#/components/schemas/D' };
  const bytes = encodeOpenApiV3Protobuf({
    openapi: '3.0.0',
    info: { title: 'T', version: '1' },
    paths: {
      '/a': {
        get: {
          operationId: 'x',
          responses: { '200': { description: 'OK', content: { 'application/json': { schema: reference } } } },
          'x-kubernetes-action': 'list',
        },
        parameters: [{ name: 'pretty', in: 'query', schema: { type: 'string' } }],
      },
    },
    components: {
      schemas: {
        D: {
          type: 'object',
          required: ['a'],
          properties: { a: { type: 'array', items: reference }, b: { type: 'integer', default: 3 } },
        },
      },
    },
  });
  const document = protobuf.parse(gnostic, { keepCase: true }).root.lookupType('Document');
  const ref = { reference: { ref: '#/components/schemas/D' } };
  assert.deepEqual(document.toObject(document.decode(bytes)), {
    openapi: '3.0.0',
    info: { title: 'T', version: '1' },
    paths: {
      path: [
        {
          name: '/a',
          value: {
            get: {
              operation_id: 'x',
              responses: {
                response: [
                  {
                    name: '200',
                    value: {
                      response: {
                        description: 'OK',
                        content: {
                          additional_properties: [{ name: 'application/json', value: { schema: ref } }],
                        },
                      },
                    },
                  },
                ],
              },
              specification_extension: [{ name: 'x-kubernetes-action', value: { yaml: 'list\n' } }],
            },
            parameters: [
              { parameter: { name: 'pretty', in: 'query', schema: { schema: { type: 'string' } } } },
            ],
          },
        },
      ],
    },
    components: {
      schemas: {
        additional_properties: [
          {
            name: 'D',
            value: {
              schema: {
                type: 'object',
                required: ['a'],
                properties: {
                  additional_properties: [
                    {
                      name: 'a',
                      value: { schema: { type: 'array', items: { schema_or_reference: [ref] } } },
                    },
                    { name: 'b', value: { schema: { type: 'integer', default: { number: 3 } } } },
                  ],
                },
              },
            },
          },
        ],
      },
    },
  });
});
