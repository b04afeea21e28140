/** What the gate looks at, header values as they came. */
export interface RequestFacts {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
  /** The header that only the console's own script sends. */
  readonly marked: boolean;
}

export interface GateOptions {
  /** `host:port` pairs that the console is called by, in lower case. */
  readonly hosts: readonly string[];
  readonly scheme: 'http' | 'https';
}

/** Pages and their parts are for whoever opens them; a report is shown in a frame of the console; everything else is its script's. */
export type RequestKind = 'page' | 'frame' | 'call';

/** Name of the header by which the console's script marks its calls: another origin cannot send it without being asked first (CORS). */
export const markHeader = 'x-pilothouse-console';

/**
 * Why a request is refused, or undefined. A foreign Host header means that a name was pointed at this address (DNS rebinding); a foreign origin,
 * or a call without the mark, means that another page sent it.
 */
export function refusal(
  facts: RequestFacts,
  kind: RequestKind,
  options: GateOptions,
): { status: number; message: string } | undefined {
  const host = facts.host?.toLowerCase();
  if (host === undefined || !options.hosts.includes(host))
    return {
      status: 421,
      message: `This console does not answer for host ${JSON.stringify(facts.host ?? '')}; see --allowed-hosts`,
    };
  if (facts.origin !== undefined && facts.origin.toLowerCase() !== `${options.scheme}://${host}`)
    return { status: 403, message: 'Requests of other origins are refused' };
  if (kind === 'page')
    return facts.method === 'GET' || facts.method === 'HEAD'
      ? undefined
      : { status: 405, message: `Method ${facts.method} is not allowed here` };
  if (facts.fetchSite !== undefined && facts.fetchSite !== 'same-origin')
    return { status: 403, message: 'Requests of other sites are refused' };
  if (kind === 'frame')
    return facts.method === 'GET'
      ? undefined
      : { status: 405, message: `Method ${facts.method} is not allowed here` };
  if (!facts.marked) return { status: 403, message: `Calls carry the header ${markHeader}` };
  return undefined;
}

const loopbackNames = ['127.0.0.1', 'localhost', '[::1]'];

/** Whether an address to listen on can be reached from this host only. */
export const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || /^127(\.\d{1,3}){3}$/.test(address);

/** `host:port` pairs a console answers for. A name without a port stands for itself and for itself with the console's port. */
export function acceptedHosts(address: string, port: number, given: readonly string[]): string[] {
  const names = isLoopback(address)
    ? [...loopbackNames, address.includes(':') ? `[${address}]` : address]
    : [];
  return [
    ...new Set([
      ...names.map((name) => `${name}:${port}`),
      ...given.flatMap((name) =>
        /:\d+$/.test(name) ? [name.toLowerCase()] : [name.toLowerCase(), `${name.toLowerCase()}:${port}`],
      ),
    ]),
  ];
}
