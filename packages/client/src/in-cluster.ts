import { readFileSync } from 'node:fs';
import path from 'node:path';
import { errorMessage } from '@pilothouse/base';
import { KubeconfigError } from './errors.ts';
import type { ClusterAccess } from './kubeconfig.ts';

/** Where a pod finds its service account (Kubernetes, "Accessing the API from a Pod"). */
export const serviceAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/** How a pod reaches the API of the cluster it runs in, and the namespace it runs in. */
export function inClusterAccess(
  environment: Readonly<Record<string, string | undefined>>,
  directory = serviceAccountDirectory,
): ClusterAccess & { readonly namespace: string } {
  const host = environment['KUBERNETES_SERVICE_HOST'];
  const port = environment['KUBERNETES_SERVICE_PORT'];
  if (!host || !port)
    throw new KubeconfigError(
      'Not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; want a kubeconfig',
    );
  const read = (name: string): string => {
    try {
      return readFileSync(path.join(directory, name), 'utf8');
    } catch (error) {
      throw new KubeconfigError(`Cannot read the service account: ${errorMessage(error)}`);
    }
  };
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: read('ca.crt'),
    token: read('token').trim(),
    namespace: read('namespace').trim(),
  };
}
