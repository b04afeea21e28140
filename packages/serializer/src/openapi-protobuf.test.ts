import assert from 'node:assert/strict';
import { it } from 'node:test';

import { buildOpenApiV2 } from '@pilothouse/api/openapi';
import protobuf from 'protobufjs';

import { encodeOpenApiV2Protobuf } from './index.ts';

/** The part of gnostic's openapi.v2 messages that the sample uses. */
const gnostic = `
syntax = "proto3";
message Document { string swagger = 1; Info info = 2; Paths paths = 8; Definitions definitions = 9; }
message Info { string title = 1; string version = 2; }
message Paths { repeated NamedPathItem path = 2; }
message NamedPathItem { string name = 1; PathItem value = 2; }
message PathItem { Operation get = 2; }
message Operation { string operation_id = 5; repeated ParametersItem parameters = 8; }
message ParametersItem { Parameter parameter = 1; }
message Parameter { NonBody non_body = 2; }
message NonBody { Query query = 3; Path path = 4; }
message Query { string in = 2; string name = 4; string type = 6; bool unique_items = 20; }
message Path { bool required = 1; string in = 2; string name = 4; string type = 5; bool unique_items = 19; }
message Definitions { repeated NamedSchema additional_properties = 1; }
message NamedSchema { string name = 1; Schema value = 2; }
message Schema { string ref = 1; repeated string required = 19; TypeItem type = 22; Properties properties = 25; repeated NamedAny extension = 31; }
message TypeItem { repeated string value = 1; }
message Properties { repeated NamedSchema additional_properties = 1; }
message NamedAny { string name = 1; Any value = 2; }
message Any { string yaml = 2; }
`;

it('encodeOpenApiV2Protobuf writes what an independent reader of the format reads', () => {
  const bytes = encodeOpenApiV2Protobuf({
    swagger: '2.0',
    info: { title: 'T', version: '1' },
    paths: {
      '/a/{n}': {
        get: {
          operationId: 'x',
          parameters: [
            { name: 'q', in: 'query', type: 'string', uniqueItems: true },
            { name: 'n', in: 'path', type: 'string', uniqueItems: true, required: true },
          ],
        },
      },
    },
    definitions: {
      D: { type: 'object', required: ['a'], properties: { a: { $ref: '#/definitions/D' } }, 'x-k': ['v'] },
    },
  });
  const document = protobuf.parse(gnostic, { keepCase: true }).root.lookupType('Document');
  assert.deepEqual(document.toObject(document.decode(bytes)), {
    swagger: '2.0',
    info: { title: 'T', version: '1' },
    paths: {
      path: [
        {
          name: '/a/{n}',
          value: {
            get: {
              operation_id: 'x',
              parameters: [
                {
                  parameter: {
                    non_body: { query: { in: 'query', name: 'q', type: 'string', unique_items: true } },
                  },
                },
                {
                  parameter: {
                    non_body: {
                      path: { required: true, in: 'path', name: 'n', type: 'string', unique_items: true },
                    },
                  },
                },
              ],
            },
          },
        },
      ],
    },
    definitions: {
      additional_properties: [
        {
          name: 'D',
          value: {
            required: ['a'],
            type: { value: ['object'] },
            properties: { additional_properties: [{ name: 'a', value: { ref: '#/definitions/D' } }] },
            extension: [{ name: 'x-k', value: { yaml: '- v\n' } }],
          },
        },
      ],
    },
  });
});

it('encodeOpenApiV2Protobuf takes the whole document', () => {
  assert.ok(encodeOpenApiV2Protobuf(buildOpenApiV2()).length > 1_000_000);
});
