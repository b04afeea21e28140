import { isDeepStrictEqual } from 'node:util';
import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote } from '@pilothouse/apimachinery';
import { errorMessage } from '@pilothouse/base';
import { parseSigningRequest } from '@pilothouse/host';
import type { UserInfo } from '../../authentication/interface.ts';
import type { Authorizer } from '../../authorization/interface.ts';
import { resourceAttributes } from '../../authorization/interface.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionPlugin } from '../interface.ts';
import { forbid, isResource } from '../refusal.ts';

const group = 'certificates.k8s.io';
const requests = 'certificatesigningrequests';
const clientSigner = 'kubernetes.io/kube-apiserver-client';

/** Whether `user` may `verb` (approve, sign, attest) for a signer, named in full or as `domain/*`. */
async function mayActForSigner(
  authorizer: Authorizer,
  user: UserInfo,
  verb: string,
  signerName: string,
): Promise<boolean> {
  const domain = signerName.split('/')[0] as string;
  for (const name of [signerName, `${domain}/*`]) {
    const attributes = resourceAttributes(user, verb, { apiGroup: group, resource: 'signers', name });
    if ((await authorizer.authorize(attributes)).decision === 'allow') return true;
  }
  return false;
}

function signerOf(object: KubeObject | undefined): string {
  return (object?.['spec']?.signerName as string | undefined) ?? '';
}

/** Only who may approve for its signer decides on a request. */
export function certificateApproval({ authorizer }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'CertificateApproval',
    handles: (operation) => operation === 'UPDATE',
    async validate(attributes) {
      if (!isResource(attributes, group, requests, 'approval')) return;
      const signer = signerOf(attributes.oldObject);
      if (!(await mayActForSigner(authorizer, attributes.user, 'approve', signer))) {
        throw forbid(attributes, `user not permitted to approve requests with signerName ${goQuote(signer)}`);
      }
    },
  };
}

/** Only who may sign for its signer puts a certificate into a request. */
export function certificateSigning({ authorizer }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'CertificateSigning',
    handles: (operation) => operation === 'UPDATE',
    async validate(attributes) {
      const { object, oldObject } = attributes;
      if (!isResource(attributes, group, requests, 'status')) return;
      const unchanged =
        object?.['status']?.certificate === oldObject?.['status']?.certificate &&
        isDeepStrictEqual(object?.['status']?.conditions ?? [], oldObject?.['status']?.conditions ?? []);
      if (unchanged) return;
      const signer = signerOf(oldObject);
      if (!(await mayActForSigner(authorizer, attributes.user, 'sign', signer))) {
        throw forbid(attributes, `user not permitted to sign requests with signerName ${goQuote(signer)}`);
      }
    },
  };
}

/** Only who may attest for its signer writes a ClusterTrustBundle of that signer. */
export function clusterTrustBundleAttest({ authorizer }: AdmissionDependencies): AdmissionPlugin {
  return {
    name: 'ClusterTrustBundleAttest',
    handles: (operation) => operation === 'CREATE' || operation === 'UPDATE',
    async validate(attributes) {
      if (!isResource(attributes, group, 'clustertrustbundles')) return;
      const signer = signerOf(attributes.object);
      const isSame = isDeepStrictEqual(attributes.object?.['spec'], attributes.oldObject?.['spec']);
      if (signer === '' || (attributes.operation === 'UPDATE' && isSame)) return;
      if (!(await mayActForSigner(authorizer, attributes.user, 'attest', signer))) {
        throw forbid(attributes, `user not permitted to attest for signerName ${goQuote(signer)}`);
      }
    },
  };
}

/** The signer of client certificates never makes a member of system:masters. */
export function certificateSubjectRestriction(): AdmissionPlugin {
  return {
    name: 'CertificateSubjectRestriction',
    handles: (operation) => operation === 'CREATE',
    async validate(attributes) {
      const { object } = attributes;
      if (!isResource(attributes, group, requests) || signerOf(object) !== clientSigner) return;
      const pem = Buffer.from((object?.['spec']?.request as string | undefined) ?? '', 'base64').toString(
        'utf8',
      );
      let organizations: readonly string[];
      try {
        ({ organizations } = await parseSigningRequest(pem));
      } catch (error) {
        throw forbid(attributes, `failed to parse CSR: ${errorMessage(error)}`);
      }
      if (organizations.includes('system:masters')) {
        throw forbid(attributes, `use of ${clientSigner} signer with system:masters group is not allowed`);
      }
    },
  };
}
