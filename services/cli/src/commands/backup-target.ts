import { createHash, createHmac } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import type { Clock } from '@pilothouse/base';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';

/** Where scheduled backups are kept. Names are those of `backupName`. */
export interface BackupTarget {
  readonly title: string;
  put(file: string, name: string): Promise<void>;
  /** Names of backups, oldest first; others' files are not listed. */
  list(): Promise<string[]>;
  remove(name: string): Promise<void>;
}

const pattern = /^pilothouse-\d{8}T\d{6}Z\.db$/;

/** A name that sorts by time, e.g. `pilothouse-20261121T154500Z.db`. */
export const backupName = (nowMs: number): string =>
  `pilothouse-${new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.db`;

/** A directory, or `s3://bucket/prefix` with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL of the environment. */
export function openTarget(to: string, environment: NodeJS.ProcessEnv, clock: Clock): BackupTarget {
  if (to.startsWith('s3://')) return s3Target(to, environment, clock);
  const directory = path.resolve(to);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    title: directory,
    put(file, name) {
      const part = path.join(directory, `${name}.part`);
      copyFileSync(file, part);
      renameSync(part, path.join(directory, name));
      return Promise.resolve();
    },
    list: () =>
      Promise.resolve(
        existsSync(directory)
          ? readdirSync(directory)
              .filter((each) => pattern.test(each))
              .sort()
          : [],
      ),
    remove: (name) => Promise.resolve(rmSync(path.join(directory, name))),
  };
}

const sha256 = (data: string): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, data: string): Buffer => createHmac('sha256', key).update(data).digest();
/** RFC 3986, as AWS signs it: slashes of a path stay. */
const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  );

export interface S3Access {
  readonly endpoint: URL;
  readonly bucket: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

/** Headers of a request signed with AWS Signature Version 4; the body is named by its SHA-256. */
export function signedHeaders(
  access: S3Access,
  request: {
    readonly method: string;
    readonly path: string;
    readonly query: ReadonlyMap<string, string>;
    readonly bodySha256: string;
  },
  nowMs: number,
): Record<string, string> {
  const date = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const headers: Record<string, string> = {
    host: access.endpoint.host,
    'x-amz-content-sha256': request.bodySha256,
    'x-amz-date': date,
    ...(access.sessionToken === undefined ? {} : { 'x-amz-security-token': access.sessionToken }),
  };
  const names = Object.keys(headers).sort();
  const query = [...request.query].map(([name, value]) => `${encode(name)}=${encode(value)}`).sort();
  const canonical = [
    request.method,
    request.path,
    query.join('&'),
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    request.bodySha256,
  ].join('\n');
  const scope = `${date.slice(0, 8)}/${access.region}/s3/aws4_request`;
  const key = hmac(
    hmac(hmac(hmac(`AWS4${access.secretKey}`, date.slice(0, 8)), access.region), 's3'),
    'aws4_request',
  );
  const signature = hmac(key, ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n')).toString(
    'hex',
  );
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${access.accessKey}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  };
}

function s3Target(to: string, environment: NodeJS.ProcessEnv, clock: Clock): BackupTarget {
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(to) ?? [];
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket))
    throw new CommandError(`Invalid target "${to}": want s3://BUCKET/PREFIX`);
  const must = (name: string): string => {
    const value = environment[name];
    if (value === undefined || value === '') throw new CommandError(`${to} needs ${name} in the environment`);
    return value;
  };
  const region = environment['AWS_REGION'] ?? environment['AWS_DEFAULT_REGION'] ?? 'us-east-1';
  const token = environment['AWS_SESSION_TOKEN'];
  const access: S3Access = {
    bucket,
    region,
    endpoint: new URL(environment['AWS_ENDPOINT_URL'] ?? `https://s3.${region}.amazonaws.com`),
    accessKey: must('AWS_ACCESS_KEY_ID'),
    secretKey: must('AWS_SECRET_ACCESS_KEY'),
    ...(token === undefined || token === '' ? {} : { sessionToken: token }),
  };
  const folder = prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`;
  const call = (
    method: string,
    key: string,
    query: ReadonlyMap<string, string>,
    file?: string,
    bodySha256 = sha256(''),
  ) =>
    new Promise<string>((resolve, reject) => {
      // Path style: every S3-compatible store understands it.
      const resource = `/${[bucket, ...(key === '' ? [] : key.split('/'))].map(encode).join('/')}`;
      const headers: Record<string, string | number> = signedHeaders(
        access,
        { method, path: resource, query, bodySha256 },
        clock.now(),
      );
      if (file !== undefined) headers['content-length'] = statSync(file).size;
      const search = [...query]
        .map(([name, value]) => `${encode(name)}=${encode(value)}`)
        .sort()
        .join('&');
      const request = (access.endpoint.protocol === 'http:' ? http : https).request(
        new URL(search === '' ? resource : `${resource}?${search}`, access.endpoint),
        { method, headers, timeout: limits.backupStallMs, agent: false },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (piece: string) => (text += piece));
          response.on('error', reject);
          response.on('end', () => {
            const status = response.statusCode ?? 0;
            if (status >= 200 && status < 300) resolve(text);
            else
              reject(
                new CommandError(
                  `${method} ${to}: ${/<Code>([^<]*)<\/Code>/.exec(text)?.[1] ?? `HTTP status ${status}`} ${/<Message>([^<]*)/.exec(text)?.[1] ?? ''}`.trim(),
                ),
              );
          });
        },
      );
      request.on('timeout', () => request.destroy(new Error(`${access.endpoint.host} does not answer`)));
      request.on('error', reject);
      if (file === undefined) request.end();
      else createReadStream(file).on('error', reject).pipe(request);
    });
  const none = new Map<string, string>();
  return {
    title: to,
    async put(file, name) {
      const digest = createHash('sha256');
      for await (const piece of createReadStream(file)) digest.update(piece as Buffer);
      await call('PUT', `${folder}${name}`, none, file, digest.digest('hex'));
    },
    async list() {
      const names: string[] = [];
      let token = '';
      do {
        const answer = await call(
          'GET',
          '',
          new Map([
            ['list-type', '2'],
            ['prefix', `${folder}pilothouse-`],
            ...(token === '' ? [] : [['continuation-token', token] as const]),
          ]),
        );
        for (const [, key = ''] of answer.matchAll(/<Key>([^<]*)<\/Key>/g)) {
          const name = key.slice(folder.length);
          if (pattern.test(name)) names.push(name);
        }
        token = /<NextContinuationToken>([^<]*)/.exec(answer)?.[1] ?? '';
      } while (token !== '');
      return names.sort();
    },
    remove: async (name) => void (await call('DELETE', `${folder}${name}`, none)),
  };
}
