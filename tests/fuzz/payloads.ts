import { jsonText } from '@pilothouse/apimachinery';
import type { BuiltinResource } from '@pilothouse/api';
import { builtinSchemas } from '@pilothouse/api';
import { builtinProtobuf } from '@pilothouse/serializer';
import type { SeededRandom } from '@pilothouse/testkit';
import { Mutator, wordsOf } from '../differential/mutate.ts';
import { collectionPath, type Sample } from '../differential/objects.ts';

/** One request; `raw` goes to the socket as it is, in place of an HTTP request. */
export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly raw?: Buffer;
}

/** Levels of nesting of the deepest bodies: far beyond every limit, far below what the network allows. */
const nestingLevels = 50_000;

const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
  '\u0000',
  'é',
  '$patch',
  '.',
  '..',
  'a/b',
  '$ref',
];
const numbers = [
  '1e400',
  '-1e400',
  '99999999999999999999',
  '9223372036854775808',
  '-9223372036854775809',
  '1.5',
  '-0',
  '1E-400',
  '0x10',
  '01',
  'NaN',
  '.5',
  '5.',
];
const selectors = [
  'a',
  'a=b',
  '!a',
  'a in (b,c)',
  'a notin ()',
  'a in (',
  '((((',
  'a=b,,c',
  ',',
  '=',
  'a==b==c',
  'a in (b',
  'é=é',
  'x'.repeat(5000),
  'a!=',
  '\u0000',
  'a>1',
  'a<b',
  `a in (${'b,'.repeat(2000)}c)`,
];
const queries: Readonly<Record<string, readonly string[]>> = {
  limit: ['-1', '0', '1', '500', '9223372036854775807', '99999999999999999999', 'x', '1.5', ''],
  continue: [
    'x',
    'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoiLi4vLi4ifQ',
    'e30',
    '%',
    'bnVsbA',
    'W10',
  ],
  resourceVersion: ['0', '1', '-1', 'x', '99999999999999999999', '9223372036854775807', '', '0x1'],
  resourceVersionMatch: ['Exact', 'NotOlderThan', 'x', ''],
  labelSelector: selectors,
  fieldSelector: [...selectors, 'metadata.name=a', 'spec.nodeName=a', 'metadata.name', '__proto__=a'],
  timeoutSeconds: ['0', '-1', '1', 'x', '99999999999'],
  sendInitialEvents: ['true', 'false', 'x'],
  allowWatchBookmarks: ['1', 'x'],
  dryRun: ['All', 'x', ''],
  fieldValidation: ['Strict', 'Warn', 'Ignore', 'x'],
  fieldManager: ['m', 'x'.repeat(200), '\u0007', ''],
  force: ['true', 'x'],
  pretty: ['1', 'x'],
  gracePeriodSeconds: ['-1', '0', 'x', '9223372036854775808'],
  propagationPolicy: ['Orphan', 'x'],
  orphanDependents: ['true', 'x'],
  includeObject: ['None', 'Object', 'x'],
  __proto__: ['x'],
};
const types = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
  'application/json;charset=utf-16',
  'text/plain',
  '',
  ';;;',
  'application/cbor',
];
const accepts = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/json;as=Table;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  'application/json;as=Table;v=v9;g=x',
  '*/*;q=2',
  ';',
  'a/b',
  'application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io',
  'x'.repeat(4000),
];

/** Makes requests, one after the other, all from one seed. */
export class RequestMaker {
  readonly #random: SeededRandom;
  readonly #samples: readonly Sample[];
  readonly #namespace: string;

  constructor(random: SeededRandom, samples: readonly Sample[], namespace: string) {
    this.#random = random;
    this.#samples = samples;
    this.#namespace = namespace;
  }

  next(): Request {
    const random = this.#random;
    const sample = random.pick(this.#samples);
    if (random.chance(0.02)) return { method: 'GET', path: '/', headers: {}, raw: this.#rawRequest() };
    const path = random.chance(0.1) ? this.#oddPath() : this.#resourcePath(sample.resource, sample);
    const headers: Record<string, string> = {
      accept: random.chance(0.7) ? 'application/json' : random.pick(accepts),
    };
    if (random.chance(0.05))
      headers[
        random.pick([
          'impersonate-user',
          'impersonate-group',
          'impersonate-uid',
          'if-none-match',
          'accept-encoding',
          'x-forwarded-for',
          'audit-id',
          'kubectl-command',
        ])
      ] = random.pick(['x', 'system:masters', 'gzip;q=9', 'y'.repeat(3000), '*']);
    const roll = random.float();
    if (roll < 0.2)
      return {
        method: random.pick(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'GET']),
        path: this.#withQuery(path, true),
        headers,
      };
    if (roll < 0.45) return this.#patch(sample, headers);
    const [body, type] = this.#body(sample);
    headers['content-type'] = random.chance(0.9) ? type : random.pick(types);
    const collection = collectionPath(sample.resource, this.#namespace);
    const isPost = random.chance(0.6);
    const target = random.chance(0.1)
      ? path
      : isPost
        ? collection
        : `${collection}/${sample.object.metadata.name}`;
    return { method: isPost ? 'POST' : 'PUT', path: this.#withQuery(target, false), headers, body };
  }

  #withQuery(path: string, reads: boolean): string {
    const random = this.#random;
    const parts: string[] = [];
    // Nothing that is stored may pile up.
    if (!reads) parts.push('dryRun=All');
    for (let count = random.integer(4); count > 0; count--) {
      const name = random.pick(Object.keys(queries));
      if (name !== 'dryRun')
        parts.push(
          `${name}=${random.chance(0.9) ? encodeURIComponent(random.pick(queries[name] as string[])) : '%zz'}`,
        );
    }
    if (reads) parts.push('dryRun=All');
    if (!reads || !random.chance(0.15)) return `${path}?${parts.join('&')}`;
    // A watch must end, so it has one timeout only.
    const rest = parts.filter((part) => !part.startsWith('timeoutSeconds'));
    return `${path}?${[...rest, 'watch=1', 'timeoutSeconds=1'].join('&')}`;
  }

  #resourcePath(resource: BuiltinResource, sample: Sample): string {
    const random = this.#random;
    const collection = collectionPath(resource, this.#namespace);
    const roll = random.float();
    if (roll < 0.4) return collection;
    const named = `${collection}/${random.chance(0.7) ? sample.object.metadata.name : encodeURIComponent(random.pick(names) || 'x')}`;
    return roll < 0.7
      ? named
      : `${named}/${random.pick(['status', 'scale', 'log', 'proxy', 'exec', 'eviction', 'x', '__proto__'])}`;
  }

  #oddPath(): string {
    const random = this.#random;
    const parts = [
      'api',
      'apis',
      'v1',
      'apps',
      'namespaces',
      'pods',
      '%00',
      '%2e%2e',
      '..',
      '',
      'é',
      '%',
      '%ff',
      '__proto__',
      'constructor',
      'x'.repeat(4000),
      'watch',
      'proxy',
      'openapi',
      'v2',
      'v3',
      'metrics',
      'healthz',
      'version',
      'logs',
      '~',
    ];
    return `/${Array.from({ length: 1 + random.integer(7) }, () => random.pick(parts)).join('/')}`.replaceAll(
      'é',
      '%C3%A9',
    );
  }

  #mutated(sample: Sample): Record<string, unknown> {
    const object = structuredClone(sample.object) as Record<string, unknown>;
    const { group, version, kind } = sample.resource;
    const schema = builtinSchemas.kind(group, version, kind);
    if (schema) new Mutator(this.#random, [...wordsOf(sample.object)]).mutate(object, schema, 4);
    return object;
  }

  #body(sample: Sample): [Buffer, string] {
    const random = this.#random;
    const text = jsonText(this.#mutated(sample));
    const roll = random.float();
    if (roll < 0.25) return [Buffer.from(this.#brokenJson(text)), 'application/json'];
    if (roll < 0.4) return [this.#damaged(Buffer.from(text)), 'application/json'];
    if (roll < 0.6) return [Buffer.from(this.#yaml(text)), 'application/yaml'];
    if (roll < 0.85) return [this.#protobuf(sample), 'application/vnd.kubernetes.protobuf'];
    return [Buffer.from(this.#nested()), random.pick(types)];
  }

  #brokenJson(text: string): string {
    const random = this.#random;
    switch (random.integer(8)) {
      case 0:
        return text.replace(/"[a-zA-Z]+":/, () => `${JSON.stringify(random.pick(names))}:`);
      case 1:
        return text.replace(/:("[^"]*"|\d+)/, () => `:${random.pick(numbers)}`);
      case 2:
        return text.slice(0, random.integer(text.length));
      case 3:
        return `${text}${random.pick(['}', ']', ' x', '\u0000', text])}`;
      case 4:
        return text.replace(
          '{',
          () => `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},`,
        );
      case 5:
        return text.replaceAll('"', () => (random.chance(0.05) ? "'" : '"'));
      case 6:
        return `\ufeff${text}`;
      default:
        return text.replaceAll(/:"[^"]*"/g, (value) =>
          random.chance(0.1) ? `:"${'\\ud800'.repeat(1 + random.integer(3))}"` : value,
        );
    }
  }

  #damaged(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    for (let count = 1 + this.#random.integer(8); count > 0 && copy.length > 0; count--)
      copy[this.#random.integer(copy.length)] = this.#random.integer(256);
    return copy;
  }

  #nested(): string {
    const random = this.#random;
    const [open, close] = random.pick([
      ['[', ']'],
      ['{"a":', '}'],
      ['{"metadata":', '}'],
      ['{"properties":{"a":', '}}'],
    ] as const);
    const depth = random.pick([50, 1000, nestingLevels]);
    const shut = random.chance(0.7) ? close.repeat(depth) : '';
    return `${random.chance(0.5) ? '{"kind":"ConfigMap","apiVersion":"v1","data":' : ''}${open.repeat(depth)}1${shut}`;
  }

  #yaml(text: string): string {
    const random = this.#random;
    const bomb = Array.from(
      { length: 9 },
      (_, level) =>
        `a${level}: &a${level} [${Array.from({ length: 10 }, () => (level === 0 ? '"lol"' : `*a${level - 1}`)).join(',')}]`,
    );
    switch (random.integer(7)) {
      case 0:
        return bomb.join('\n');
      case 1:
        return `kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata:\n  ${bomb.join('\n  ')}`;
      case 2:
        return `a: &a\n  b: *a\n<<: *a\n${text}`;
      case 3:
        return `${'- '.repeat(random.pick([10, 2000]))}x`;
      case 4:
        return `!!js/function 'x': !!binary "%%"\n? [a, b]\n: ${text}`;
      case 5:
        return text.replaceAll(',', () => (random.chance(0.1) ? ',\n\t' : ','));
      default:
        return `%YAML 9.9\n--- ${text}\n--- ${text}`;
    }
  }

  #protobuf(sample: Sample): Buffer {
    const random = this.#random;
    const { group, version, kind } = sample.resource;
    const schema = builtinSchemas.kind(group, version, kind);
    if (!schema) return Buffer.from('k8s\0');
    const bytes = Buffer.from(builtinProtobuf.encode(sample.object, schema));
    switch (random.integer(5)) {
      case 0:
        return bytes.subarray(0, random.integer(bytes.length));
      case 1: {
        const at = random.integer(bytes.length);
        return Buffer.concat([
          bytes.subarray(0, at),
          Buffer.alloc(1 + random.integer(12), 0xff),
          bytes.subarray(at),
        ]);
      }
      case 2: {
        // Messages in messages: each level needs a tag and a length.
        let inner = Buffer.alloc(0);
        for (let level = 0; level < 3000; level++) {
          const head = [0x0a];
          for (let length = inner.length; ; length >>>= 7) {
            head.push(length > 0x7f ? (length & 0x7f) | 0x80 : length);
            if (length <= 0x7f) break;
          }
          inner = Buffer.concat([Buffer.from(head), inner]);
        }
        return Buffer.concat([Buffer.from('k8s\0'), inner]);
      }
      default:
        return this.#damaged(bytes);
    }
  }

  #patch(sample: Sample, headers: Record<string, string>): Request {
    const random = this.#random;
    const type = random.pick(types.slice(3, 7));
    headers['content-type'] = type;
    const object = this.#mutated(sample);
    const pointers = [
      '',
      '/',
      '/metadata',
      '/metadata/labels/a~1b',
      '/spec/-',
      '/spec/containers/-1',
      '/spec/containers/0',
      '/spec/ports/99999999999',
      '/__proto__/x',
      '/constructor/prototype/x',
      '/a~2',
      '/metadata/labels',
      '/data/key',
      '/spec/template/spec',
    ];
    let body: unknown = object;
    if (type.startsWith('application/json-patch')) {
      body = Array.from({ length: random.integer(6) }, () => ({
        op: random.pick(['add', 'remove', 'replace', 'move', 'copy', 'test', 'x', '']),
        path: random.pick(pointers),
        ...(random.chance(0.4) && { from: random.pick(pointers) }),
        ...(random.chance(0.7) && {
          value: random.pick<unknown>([1, null, {}, [], 'x', object, { __proto__: null, a: 1 }]),
        }),
      }));
    } else if (random.chance(0.5)) {
      const spec = ((body as Record<string, unknown>)['spec'] ?? {}) as unknown;
      if (typeof spec === 'object' && spec !== null)
        Object.assign(
          spec,
          random.pick<object>([
            { $patch: random.pick(['delete', 'replace', 'merge', 'x', '']) },
            { $retainKeys: random.pick<unknown>([['a'], 'x', null, [1]]) },
            {
              '$setElementOrder/containers': random.pick<unknown>([
                [{ name: 'c' }],
                [{ name: 'zz' }],
                'x',
                [1],
                null,
              ]),
            },
            { '$deleteFromPrimitiveList/finalizers': random.pick<unknown>([['a'], 'x', {}]) },
            { containers: [{ $patch: 'delete' }, { $patch: 'delete', name: 'c' }, null, 1] },
            { ports: [{ $patch: 'replace' }] },
          ]),
        );
      const metadata = (body as { metadata?: Record<string, unknown> }).metadata;
      if (metadata && random.chance(0.3))
        metadata['managedFields'] = random.pick<unknown>([
          [{}],
          [
            {
              manager: 'x',
              operation: 'Apply',
              fieldsType: 'FieldsV1',
              fieldsV1: { 'f:x': 1, 'k:{': {}, 'v:"': {}, 'i:x': {} },
            },
          ],
          'x',
          [null],
        ]);
    }
    const text = jsonText(body);
    const bytes = random.chance(0.2)
      ? this.#damaged(Buffer.from(text))
      : Buffer.from(random.chance(0.1) ? this.#brokenJson(text) : text);
    const path = this.#withQuery(
      `${collectionPath(sample.resource, this.#namespace)}/${sample.object.metadata.name}${random.pick(['', '', '/status', '/scale'])}`,
      false,
    );
    return {
      method: 'PATCH',
      path: type.startsWith('application/apply') ? `${path}&fieldManager=fuzz` : path,
      headers,
      body: bytes,
    };
  }

  /** What is no HTTP request, or a bad one. */
  #rawRequest(): Buffer {
    const random = this.#random;
    return random.pick([
      Buffer.from('GET / HTTP/9.9\r\n\r\n'),
      Buffer.from('\r\n\r\n\r\n'),
      Buffer.from('POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}'),
      Buffer.from(
        'POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\n',
      ),
      Buffer.from(`GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: x\r\n\r\n`),
      Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\n${'X-A: b\r\n'.repeat(5000)}\r\n`),
      Buffer.from(
        'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n',
      ),
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff', 'latin1'),
      Buffer.from(random.bytes(200)),
    ]);
  }
}
