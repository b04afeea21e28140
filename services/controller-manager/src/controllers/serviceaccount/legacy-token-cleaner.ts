import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { errorMessage } from '@pilothouse/base';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';

const tokenType = 'kubernetes.io/service-account-token';
const nameAnnotation = 'kubernetes.io/service-account.name';
const uidAnnotation = 'kubernetes.io/service-account.uid';
const lastUsedLabel = 'kubernetes.io/legacy-token-last-used';
const invalidSinceLabel = 'kubernetes.io/legacy-token-invalid-since';
/** Where the API servers say since when they note the use of tokens. */
const tracking = { namespace: 'kube-system', name: 'kube-apiserver-legacy-service-account-token-tracking' };
const dayMs = 86_400_000;
const defaultUnusedMs = 365 * dayMs;

/** What is to be done about a token's secret. */
export type TokenVerdict = 'keep' | 'invalidate' | 'delete';

export interface TokenEvidence {
  readonly nowMs: number;
  /** Unused for so long a token is made invalid, and invalid for so long deleted. */
  readonly unusedMs: number;
  /** Of the name in the secret's annotation, when there is one. */
  readonly account: KubeObject | undefined;
  readonly isMounted: boolean;
}

/** Only tokens that were made by themselves go: those that their account names. Whoever made one by hand keeps it. */
export function tokenVerdict(secret: KubeObject, evidence: TokenEvidence): TokenVerdict {
  const { nowMs, unusedMs, account, isMounted } = evidence;
  const { metadata } = secret;
  const limitMs = nowMs - unusedMs;
  if (secret['type'] !== tokenType || metadata.deletionTimestamp !== undefined) return 'keep';
  if (Date.parse(metadata.creationTimestamp ?? '') >= limitMs) return 'keep';
  const limitDay = dayOf(limitMs);
  const lastUsed = metadata.labels?.[lastUsedLabel];
  if (lastUsed !== undefined && (!isDay(lastUsed) || lastUsed >= limitDay)) return 'keep';
  const uid = metadata.annotations?.[uidAnnotation] ?? '';
  if (account === undefined || (uid !== '' && uid !== account.metadata.uid)) return 'keep';
  const named = (account['secrets'] ?? []) as readonly { readonly name?: string }[];
  if (!named.some(({ name }) => name === metadata.name) || isMounted) return 'keep';
  const invalidSince = metadata.labels?.[invalidSinceLabel] ?? '';
  if (!isDay(invalidSince)) return 'invalidate';
  return invalidSince >= limitDay ? 'keep' : 'delete';
}

/** From which moment on absence of a last use says something: the day after the tracking began. Undefined: not known. */
export function trackedFromMs(map: KubeObject | undefined): number | undefined {
  const since = (map?.['data'] as Record<string, string> | undefined)?.['since'] ?? '';
  return isDay(since) ? Date.parse(since) + dayMs : undefined;
}

/** Names of all secrets in a pod's spec, wherever they stand. */
export function secretNames(value: unknown, found = new Set<string>()): Set<string> {
  if (Array.isArray(value)) for (const each of value) secretNames(each, found);
  else if (typeof value === 'object' && value !== null) {
    for (const [field, member] of Object.entries(value)) {
      if (field === 'secretName' && typeof member === 'string') found.add(member);
      else if (field === 'imagePullSecrets' || field === 'secret' || /secret(Key)?Ref$/i.test(field)) {
        for (const each of Array.isArray(member) ? (member as unknown[]) : [member]) {
          const name = (each as { name?: unknown } | null)?.name;
          if (typeof name === 'string') found.add(name);
        }
      }
      secretNames(member, found);
    }
  }
  return found;
}

/** Makes generated token secrets that nobody used for a year invalid, and after another year deletes them. Looks once a day. */
export const createLegacyTokenCleaner: ControllerFactory = (context) => {
  const { client, clock, logger, informers } = context;
  const unusedMs = context.settings.legacyTokenCleanUpMs ?? defaultUnusedMs;
  const secrets = informers.informer(resources.secrets, { fieldSelector: `type=${tokenType}` });
  const accounts = informers.informer(resources.serviceAccounts);
  const pods = informers.informer(resources.pods);

  const act = async (secret: KubeObject, verdict: TokenVerdict): Promise<void> => {
    const { namespace = '', name = '', uid, resourceVersion } = secret.metadata;
    if (verdict === 'invalidate') {
      logger.info('A generated token that nobody uses becomes invalid', { namespace, secret: name });
      const metadata = { uid, labels: { [invalidSinceLabel]: dayOf(clock.now()) } };
      await client.patch(resources.secrets, name, { metadata }, { type: 'merge', namespace });
      return;
    }
    logger.info('A generated token that nobody used is deleted', { namespace, secret: name });
    await client.delete(resources.secrets, name, {
      namespace,
      ...(resourceVersion === undefined ? {} : { preconditions: { resourceVersion } }),
    });
  };

  const loop = new Controller({ name: context.name, clock, logger, observe: context.observe }, async () => {
    const nowMs = clock.now();
    const map = await client.get(resources.configMaps, tracking.name, { namespace: tracking.namespace });
    const fromMs = trackedFromMs(map);
    if (fromMs !== undefined && nowMs >= fromMs + unusedMs) {
      const mounted = new Map<string, Set<string>>();
      for (const pod of pods.lister.list()) {
        const space = pod.metadata.namespace ?? '';
        mounted.set(space, secretNames(pod['spec'], mounted.get(space)));
      }
      for (const secret of secrets.lister.list()) {
        const { namespace = '', name = '', annotations } = secret.metadata;
        const account = accounts.lister.get(annotations?.[nameAnnotation] ?? '', namespace);
        const isMounted = mounted.get(namespace)?.has(name) === true;
        const verdict = tokenVerdict(secret, { nowMs, unusedMs, account, isMounted });
        if (verdict === 'keep') continue;
        await act(secret, verdict).catch((error: unknown) => {
          if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) return;
          logger.error('Cannot clean up a token', { namespace, secret: name, error: errorMessage(error) });
        });
      }
    }
    return { requeueAfterMs: dayMs };
  });
  loop.queue.add('all');
  return loop;
};

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

const isDay = (text: string): boolean => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
