import { fieldError } from '@pilothouse/apimachinery';
import { specPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';

/**
 * Behind gate PodCertificateRequest, which is off by default. Nothing here checks that who asks holds the key, and signers rely on that: none
 * can be made.
 */
export const podCertificateRequestStrategy: ResourceStrategy = {
  group: 'certificates.k8s.io',
  version: 'v1beta1',
  kind: 'PodCertificateRequest',
  resource: 'podcertificaterequests',
  validate: () => [
    fieldError.forbidden(
      specPath,
      'this server cannot take PodCertificateRequests: it does not check their proof of possession',
    ),
  ],
};
