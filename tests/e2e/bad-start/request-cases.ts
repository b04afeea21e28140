import https from 'node:https';
import net from 'node:net';
import type { Checks } from '../checks.ts';

export interface ServerUnderTest {
  readonly url: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

interface RequestCase {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Without the client certificate. */
  readonly anonymous?: boolean;
  readonly status: number;
  readonly reason?: string;
  readonly matches?: RegExp;
}

const configMaps = '/api/v1/namespaces/default/configmaps';
const configMap = (metadata: object, rest: object = {}): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, ...rest });
/** Just over the limit of a request's body. */
const tooLarge = 3 * 1024 * 1024 + 1024;
const nestingLevels = 20_000;

function cases(): RequestCase[] {
  const post = (
    name: string,
    body: string | Buffer,
    status: number,
    rest: Partial<RequestCase> = {},
  ): RequestCase => ({
    name,
    method: 'POST',
    path: configMaps,
    body,
    status,
    ...rest,
  });
  const get = (name: string, path: string, status: number, rest: Partial<RequestCase> = {}): RequestCase => ({
    name,
    method: 'GET',
    path,
    status,
    ...rest,
  });
  const bad = { reason: 'BadRequest' };
  return [
    post('malformed JSON', '{"kind":', 400, bad),
    post('empty body', '', 400, bad),
    post('JSON that is not an object', '[1,2]', 400, bad),
    post('nesting without end', '['.repeat(nestingLevels), 400, bad),
    post(
      'deep nesting inside an object',
      configMap({ name: 'deep' }, { data: 0 }).replace(
        ':0',
        `:${'['.repeat(nestingLevels)}${']'.repeat(nestingLevels)}`,
      ),
      400,
      bad,
    ),
    post('bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 400, bad),
    post('malformed YAML', 'kind: [\n', 400, { ...bad, type: 'application/yaml' }),
    post('malformed protobuf', Buffer.from('k8s\0garbage'), 400, {
      ...bad,
      type: 'application/vnd.kubernetes.protobuf',
    }),
    post('protobuf without its magic', Buffer.from('garbage'), 400, {
      ...bad,
      type: 'application/vnd.kubernetes.protobuf',
    }),
    post('unknown media type', 'x', 415, { reason: 'UnsupportedMediaType', type: 'text/plain' }),
    get('no media type that it can write', configMaps, 406, { headers: { accept: 'image/png' } }),
    post('wrong type of a field', configMap({ name: 'x' }, { data: { a: 1 } }), 400, bad),
    post('wrong type of metadata', configMap({ name: 'x' }).replace('{"name":"x"}', '"x"'), 400, bad),
    post('unknown field under Strict', configMap({ name: 'x' }, { nope: 1 }), 400, {
      ...bad,
      path: `${configMaps}?fieldValidation=Strict`,
      matches: /unknown field ..nope/,
    }),
    post('unknown value of fieldValidation', configMap({ name: 'x' }), 422, {
      path: `${configMaps}?fieldValidation=Maybe`,
    }),
    post('a name that cannot be', configMap({ name: 'Not_Valid' }), 422, {
      reason: 'Invalid',
      matches: /metadata\.name/,
    }),
    post('no name', configMap({}), 422, { reason: 'Invalid' }),
    post('another kind', configMap({ name: 'x' }).replace('"ConfigMap"', '"Secret"'), 400, bad),
    post('a kind that does not exist', configMap({ name: 'x' }).replace('"ConfigMap"', '"Nope"'), 400, bad),
    post('another namespace', configMap({ name: 'x', namespace: 'kube-system' }), 400, bad),
    post('a namespace that is not there', configMap({ name: 'x' }), 404, {
      reason: 'NotFound',
      path: '/api/v1/namespaces/nowhere/configmaps',
    }),
    post('an existing name', configMap({ name: 'bad-request' }), 409, { reason: 'AlreadyExists' }),
    post('a resourceVersion on create', configMap({ name: 'x', resourceVersion: '5' }), 500),
    {
      name: 'a stale resourceVersion',
      method: 'PUT',
      path: `${configMaps}/bad-request`,
      body: configMap({ name: 'bad-request', resourceVersion: '1' }),
      status: 409,
      reason: 'Conflict',
    },
    {
      name: 'a name unlike the path',
      method: 'PUT',
      path: `${configMaps}/bad-request`,
      body: configMap({ name: 'other' }),
      status: 400,
      reason: 'BadRequest',
    },
    {
      name: 'a resourceVersion that is no number',
      method: 'PUT',
      path: `${configMaps}/bad-request`,
      body: configMap({ name: 'bad-request', resourceVersion: 'x' }),
      status: 500,
    },
    {
      name: 'a foreign uid as a precondition',
      method: 'DELETE',
      path: `${configMaps}/bad-request`,
      body: JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: 'nope' } }),
      status: 409,
      reason: 'Conflict',
    },
    post('a body over 3 MiB', Buffer.alloc(tooLarge, ' '), 413, { reason: 'RequestEntityTooLarge' }),
    {
      name: 'malformed JSON patch',
      method: 'PATCH',
      path: `${configMaps}/bad-request`,
      body: '{"op":"add"}',
      type: 'application/json-patch+json',
      status: 400,
      reason: 'BadRequest',
    },
    {
      name: 'JSON patch whose test fails',
      method: 'PATCH',
      path: `${configMaps}/bad-request`,
      body: '[{"op":"test","path":"/data/a","value":"b"}]',
      type: 'application/json-patch+json',
      status: 422,
      reason: 'Invalid',
    },
    {
      name: 'malformed merge patch',
      method: 'PATCH',
      path: `${configMaps}/bad-request`,
      body: '{',
      type: 'application/merge-patch+json',
      status: 400,
      reason: 'BadRequest',
    },
    {
      name: 'apply without a field manager',
      method: 'PATCH',
      path: `${configMaps}/bad-request`,
      body: configMap({ name: 'bad-request' }),
      type: 'application/apply-patch+yaml',
      status: 422,
      reason: 'Invalid',
    },
    {
      name: 'unknown kind of patch',
      method: 'PATCH',
      path: `${configMaps}/bad-request`,
      body: '{}',
      type: 'application/json',
      status: 415,
      reason: 'UnsupportedMediaType',
    },
    {
      name: 'a method that the collection does not have',
      method: 'PUT',
      path: configMaps,
      body: '{}',
      status: 405,
      reason: 'MethodNotAllowed',
    },
    get('an object that is not there', `${configMaps}/nope`, 404, { reason: 'NotFound' }),
    get('an unknown group', '/apis/nope.example.com/v1/things', 404),
    get('an unknown version', '/apis/apps/v9/deployments', 404),
    get('an unknown resource', '/api/v1/namespaces/default/nopes', 404),
    get('an unknown path', '/nope', 404),
    get('a malformed label selector', `${configMaps}?labelSelector=a%20in`, 400, bad),
    get('a field that cannot be selected', `${configMaps}?fieldSelector=data.a%3Db`, 400, bad),
    get('a limit that is no number', `${configMaps}?limit=x`, 400, bad),
    get('a continue token that is none', `${configMaps}?limit=1&continue=nonsense`, 400, bad),
    get('a list at a resourceVersion that is no number', `${configMaps}?resourceVersion=x`, 400, bad),
    get('resourceVersionMatch without resourceVersion', `${configMaps}?resourceVersionMatch=Exact`, 422),
    get('no credentials', configMaps, 403, { anonymous: true, reason: 'Forbidden' }),
    get('a wrong token', configMaps, 401, {
      anonymous: true,
      headers: { authorization: 'Bearer nonsense' },
      reason: 'Unauthorized',
    }),
    get('percent signs that decode to nothing', `${configMaps}/%zz`, 400),
  ];
}

/** Requests that must be refused with upstream's status, after which the server is still well. */
export async function requestCases(checks: Checks, server: ServerUnderTest): Promise<void> {
  await call(server, {
    name: '',
    method: 'POST',
    path: configMaps,
    body: configMap({ name: 'bad-request' }, { data: { a: 'a' } }),
    status: 201,
  });
  for (const each of cases()) {
    await checks.check(`request: ${each.name}: ${each.status}`, async () => {
      const answer = await call(server, each);
      const text = `${answer.status} ${answer.body.slice(0, 400)}`;
      if (answer.status !== each.status) throw new Error(`Wanted ${each.status}, got ${text}`);
      if (each.reason !== undefined) {
        const status = JSON.parse(answer.body) as { kind?: string; reason?: string; code?: number };
        if (status.kind !== 'Status' || status.reason !== each.reason || status.code !== each.status)
          throw new Error(`Wanted a Status with reason ${each.reason}, got ${text}`);
      }
      if (each.matches && !each.matches.test(answer.body))
        throw new Error(`No match for ${each.matches}: ${text}`);
    });
  }
  await checks.check('request: unknown field under Warn: created, with a warning', async () => {
    const answer = await call(server, {
      name: '',
      method: 'POST',
      path: configMaps,
      body: configMap({ name: 'warned' }, { nope: 1 }),
      status: 201,
    });
    if (answer.status !== 201 || !String(answer.headers['warning']).includes('unknown field'))
      throw new Error(`${answer.status} ${String(answer.headers['warning'])} ${answer.body}`);
  });
  const port = Number(new URL(server.url).port);
  for (const [name, bytes] of [
    ['plain HTTP on the TLS port', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['noise on the TLS port', Buffer.alloc(5000, 0xa7)],
  ] as const) {
    await checks.check(`request: ${name} is hung up on`, () => sendRaw(port, bytes));
  }
  for (const path of [configMaps, `${configMaps}/bad-request`, `${configMaps}/warned`]) {
    if (path !== configMaps) await call(server, { name: '', method: 'DELETE', path, status: 200 });
  }
  await checks.check('request: /readyz is ok afterwards', async () => {
    const answer = await call(server, { name: '', method: 'GET', path: '/readyz', status: 200 });
    if (answer.status !== 200 || answer.body !== 'ok') throw new Error(`${answer.status} ${answer.body}`);
  });
}

function call(server: ServerUnderTest, each: RequestCase): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const body = each.body === undefined ? undefined : Buffer.from(each.body);
    const request = https.request(`${server.url}${each.path}`, {
      method: each.method,
      ca: server.ca,
      ...(each.anonymous ? {} : { cert: server.cert, key: server.key }),
      agent: false,
      timeout: 30_000,
      headers: {
        accept: 'application/json',
        ...(body === undefined
          ? {}
          : { 'content-type': each.type ?? 'application/json', 'content-length': body.length }),
        ...each.headers,
      },
    });
    request.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(pieces).toString('utf8'),
          headers: response.headers,
        }),
      );
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 30 s')));
    request.on('error', reject);
    request.end(body);
  });
}

/** Resolves when the server ends the connection. */
function sendRaw(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error('The connection stays open'));
    }, 10_000);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume();
  });
}
