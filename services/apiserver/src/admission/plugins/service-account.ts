import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, isValidPathSegmentName, hasReason } from '@pilothouse/apimachinery';
import type { Random } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import type { Container, PodSpec, Volume } from '@pilothouse/api/quota';
import { allContainers, isMirrorPod, podSpec } from '@pilothouse/api/quota';
import { forbid, isResource } from '../refusal.ts';

const volumePrefix = 'kube-api-access-';
const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const tokenSeconds = 3607;
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;
const fileMode = 0o644;

/** Each pod gets a ServiceAccount, its image pull secrets and a volume with its token. */
export function serviceAccountPlugin({ objects, random }: AdmissionDependencies): AdmissionPlugin {
  const concerns = (attributes: AdmissionAttributes): boolean =>
    isResource(attributes, '', 'pods') && attributes.object !== undefined;
  return {
    name: 'ServiceAccount',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      if (!concerns(attributes)) return;
      const pod = attributes.object as KubeObject;
      const spec = podSpec(pod);
      if (isMirrorPod(pod)) return checkMirrorPod(attributes, spec);
      if ((spec.serviceAccountName ?? '') === '') {
        spec.serviceAccountName = 'default';
      }
      // The deprecated field mirrors the name in every answer.
      spec.serviceAccount = spec.serviceAccountName as string;
      const account = await findAccount(objects, attributes, spec.serviceAccountName as string);
      if (spec.automountServiceAccountToken ?? (account['automountServiceAccountToken'] as boolean) ?? true) {
        mountToken(spec, random);
      }
      const pullSecrets = account['imagePullSecrets'] as { name?: string }[] | undefined;
      if ((spec.imagePullSecrets?.length ?? 0) === 0 && pullSecrets !== undefined && pullSecrets.length > 0) {
        spec.imagePullSecrets = pullSecrets.map((secret) => ({ ...secret }));
      }
    },
    async validate(attributes) {
      if (!concerns(attributes)) return;
      const pod = attributes.object as KubeObject;
      const spec = podSpec(pod);
      if (isMirrorPod(pod)) return checkMirrorPod(attributes, spec);
      const account = await findAccount(objects, attributes, spec.serviceAccountName ?? '');
      if (account.metadata.annotations?.['kubernetes.io/enforce-mountable-secrets'] === 'true') {
        checkMountableSecrets(attributes, spec, account);
      }
    },
  };
}

async function findAccount(
  objects: AdmissionDependencies['objects'],
  attributes: AdmissionAttributes,
  name: string,
): Promise<KubeObject> {
  const cached = objects.cached(resources.serviceAccounts).get(attributes.namespace, name);
  if (cached !== undefined) return cached;
  try {
    return await objects.get(resources.serviceAccounts, attributes.namespace, name);
  } catch (error) {
    const illegal = isValidPathSegmentName(name);
    const cause =
      illegal.length > 0
        ? `invalid resource name ${goQuote(name)}: [${illegal.join(' ')}]`
        : hasReason(error, 'NotFound')
          ? `serviceaccount ${goQuote(name)} not found`
          : errorMessage(error);
    throw forbid(attributes, `error looking up service account ${attributes.namespace}/${name}: ${cause}`);
  }
}

function checkMirrorPod(attributes: AdmissionAttributes, spec: PodSpec): void {
  if ((spec.serviceAccountName ?? '') !== '') {
    throw forbid(attributes, 'a mirror pod may not reference service accounts');
  }
  if (secretReferences(spec).length > 0) throw forbid(attributes, 'a mirror pod may not reference secrets');
  for (const volume of spec.volumes ?? []) {
    for (const source of (volume['projected']?.sources as Record<string, unknown>[] | undefined) ?? []) {
      if (source['serviceAccountToken'] !== undefined) {
        throw forbid(attributes, 'a mirror pod may not use ServiceAccountToken volume projections');
      }
    }
  }
}

function mountToken(spec: PodSpec, random: Random): void {
  const existing = (spec.volumes ?? []).find((volume) => volume.name.startsWith(volumePrefix));
  const name = existing?.name ?? `${volumePrefix}${suffix(random)}`;
  let needed = false;
  for (const container of [...(spec.initContainers ?? []), ...spec.containers]) {
    if (container.volumeMounts?.some((mount) => mount.mountPath === tokenMountPath) === true) continue;
    (container.volumeMounts ??= []).push({ name, readOnly: true, mountPath: tokenMountPath });
    needed = true;
  }
  if (needed && existing === undefined) (spec.volumes ??= []).push(tokenVolume(name));
}

function tokenVolume(name: string): Volume {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: fileMode,
    },
  };
}

function suffix(random: Random): string {
  let text = '';
  for (let index = 0; index < suffixLength; index++) {
    text += suffixAlphabet[random.integer(suffixAlphabet.length)];
  }
  return text;
}

interface SecretReference {
  readonly name: string;
  readonly text: string;
}

/** Secrets that a pod names, with how a message calls the reference. */
function secretReferences(spec: PodSpec): SecretReference[] {
  const found: SecretReference[] = [];
  for (const volume of spec.volumes ?? []) {
    const name = volume['secret']?.secretName as string | undefined;
    if (name !== undefined) found.push({ name, text: `volume with secret.secretName=${goQuote(name)}` });
    for (const source of (volume['projected']?.sources as { secret?: { name?: string } }[] | undefined) ??
      []) {
      if (source.secret?.name !== undefined) {
        found.push({
          name: source.secret.name,
          text: `volume with secret.secretName=${goQuote(source.secret.name)}`,
        });
      }
    }
  }
  for (const container of allContainers(spec)) found.push(...containerReferences(container));
  return found;
}

function containerReferences(container: Container): SecretReference[] {
  const found: SecretReference[] = [];
  const variables = (container['env'] ?? []) as {
    name: string;
    valueFrom?: { secretKeyRef?: { name?: string } };
  }[];
  for (const variable of variables) {
    const name = variable.valueFrom?.secretKeyRef?.name;
    if (name !== undefined) {
      found.push({
        name,
        text: `container ${container.name} with envVar ${variable.name} referencing secret.secretName=${goQuote(name)}`,
      });
    }
  }
  for (const source of (container['envFrom'] ?? []) as { secretRef?: { name?: string } }[]) {
    const name = source.secretRef?.name;
    if (name !== undefined) {
      found.push({
        name,
        text: `container ${container.name} with envFrom referencing secret.secretName=${goQuote(name)}`,
      });
    }
  }
  return found;
}

function checkMountableSecrets(attributes: AdmissionAttributes, spec: PodSpec, account: KubeObject): void {
  const mountable = ((account['secrets'] as { name?: string }[] | undefined) ?? []).map(
    (secret) => secret.name,
  );
  const accountName = account.metadata.name ?? '';
  for (const { name, text } of secretReferences(spec)) {
    if (!mountable.includes(name)) {
      throw forbid(
        attributes,
        `${text} is not allowed because service account ${accountName} does not reference that secret`,
      );
    }
  }
  const pull = ((account['imagePullSecrets'] as { name?: string }[] | undefined) ?? []).map(
    (secret) => secret.name,
  );
  for (const secret of spec.imagePullSecrets ?? []) {
    if (!pull.includes(secret.name)) {
      throw forbid(
        attributes,
        `imagePullSecret ${goQuote(secret.name ?? '')} is not allowed because service account ${accountName} does not reference that imagePullSecret`,
      );
    }
  }
}
