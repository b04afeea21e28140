import { pattern } from '@pilothouse/api/cel';
import { FlagError } from '@pilothouse/host';
import type { FlagValues } from './flag-values.ts';

/** How the port treats browsers and connections. */
export interface EdgeConfig {
  /** Regular expressions (RE2) of the origins whose pages may call the API. */
  readonly corsOrigins: readonly string[];
  /** The header Strict-Transport-Security; empty: none. */
  readonly strictTransportSecurity: string;
  /** False: HTTP/1.1 only. */
  readonly http2: boolean;
  /** Requests that a client may have open on an HTTP/2 connection; undefined: the default. */
  readonly http2StreamsMax: number | undefined;
  /** So long after the start /livez does not mind start-up work that is not finished. */
  readonly livezGraceMs: number;
}

/** Throws FlagError. */
export function edgeConfigOf(values: FlagValues): EdgeConfig {
  const streams = values.number('http2-max-streams-per-connection');
  if (streams < 0) throw new FlagError('--http2-max-streams-per-connection can not be negative value');
  const grace = values.number('livez-grace-period');
  if (grace < 0) throw new FlagError('--livez-grace-period can not be a negative value');
  return {
    corsOrigins: values.list('cors-allowed-origins').map(checkedOrigin),
    strictTransportSecurity: values
      .list('strict-transport-security-directives')
      .map(checkedDirective)
      .join('; '),
    http2: !values.boolean('disable-http2-serving'),
    http2StreamsMax: streams === 0 ? undefined : streams,
    livezGraceMs: grace,
  };
}

function checkedOrigin(text: string): string {
  if (text === '') throw new FlagError('empty value in --cors-allowed-origins');
  try {
    pattern(text);
  } catch (error) {
    throw new FlagError(
      `--cors-allowed-origins has an invalid regular expression: ${(error as Error).message}`,
    );
  }
  // Without these `example.com` would also admit `example.com.evil.net` (CVE-2022-1996).
  const isPinned = /\^|\/\//.test(text) && /[$:]/.test(text);
  if (!isPinned)
    throw new FlagError(
      `--cors-allowed-origins has an invalid regular expression: regular expression does not pin to start/end of host in the origin header: ${text}`,
    );
  return text;
}

/** RFC 6797, section 6.1. */
function checkedDirective(text: string): string {
  if (text.trim() === '') throw new FlagError('empty value in strict-transport-security-directives');
  if (text === 'includeSubDomains' || text === 'preload' || /^max-age=[^=]*$/.test(text)) return text;
  throw new FlagError(
    '--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload. see https://tools.ietf.org/html/rfc6797#section-6.1 for more information',
  );
}
