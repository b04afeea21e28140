import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import { Controller, objectKey } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { legacyTokenSigner } from './legacy-token.ts';

const tokenType = 'kubernetes.io/service-account-token';
const nameAnnotation = 'kubernetes.io/service-account.name';
const uidAnnotation = 'kubernetes.io/service-account.uid';

const encode = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/** Fills the token secrets that users make for a service account, and deletes those whose account is gone. */
export const createTokenController: ControllerFactory = (context) => {
  const { client, informers, settings } = context;
  const accounts = informers.informer(resources.serviceAccounts);
  const secrets = informers.informer(resources.secrets, { fieldSelector: `type=${tokenType}` });
  /** By its key: the file of the key may change. */
  let known: { readonly key: string; readonly signer: ReturnType<typeof legacyTokenSigner> } | undefined;
  const signerNow = (): ReturnType<typeof legacyTokenSigner> | undefined => {
    const key = settings.serviceAccountKey;
    if (key === undefined) return undefined;
    if (known?.key !== key) known = { key, signer: legacyTokenSigner(key) };
    return known.signer;
  };

  /** The account a secret is for, asked of the API when the cache does not have it: a deletion cannot be taken back. */
  const accountOf = async (secret: KubeObject): Promise<KubeObject | undefined> => {
    const name = secret.metadata.annotations?.[nameAnnotation] ?? '';
    const uid = secret.metadata.annotations?.[uidAnnotation] ?? '';
    const fits = (account: KubeObject): boolean => uid === '' || account.metadata.uid === uid;
    const namespace = secret.metadata.namespace ?? '';
    const cached = accounts.lister.get(name, namespace);
    if (cached && fits(cached)) return cached;
    try {
      const live = await client.get(resources.serviceAccounts, name, { namespace });
      return fits(live) ? live : undefined;
    } catch (error) {
      if (hasReason(error, 'NotFound')) return undefined;
      throw error;
    }
  };

  const loop = new Controller(loopOptions(context), async (key) => {
    const secret = secrets.lister.getByKey(key);
    const signer = signerNow();
    const rootCa = settings.rootCa === undefined ? undefined : encode(settings.rootCa);
    if (!secret || !signer || (secret.metadata.annotations?.[nameAnnotation] ?? '') === '') return;
    const { name = '', namespace = '' } = secret.metadata;
    const account = await accountOf(secret);
    if (!account) {
      await client
        .delete(resources.secrets, name, {
          namespace,
          ...(secret.metadata.uid === undefined ? {} : { preconditions: { uid: secret.metadata.uid } }),
        })
        .catch((error: unknown) => {
          if (!hasReason(error, 'NotFound') && !hasReason(error, 'Conflict')) throw error;
        });
      return;
    }
    const data = (secret['data'] ?? {}) as Record<string, string>;
    const accountUid = account.metadata.uid ?? '';
    const missing = (field: string): boolean => (data[field] ?? '') === '';
    const filled: Record<string, string> = { ...data };
    if (rootCa !== undefined && data['ca.crt'] !== rootCa) filled['ca.crt'] = rootCa;
    if (missing('namespace')) filled['namespace'] = encode(namespace);
    if (missing('token'))
      filled['token'] = encode(
        signer.sign({ namespace, secretName: name, accountName: account.metadata.name ?? '', accountUid }),
      );
    const changed = Object.keys(filled).some((field) => filled[field] !== data[field]);
    if (!changed && secret.metadata.annotations?.[uidAnnotation] === accountUid) return;
    await client.update(resources.secrets, {
      ...secret,
      metadata: {
        ...secret.metadata,
        annotations: { ...secret.metadata.annotations, [uidAnnotation]: accountUid },
      },
      data: filled,
    });
  });
  const enqueue = (secret: KubeObject): void => loop.queue.add(objectKey(secret));
  secrets.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  const accountChanged = (account: KubeObject): void => {
    for (const secret of secrets.lister.list(account.metadata.namespace))
      if (secret.metadata.annotations?.[nameAnnotation] === account.metadata.name) enqueue(secret);
  };
  accounts.addHandler({ onAdd: accountChanged, onDelete: accountChanged });
  const unfollow = settings.onFileChange?.(() => secrets.lister.list().forEach(enqueue));
  return {
    start: () => loop.start(),
    stop() {
      unfollow?.();
      return loop.stop();
    },
  };
};
