import type { TlsPolicy } from '@pilothouse/host';
import { tlsCurvesFrom, tlsPolicyFrom } from '@pilothouse/host';
import { given } from './flag-values.ts';
import type { FlagValues } from './flag-values.ts';

export type { TlsPolicy } from '@pilothouse/host';
export { defaultTlsPolicy } from '@pilothouse/host';

/** --tls-min-version, --tls-cipher-suites and --tls-curve-preferences. Throws FlagError, also for versions below 1.2. */
export function tlsPolicyOf(values: FlagValues): TlsPolicy {
  return {
    ...tlsPolicyFrom(values.text('tls-min-version'), values.list('tls-cipher-suites')),
    ...given('ecdhCurve', tlsCurvesFrom(values.list('tls-curve-preferences'))),
  };
}
