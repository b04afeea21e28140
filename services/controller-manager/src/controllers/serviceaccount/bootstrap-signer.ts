import { createHmac } from 'node:crypto';
import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { expirationMs } from './bootstrap-token-cleaner.ts';

const tokenNamespace = 'kube-system';
const tokenType = 'bootstrap.kubernetes.io/token';
const namePattern = /^bootstrap-token-([a-z0-9]{6})$/;
const mapNamespace = 'kube-public';
const mapName = 'cluster-info';
const contentKey = 'kubeconfig';
const signaturePrefix = 'jws-kubeconfig-';

/** Id and secret of a token that may sign now; undefined: it may not. */
export function signingToken(secret: KubeObject, nowMs: number): { id: string; secret: string } | undefined {
  const data = (secret['data'] ?? {}) as Record<string, string>;
  const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString('utf8');
  const id = text('token-id');
  const value = text('token-secret');
  const isNamed = namePattern.exec(secret.metadata.name ?? '')?.[1] === id;
  if (!isNamed || value === '' || text('usage-bootstrap-signing') !== 'true') return undefined;
  if (text('expiration') !== '') {
    const endMs = expirationMs(secret);
    // A time that cannot be read has passed.
    if (endMs === undefined || endMs <= nowMs) return undefined;
  }
  return { id, secret: value };
}

/** JWS (HS256) over `content` with the token's secret, the payload left out: `<header>..<signature>`. */
export function detachedSignature(content: string, id: string, secret: string): string {
  const encode = (text: string): string => Buffer.from(text).toString('base64url');
  const header = encode(JSON.stringify({ alg: 'HS256', kid: id }));
  const signature = createHmac('sha256', secret)
    .update(`${header}.${encode(content)}`)
    .digest('base64url');
  return `${header}..${signature}`;
}

/** The data of cluster-info with the signatures of `tokens` and no others. */
export function signedData(
  data: Readonly<Record<string, string>>,
  tokens: readonly { readonly id: string; readonly secret: string }[],
): Record<string, string> {
  const content = data[contentKey];
  const signed = Object.fromEntries(Object.entries(data).filter(([key]) => !key.startsWith(signaturePrefix)));
  if (content === undefined) return { ...data };
  for (const { id, secret } of tokens)
    signed[`${signaturePrefix}${id}`] = detachedSignature(content, id, secret);
  return signed;
}

/** Signs kube-public/cluster-info with each bootstrap token that may, so that who has a token can trust what it reads there. */
export const createBootstrapSigner: ControllerFactory = (context) => {
  const { client, clock } = context;
  const secrets = context.informers.informer(resources.secrets, {
    namespace: tokenNamespace,
    fieldSelector: `type=${tokenType}`,
  });
  const maps = context.informers.informer(resources.configMaps, {
    namespace: mapNamespace,
    fieldSelector: `metadata.name=${mapName}`,
  });
  const loop = new Controller(loopOptions(context), async () => {
    const map = maps.lister.get(mapName, mapNamespace);
    if (!map) return undefined;
    const nowMs = clock.now();
    const tokens = secrets.lister.list(tokenNamespace).flatMap((secret) => signingToken(secret, nowMs) ?? []);
    const data = (map['data'] ?? {}) as Record<string, string>;
    const signed = signedData(data, tokens);
    const keys = new Set([...Object.keys(data), ...Object.keys(signed)]);
    if ([...keys].some((key) => data[key] !== signed[key])) {
      await client
        .update(resources.configMaps, { ...map, data: signed } as KubeObject)
        .catch((error: unknown) => {
          if (!hasReason(error, 'NotFound')) throw error;
        });
    }
    // The signature of a token ends with the token, even where nothing deletes it.
    const ends = secrets.lister
      .list(tokenNamespace)
      .flatMap((secret) => expirationMs(secret) ?? [])
      .filter((endMs) => endMs > nowMs);
    return ends.length === 0 ? undefined : { requeueAfterMs: Math.min(...ends) - nowMs };
  });
  const enqueue = (): void => loop.queue.add(`${mapNamespace}/${mapName}`);
  secrets.addHandler({ onAdd: enqueue, onUpdate: enqueue, onDelete: enqueue });
  maps.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};
