import { errorMessage } from '@pilothouse/base';
import { FlagError } from '@pilothouse/host';
import { formatDuration } from '@pilothouse/serializer';
import type { ServiceAccountConfig } from './config.ts';
import type { SignerPorts } from './external-signer.ts';
import { ExternalSigner } from './external-signer.ts';
import { SignerClient } from './signer-client.ts';

/** The signer of --service-account-signing-endpoint. Throws FlagError when the signer does not answer, or not as the flags want it. */
export async function openSigner(
  accounts: ServiceAccountConfig | undefined,
  ports: SignerPorts,
): Promise<ExternalSigner | undefined> {
  if (accounts?.signingEndpoint === undefined) return undefined;
  const service = new SignerClient(accounts.signingEndpoint, ports.clock, ports.series?.signer);
  const signer = await ExternalSigner.open(service, ports).catch((error: unknown) => {
    service.close();
    throw new FlagError(errorMessage(error));
  });
  const { maxExpirationSeconds = 0 } = accounts;
  if (maxExpirationSeconds <= signer.maxTokenSeconds) return signer;
  signer.close();
  throw new FlagError(
    `service-account-max-token-expiration cannot be set longer than the token expiration supported by service-account-signing-endpoint: ${formatDuration(maxExpirationSeconds * 1e9)} > ${formatDuration(signer.maxTokenSeconds * 1e9)}`,
  );
}
