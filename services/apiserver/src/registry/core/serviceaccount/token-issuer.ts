import type { KubeObject } from '@pilothouse/apimachinery';

/** Signs ServiceAccount tokens; the authentication layer gives it. */
export interface TokenIssuer {
  /**
   * Answers an authentication.k8s.io/v1 TokenRequest for a ServiceAccount with its status filled. Throws StatusError: 400 for a bad bound
   * object, 404 and 409 for one that is gone, 422 for bad spec.
   */
  issueToken(serviceAccount: KubeObject, request: KubeObject): Promise<KubeObject>;
}
