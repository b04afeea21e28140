import { readFile } from 'node:fs/promises';
import type { Clock } from '@pilothouse/base';
import type { DelegatedAccessOptions } from './delegated-access.ts';
import { DelegatedAccess, publishedAuthorities } from './delegated-access.ts';
import { createHttp2Transport } from './http2-transport.ts';
import { loadKubeconfig } from './kubeconfig.ts';
import { RestClient } from './rest-client.ts';

/** Who may read what a component tells of itself; see host's `delegatedAccessSettings`. Times in milliseconds. */
export interface DelegatedAccessFiles extends Pick<
  DelegatedAccessOptions,
  'alwaysAllowPaths' | 'tokenTtlMs' | 'authorizedTtlMs' | 'unauthorizedTtlMs'
> {
  readonly authenticationKubeconfig: string;
  readonly authorizationKubeconfig: string;
  readonly clientCaFile: string;
  readonly skipLookup: boolean;
}

/** Connects to the API servers that the kubeconfigs name. Throws on files that cannot be read. */
export function openDelegatedAccess(
  settings: DelegatedAccessFiles,
  options: { readonly clock: Clock; readonly userAgent: string },
): { readonly access: DelegatedAccess; close(): void } {
  const { clock, userAgent } = options;
  const transports: { close(): void }[] = [];
  const clientOf = (file: string): RestClient | undefined => {
    if (file === '') return undefined;
    const transport = createHttp2Transport(loadKubeconfig(file), clock);
    transports.push(transport);
    return new RestClient(transport, { clock, userAgent });
  };
  const authentication = clientOf(settings.authenticationKubeconfig);
  const authorization = clientOf(settings.authorizationKubeconfig);
  const { clientCaFile, skipLookup } = settings;
  const none = (): Promise<string> => Promise.resolve('');
  const clientAuthorities =
    clientCaFile !== ''
      ? () => readFile(clientCaFile, 'utf8')
      : authentication === undefined || skipLookup
        ? none
        : publishedAuthorities(authentication, clock);
  return {
    access: new DelegatedAccess({ ...settings, authentication, authorization, clientAuthorities, clock }),
    close: () => transports.forEach((transport) => transport.close()),
  };
}
