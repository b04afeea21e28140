import type { KubeObject } from '@pilothouse/apimachinery';
import { Controller, secondTime } from '@pilothouse/client';
import { parseSigningRequest } from '@pilothouse/host';
import type { SigningRequest } from '@pilothouse/host';
import type { Condition } from '../../common/conditions.ts';
import { findCondition } from '../../common/conditions.ts';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { kubeletClientProblem } from './signers.ts';

const signer = 'kubernetes.io/kube-apiserver-client-kubelet';
const accessReviews = { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews' };

interface Recognizer {
  readonly subresource: string;
  readonly message: string;
  fits(request: SigningRequest, username: string): boolean;
}

const recognizers: readonly Recognizer[] = [
  {
    subresource: 'selfnodeclient',
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
    fits: (request, username) => request.commonName === username,
  },
  {
    subresource: 'nodeclient',
    message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
    fits: () => true,
  },
];

/** Approves nodes' requests for client certificates when the requester may have such. */
export const createCsrApprovingController: ControllerFactory = (context) => {
  const { client, clock } = context;
  const requests = context.informers.informer(resources.certificateSigningRequests);
  const loop = new Controller(loopOptions(context), async (name) => {
    const csr = requests.lister.get(name);
    if (!csr || csr['spec'].signerName !== signer || csr['status']?.certificate !== undefined) return;
    const conditions = (csr['status']?.conditions ?? []) as Condition[];
    if (findCondition(conditions, 'Approved') || findCondition(conditions, 'Denied')) return;
    let request: SigningRequest;
    try {
      request = await parseSigningRequest(Buffer.from(csr['spec'].request as string, 'base64').toString());
    } catch {
      // Not a request that this controller knows; the signer will tell.
      return;
    }
    if (kubeletClientProblem(request, (csr['spec'].usages ?? []) as string[]) !== undefined) return;
    const { username = '', uid, groups, extra } = csr['spec'] as Record<string, never>;
    for (const { subresource, message, fits } of recognizers) {
      if (!fits(request, username)) continue;
      const review = await client.create(accessReviews, {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        metadata: {},
        spec: {
          user: username,
          uid,
          groups,
          extra,
          resourceAttributes: {
            group: 'certificates.k8s.io',
            resource: 'certificatesigningrequests',
            verb: 'create',
            subresource,
          },
        },
      });
      if (review['status']?.allowed !== true) continue;
      const now = secondTime(clock.now());
      const approved = {
        type: 'Approved',
        status: 'True',
        reason: 'AutoApproved',
        message,
        lastUpdateTime: now,
        lastTransitionTime: now,
      };
      await client.update(
        resources.certificateSigningRequests,
        { ...csr, status: { ...csr['status'], conditions: [...conditions, approved] } },
        { subresource: 'approval' },
      );
      return;
    }
    if (recognizers.some(({ fits }) => fits(request, username)))
      throw new Error(`recognized csr "${name}" but subject access review was not approved`);
  });
  const enqueue = (csr: KubeObject): void => loop.queue.add(csr.metadata.name ?? '');
  requests.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};
