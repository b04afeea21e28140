import { createHttp2Transport, inClusterAccess, RestClient } from '@pilothouse/client';
import { FlagError, nodeClock } from '@pilothouse/host';
import { restorePki, savePki } from '../plane/pki-secrets.ts';

/** Keeps the PKI in the cluster that this process runs in as a pod. */
export function secretsOfThisCluster(prefix: string): {
  restore(directory: string): Promise<void>;
  save(directory: string, kubeconfigDirectory: string): Promise<string[]>;
} {
  const { namespace, ...access } = inClusterAccess(process.env);
  const transport = createHttp2Transport(access, nodeClock);
  const client = new RestClient(transport, { clock: nodeClock, userAgent: 'pilothouse-certs' });
  return {
    restore: (directory) => restorePki(client, namespace, prefix, directory),
    async save(directory, kubeconfigDirectory) {
      if (kubeconfigDirectory === '')
        throw new FlagError('--secret-prefix needs --kubeconfig-dir as well: an empty directory will do');
      const names = await savePki(client, namespace, prefix, directory, kubeconfigDirectory);
      transport.close();
      return names;
    },
  };
}
