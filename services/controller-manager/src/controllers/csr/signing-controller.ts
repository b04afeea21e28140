import type { KubeObject } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import { Controller, secondTime } from '@pilothouse/client';
import type { SigningRequest } from '@pilothouse/host';
import { parseSigningRequest, signCsr } from '@pilothouse/host';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';

const minLifetimeMs = 10 * 60_000;

type Problem = string | undefined;

const setEquals = (left: readonly string[], right: readonly string[]): boolean =>
  left.length === right.length && left.every((each) => right.includes(each));

/** What each built-in signer asks of a request (KEP-1513); undefined: fine. */
const signers: Readonly<Record<string, (request: SigningRequest, usages: readonly string[]) => Problem>> = {
  'kubernetes.io/kube-apiserver-client': (_request, usages) =>
    usages.includes('client auth') &&
    usages.every((each) => ['client auth', 'digital signature', 'key encipherment'].includes(each))
      ? undefined
      : 'usages must be client auth, with digital signature and key encipherment at most',
  'kubernetes.io/kube-apiserver-client-kubelet': (request, usages) => {
    if (!setEquals(request.organizations, ['system:nodes']))
      return 'subject organization is not system:nodes';
    if (request.dnsNames.length > 0 || request.ipAddresses.length > 0)
      return 'DNS or IP subjectAltNames are not allowed';
    if (!request.commonName.startsWith('system:node:'))
      return "subject common name does not begin with 'system:node:'";
    return setEquals(usages, ['digital signature', 'client auth']) ||
      setEquals(usages, ['key encipherment', 'digital signature', 'client auth'])
      ? undefined
      : 'usages did not match expected usages';
  },
  'kubernetes.io/kubelet-serving': (request, usages) => {
    if (!setEquals(request.organizations, ['system:nodes']))
      return 'subject organization is not system:nodes';
    if (!request.commonName.startsWith('system:node:'))
      return "subject common name does not begin with 'system:node:'";
    if (request.dnsNames.length === 0 && request.ipAddresses.length === 0)
      return 'at least one DNS or IP subjectAltName is required';
    return setEquals(usages, ['digital signature', 'server auth']) ||
      setEquals(usages, ['key encipherment', 'digital signature', 'server auth'])
      ? undefined
      : 'usages did not match expected usages';
  },
};

/** Signs approved requests of the built-in signers with the cluster's CA. */
export const createCsrSigningController: ControllerFactory = (context) => {
  const { client, clock, settings } = context;
  const requests = context.informers.informer(resources.certificateSigningRequests);
  const loop = new Controller(
    { name: context.name, clock, logger: context.logger, observe: context.observe },
    async (name) => {
      const csr = requests.lister.get(name);
      if (!csr || settings.signingCert === undefined || settings.signingKey === undefined) return;
      const validate = signers[csr['spec'].signerName as string];
      const conditions = (csr['status']?.conditions ?? []) as Condition[];
      const has = (type: string): boolean => findCondition(conditions, type)?.status === 'True';
      if (
        !validate ||
        csr['status']?.certificate !== undefined ||
        !has('Approved') ||
        has('Denied') ||
        has('Failed')
      )
        return;
      const pem = Buffer.from(csr['spec'].request as string, 'base64').toString('utf8');
      const usages = (csr['spec'].usages ?? []) as string[];
      let problem: Problem;
      try {
        problem = validate(await parseSigningRequest(pem), usages);
      } catch (error) {
        problem = `unable to parse csr "${name}": ${errorMessage(error)}`;
      }
      if (problem !== undefined) {
        const now = secondTime(clock.now());
        const failed = {
          type: 'Failed',
          status: 'True',
          reason: 'SignerValidationFailure',
          message: problem,
          lastUpdateTime: now,
          lastTransitionTime: now,
        };
        await client.update(
          resources.certificateSigningRequests,
          { ...csr, status: { ...csr['status'], conditions: [...conditions, failed] } },
          { subresource: 'status' },
        );
        return;
      }
      const asked = csr['spec'].expirationSeconds as number | undefined;
      const lifetimeMs =
        asked === undefined
          ? settings.signingDurationMs
          : Math.min(settings.signingDurationMs, Math.max(minLifetimeMs, asked * 1000));
      const certificate = await signCsr({ certPem: settings.signingCert, keyPem: settings.signingKey }, pem, {
        usages,
        lifetimeMs,
        nowMs: clock.now(),
      });
      await client.update(
        resources.certificateSigningRequests,
        {
          ...csr,
          status: { ...csr['status'], certificate: Buffer.from(certificate, 'utf8').toString('base64') },
        },
        { subresource: 'status' },
      );
    },
  );
  const enqueue = (csr: KubeObject): void => loop.queue.add(csr.metadata.name ?? '');
  requests.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};
