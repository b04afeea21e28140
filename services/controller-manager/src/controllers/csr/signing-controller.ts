import type { KubeObject } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import { Controller, secondTime } from '@pilothouse/client';
import { parseSigningRequest, signCsr } from '@pilothouse/host';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory, ControllerSettings, SigningPair } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { signers } from './signers.ts';

const minLifetimeMs = 10 * 60_000;

/** Where one signer has a pair of its own, those without one do not sign. */
function authorityOf(settings: ControllerSettings, signerName: string): SigningPair | undefined {
  const own = settings.signers ?? {};
  return Object.keys(own).length > 0 ? own[signerName] : settings.signing;
}

/** Signs approved requests of the built-in signers with the cluster's CA, as its files are at that moment. */
export const createCsrSigningController: ControllerFactory = (context) => {
  const { client, clock, settings } = context;
  const requests = context.informers.informer(resources.certificateSigningRequests);
  const loop = new Controller(loopOptions(context), async (name) => {
    const csr = requests.lister.get(name);
    if (!csr) return;
    const signerName = csr['spec'].signerName as string;
    const validate = signers[signerName];
    const authority = authorityOf(settings, signerName);
    if (!validate || authority === undefined || csr['status']?.certificate !== undefined) return;
    const conditions = (csr['status']?.conditions ?? []) as Condition[];
    const has = (type: string): boolean => findCondition(conditions, type)?.status === 'True';
    if (!has('Approved') || has('Denied') || has('Failed')) return;
    const pem = Buffer.from(csr['spec'].request as string, 'base64').toString('utf8');
    const usages = (csr['spec'].usages ?? []) as string[];
    let request;
    try {
      request = await parseSigningRequest(pem);
    } catch (error) {
      throw new Error(`unable to parse csr "${name}": ${errorMessage(error)}`, { cause: error });
    }
    const problem = validate(request, usages);
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
    const certificate = await signCsr({ certPem: authority.cert, keyPem: authority.key }, pem, {
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
  });
  const enqueue = (csr: KubeObject): void => loop.queue.add(csr.metadata.name ?? '');
  requests.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};
