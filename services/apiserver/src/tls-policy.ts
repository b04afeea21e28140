import type { TlsPolicy } from '@pilothouse/host';
import { tlsPolicyFrom } from '@pilothouse/host';
import type { FlagValues } from './flag-values.ts';

export type { TlsPolicy } from '@pilothouse/host';
export { defaultTlsPolicy } from '@pilothouse/host';

/** --tls-min-version and --tls-cipher-suites. Throws FlagError, also for versions below 1.2. */
export function tlsPolicyOf(values: FlagValues): TlsPolicy {
  return tlsPolicyFrom(values.text('tls-min-version'), values.list('tls-cipher-suites'));
}
