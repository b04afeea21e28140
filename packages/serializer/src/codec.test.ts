import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { builtinSchemas } from '@pilothouse/api';
import type { MessageSchema } from '@pilothouse/apimachinery';
import fc from 'fast-check';

import {
  builtinProtobuf,
  decodeBody,
  DecodeError,
  decodeJson,
  decodeYaml,
  encodeJson,
  encodeUnstructuredJson,
  encodeYaml,
  formatDuration,
  goSyntaxMessage,
  hasDuplicateKeys,
  indentJson,
  jsonListFrame,
  jsonListItem,
  jsonTypeMetaPrefix,
  negotiateInput,
  negotiateOutput,
  normalize,
  parseDuration,
  protobufListFrame,
  protobufWatchEvent,
  decodeEnvelope,
} from './index.ts';

const schemaOf = (group: string, version: string, kind: string): MessageSchema => {
  const schema = builtinSchemas.kind(group, version, kind);
  assert.ok(schema);
  return schema;
};
const pod = schemaOf('', 'v1', 'Pod');
const configMap = schemaOf('', 'v1', 'ConfigMap');
const sample = normalize(
  {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', labels: { b: '1', a: '2' } },
    spec: { containers: [{ name: 'c', resources: { limits: { cpu: '0.5' } } }] },
  },
  pod,
);

describe('protobuf', () => {
  it('skips unknown fields of every wire type', () => {
    const raw = builtinProtobuf.encodeMessage(sample, pod);
    const unknown = Buffer.from('f83f01f93f0102030405060708fa3f03616263fd3f01020304', 'hex');
    assert.deepEqual(
      builtinProtobuf.decodeMessage(Buffer.concat([unknown, raw, unknown]), pod),
      builtinProtobuf.decodeMessage(raw, pod),
    );
  });

  it('refuses cut and broken bytes with a DecodeError, never with anything else', () => {
    const bytes = builtinProtobuf.encode(sample, pod);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(bytes.length - 1), fc.nat(255), (length, at, value) => {
        const broken = Buffer.from(bytes.subarray(0, length + 1));
        if (at < broken.length) broken[at] = value;
        try {
          builtinProtobuf.decode(broken);
        } catch (error) {
          assert.ok(error instanceof DecodeError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('writes numbers of every size so that they come back', () => {
    const schema = schemaOf('apps', 'v1', 'ControllerRevision');
    fc.assert(
      fc.property(fc.maxSafeInteger(), (revision) => {
        const bytes = builtinProtobuf.encodeMessage({ metadata: {}, revision }, schema);
        assert.equal(builtinProtobuf.decodeMessage(bytes, schema)['revision'], revision);
      }),
    );
  });

  it('keeps strings and map keys of any kind, also beyond the first buffer', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ maxLength: 3000 })), (data) => {
        const object = { metadata: { name: 'x' }, data };
        const back = builtinProtobuf.decodeMessage(
          builtinProtobuf.encodeMessage(object, configMap),
          configMap,
        );
        assert.deepEqual({ ...(back['data'] as object | undefined) }, { ...data });
      }),
      { numRuns: 50 },
    );
  });

  it('refuses an endless recursion', () => {
    const schema = schemaOf('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition');
    const props = builtinSchemas.message(
      'k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps',
    ) as MessageSchema;
    let body: Buffer = Buffer.alloc(0);
    for (let depth = 0; depth < 200; depth++) body = builtinProtobufField(28, body);
    assert.throws(() => builtinProtobuf.decodeMessage(body, props), /max recursion depth/);
    assert.ok(builtinProtobuf.decodeMessage(Buffer.alloc(0), schema));
  });
});

function builtinProtobufField(number: number, body: Buffer): Buffer {
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
  return Buffer.concat([Buffer.from(varint(number * 8 + 2)), Buffer.from(varint(body.length)), body]);
}

describe('JSON', () => {
  it('normalises times, quantities and zero values', () => {
    const { object } = decodeJson(
      JSON.stringify({
        metadata: { creationTimestamp: '2024-01-01T02:00:00.5+02:00', labels: {}, name: null },
        spec: {
          containers: [{ name: 'c', resources: { requests: { memory: '1024Mi' } }, ports: [] }],
          hostIPC: false,
        },
      }),
      pod,
    );
    assert.equal(object.metadata.creationTimestamp, '2024-01-01T00:00:00Z');
    assert.deepEqual(object['spec'], {
      containers: [{ name: 'c', resources: { requests: { memory: '1Gi' } } }],
    });
    assert.deepEqual(object['status'], {});
  });

  it('writes what Go writes for absent fields and special characters', () => {
    assert.equal(
      encodeJson(
        { kind: 'Role', apiVersion: 'rbac.authorization.k8s.io/v1', metadata: {} },
        schemaOf('rbac.authorization.k8s.io', 'v1', 'Role'),
      ),
      '{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{},"rules":null}',
    );
    assert.equal(
      encodeJson({ metadata: {}, data: { b: '<\u2028&"\n>', a: '\ud800' } }, configMap),
      '{"metadata":{},"data":{"a":"\ufffd","b":"\\u003c\\u2028\\u0026\\"\\n\\u003e"}}',
    );
  });

  it('keeps a member called __proto__ as data', () => {
    const { object } = decodeJson('{"data":{"__proto__":"x"}}', configMap);
    assert.equal(encodeJson(object, configMap), '{"metadata":{},"data":{"__proto__":"x"}}');
    assert.equal(({} as Record<string, unknown>)['x'], undefined);
  });

  it('finds duplicates exactly when there are some', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        assert.equal(hasDuplicateKeys(text), false);
        assert.equal(hasDuplicateKeys(`{"k":${text}, "k" : 1}`), true);
      }),
    );
    assert.equal(hasDuplicateKeys('{"a\\"":1,"a":{"a":[{"a":":"}]}}'), false);
    assert.equal(hasDuplicateKeys('{"a":1,"\\u0061":2}'), true);
  });

  it('reports unknown and duplicate fields in document order, each once', () => {
    const text =
      '{"foo":1,"metadata":{"name":"a","name":"b","name":"c","x":{"y":1,"y":2}},"data":{"a":"1","a":"2"},"foo":2}';
    const { object, strictErrors } = decodeJson(text, configMap, { strict: true });
    assert.deepEqual(strictErrors, [
      'unknown field "foo"',
      'duplicate field "metadata.name"',
      'unknown field "metadata.x"',
      'duplicate field "data.a"',
    ]);
    assert.equal(object.metadata.name, 'c');
  });

  it('says what is wrong with a text as Go does', () => {
    const cases: [string, string][] = [
      ['', 'unexpected end of JSON input'],
      ['{"a"', 'unexpected end of JSON input'],
      ['{"a" 1}', "invalid character '1' after object key"],
      ['{"a":1 "b"}', `invalid character '"' after object key:value pair`],
      ['[1 2]', "invalid character '2' after array element"],
      ['tru', 'unexpected end of JSON input'],
      ['trux', "invalid character 'x' in literal true (expecting 'e')"],
      ['"\n"', "invalid character '\\n' in string literal"],
      ['"\\x"', "invalid character 'x' in string escape code"],
      ['01', "invalid character '1' after top-level value"],
      ['-x', "invalid character 'x' in numeric literal"],
      ["{'a':1}", "invalid character '\\'' looking for beginning of object key string"],
    ];
    for (const [text, message] of cases) assert.equal(goSyntaxMessage(text), message, text);
  });

  it('indents as Go does', () => {
    assert.equal(
      indentJson('{"a":[],"b":{"c":[1,"x,{"]},"d":{}}'),
      '{\n  "a": [],\n  "b": {\n    "c": [\n      1,\n      "x,{"\n    ]\n  },\n  "d": {}\n}',
    );
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value: unknown = JSON.parse(text);
        assert.equal(indentJson(JSON.stringify(value)), JSON.stringify(value, null, 2));
      }),
    );
  });

  it('sorts the keys of custom resources', () => {
    assert.equal(
      encodeUnstructuredJson({ b: [{ z: 1, a: '<' }], a: null }),
      '{"a":null,"b":[{"a":"\\u003c","z":1}]}',
    );
  });
});

describe('YAML', () => {
  it('reads back what it writes', () => {
    const leaf = fc.oneof(
      fc.string(),
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom(
        'yes',
        '012',
        '1e3',
        '~',
        'null',
        '- a',
        'a: b',
        '#',
        '2024-01-01',
        'a\n',
        'a\nb',
        '\n a\n\n',
        ' x',
        '.',
        '=',
        '<<',
        '1:30',
        "it's",
        '"q"',
        '\t',
        'x\r\ny',
        '0x1F',
        'E0',
        '.e1',
        '1.e1',
        '1_000',
        '.5',
        '+1',
        '-',
        '?',
        ':',
      ),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(fc.string({ minLength: 1 }), tie('tree'), { maxKeys: 3, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as unknown;
        assert.deepEqual(decodeYaml(encodeYaml(plain)).value, plain, encodeYaml(plain));
      }),
      { numRuns: 1000 },
    );
  });

  it('writes as go-yaml does', () => {
    assert.equal(
      encodeYaml({
        b: [{ x: 1, a: ['p', []] }, 'yes', ''],
        a: { k: {}, 'n/10': 'it is', 'n/9': 'a: b' },
        t: 'x\ny',
        s: "it's",
      }),
      [
        'a:',
        '  k: {}',
        "  n/9: 'a: b'",
        '  n/10: it is',
        'b:',
        '- a:',
        '  - p',
        '  - []',
        '  x: 1',
        '- "yes"',
        '- ""',
        "s: it's",
        't: |-',
        '  x',
        '  y',
        '',
      ].join('\n'),
    );
  });

  it('reads YAML 1.1 scalars as go-yaml does', () => {
    assert.deepEqual(decodeYaml('a: yes\nb: 012\nc: 2024-01-01\nd: 1:30\n.: ~\n5: 0x10\n').value, {
      a: true,
      b: 10,
      c: '2024-01-01',
      d: '1:30',
      '.': null,
      '5': 16,
    });
  });
});

describe('durations', () => {
  it('are written and read as in Go', () => {
    const cases: [string, string][] = [
      ['90s', '1m30s'],
      ['1h', '1h0m0s'],
      ['1.5h', '1h30m0s'],
      ['250ms', '250ms'],
      ['1500us', '1.5ms'],
      ['-2s', '-2s'],
      ['0', '0s'],
      ['3ns', '3ns'],
    ];
    for (const [text, canonical] of cases) assert.equal(formatDuration(parseDuration(text)), canonical);
    assert.throws(() => parseDuration('5'), /time: missing unit in duration "5"/);
    assert.throws(() => parseDuration('x'), /time: invalid duration "x"/);
    assert.throws(() => parseDuration('1y'), /time: unknown unit "y" in duration "1y"/);
  });
});

describe('negotiation', () => {
  it('chooses by quality and offers Table', () => {
    assert.equal(negotiateOutput('application/json;q=0.1,application/yaml').mediaType, 'application/yaml');
    const table = negotiateOutput(
      'application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json',
    );
    assert.deepEqual(table.convert, { group: 'meta.k8s.io', version: 'v1', kind: 'Table' });
    const fallback = negotiateOutput(
      'application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json',
    );
    assert.deepEqual([fallback.mediaType, fallback.convert], ['application/json', undefined]);
    assert.equal(negotiateInput('Application/YAML; charset=utf-8'), 'application/yaml');
    assert.throws(() => negotiateInput('application/cbor'), /unknown format - accepted media types include/);
  });
});

describe('lists and watch events', () => {
  const second = normalize({ ...sample, metadata: { name: 'q' } }, pod);
  const head = {
    group: '',
    version: 'v1',
    kind: 'PodList',
    metadata: { resourceVersion: '7', remainingItemCount: 3 },
  };
  const whole = {
    kind: 'PodList',
    apiVersion: 'v1',
    metadata: head.metadata,
    items: [sample, second].map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item),
  };
  const list = schemaOf('', 'v1', 'PodList');

  it('joined JSON equals the List encoded as a whole', () => {
    const prefix = jsonTypeMetaPrefix('', 'v1', 'Pod');
    const frame = jsonListFrame(head);
    const items = [sample, second].map((item) =>
      Buffer.concat(jsonListItem(Buffer.from(encodeJson(item, pod)), prefix)),
    );
    assert.equal(frame.before + items.join(frame.separator) + frame.after, `${encodeJson(whole, list)}\n`);
  });

  it('joined protobuf equals the List encoded as a whole', () => {
    const raws = [sample, second].map((item) =>
      Buffer.from(decodeEnvelope(builtinProtobuf.encode(item, pod)).raw),
    );
    const frame = protobufListFrame(
      head,
      raws.map((raw) => raw.length),
    );
    const bytes = Buffer.concat([
      frame.before,
      ...raws.flatMap((raw) => [frame.itemPrefix(raw.length), raw]),
      frame.after,
    ]);
    assert.equal(bytes.length, frame.length);
    assert.deepEqual(bytes, builtinProtobuf.encode(whole, list));
  });

  it('a protobuf watch event holds the whole document', () => {
    const frame = protobufWatchEvent('ADDED', builtinProtobuf.encode(sample, pod));
    assert.equal(frame.readUInt32BE(), frame.length - 4);
    const event = builtinProtobuf.decodeMessage(
      frame.subarray(4),
      builtinSchemas.message('k8s.io.apimachinery.pkg.apis.meta.v1.WatchEvent') as MessageSchema,
    );
    assert.deepEqual(event, { type: 'ADDED', object: sample });
  });
});

describe('decodeBody', () => {
  it('fills up apiVersion and kind from the endpoint', () => {
    const { object } = decodeBody(Buffer.from('{"metadata":{"name":"a"}}'), {
      contentType: undefined,
      expected: { group: '', version: 'v1', kind: 'ConfigMap' },
    });
    assert.deepEqual(object, { metadata: { name: 'a' }, apiVersion: 'v1', kind: 'ConfigMap' });
  });
});
