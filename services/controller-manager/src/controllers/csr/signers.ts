import type { SigningRequest } from '@pilothouse/host';

/** Why a signer does not sign; undefined: it does. */
export type Problem = string | undefined;

const nodesOrganization = 'system:nodes';
const nodePrefix = 'system:node:';

const hasExactly = (left: readonly string[], right: readonly string[]): boolean => {
  const set = new Set(left);
  return set.size === right.length && right.every((each) => set.has(each));
};

/** Usages with key encipherment or without: keys that are not RSA cannot encipher. */
function usagesProblem(usages: readonly string[], purpose: 'client auth' | 'server auth'): Problem {
  const needed = ['digital signature', purpose];
  const withRsa = ['key encipherment', ...needed];
  return hasExactly(usages, needed) || hasExactly(usages, withRsa)
    ? undefined
    : `usages did not match [${[...withRsa].sort().join(' ')}]`;
}

const isOfNodes = (request: SigningRequest): boolean =>
  request.organizations.length === 1 && request.organizations[0] === nodesOrganization;

/** What the client certificate of a kubelet must look like. */
export function kubeletClientProblem(request: SigningRequest, usages: readonly string[]): Problem {
  if (!isOfNodes(request)) return 'subject organization is not system:nodes';
  if (request.dnsNames.length > 0) return 'DNS subjectAltNames are not allowed';
  if (request.emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  if (request.ipAddresses.length > 0) return 'IP subjectAltNames are not allowed';
  if (request.uris.length > 0) return 'URI subjectAltNames are not allowed';
  if (!request.commonName.startsWith(nodePrefix))
    return 'subject common name does not begin with system:node:';
  return usagesProblem(usages, 'client auth');
}

/** What the serving certificate of a kubelet must look like. Whether the names are the node's is up to who approves. */
export function kubeletServingProblem(request: SigningRequest, usages: readonly string[]): Problem {
  if (!isOfNodes(request)) return 'subject organization is not system:nodes';
  if (request.dnsNames.length === 0 && request.ipAddresses.length === 0)
    return 'DNS or IP subjectAltName is required';
  if (request.emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  if (request.uris.length > 0) return 'URI subjectAltNames are not allowed';
  const problem = usagesProblem(usages, 'server auth');
  if (problem !== undefined) return problem;
  return request.commonName.startsWith(nodePrefix)
    ? undefined
    : 'subject common name does not begin with system:node:';
}

function apiServerClientProblem(_request: SigningRequest, usages: readonly string[]): Problem {
  const other = usages.find(
    (each) => !['digital signature', 'key encipherment', 'client auth'].includes(each),
  );
  if (other !== undefined) return `invalid usage for client certificate: ${other}`;
  return usages.includes('client auth')
    ? undefined
    : 'missing required usage for client certificate: client auth';
}

/** What each built-in signer asks of a request (KEP-1513), in upstream's words. */
export const signers: Readonly<
  Record<string, (request: SigningRequest, usages: readonly string[]) => Problem>
> = {
  'kubernetes.io/kube-apiserver-client': apiServerClientProblem,
  'kubernetes.io/kube-apiserver-client-kubelet': kubeletClientProblem,
  'kubernetes.io/kubelet-serving': kubeletServingProblem,
  'kubernetes.io/legacy-unknown': () => undefined,
};
