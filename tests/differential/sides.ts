import path from 'node:path';
import { ensurePki } from '@pilothouse/host';
import { startApiSide } from '../../loadtest/bench/api-servers.ts';
import { Client } from './client.ts';

export interface Sides {
  readonly stock: Client;
  readonly ours: Client;
  stop(): Promise<void>;
}

/** A stock API server on a real etcd beside ours on our store, with the same flags and certificates. */
export async function startSides(
  directory: string,
  programs: { readonly etcd: string; readonly kubeApiserver: string },
): Promise<Sides> {
  const pki = await ensurePki(path.join(directory, 'pki'), { serviceAddress: '10.0.0.1' });
  const upstream = await startApiSide('upstream', pki, directory, programs);
  const own = await startApiSide('ours', pki, directory, undefined).catch(async (error: unknown) => {
    await upstream.stop();
    throw error;
  });
  const credentials = { ca: pki.ca.certPem, cert: pki.admin.certPem, key: pki.admin.keyPem };
  const stock = new Client(upstream.url, credentials);
  const ours = new Client(own.url, credentials);
  return {
    stock,
    ours,
    async stop() {
      stock.close();
      ours.close();
      await own.stop();
      await upstream.stop();
    },
  };
}
