/**
 * Where an OTLP collector listens, for gRPC in clear text: `host:port`, `dns:///host:port`, `http://host:port` or `unix:///path`.
 * Gives the form that the exporter takes. Throws an Error with a sentence for people.
 */
export function otlpEndpoint(text: string): string {
  const problem = (why: string): Error =>
    new Error(`invalid OTLP endpoint ${JSON.stringify(text)}: ${why}; want host:port or unix:///path`);
  if (text.startsWith('unix:')) {
    const path = text.replace(/^unix:(\/\/)?/, '');
    if (!path.startsWith('/')) throw problem('the path of a socket starts with a slash');
    return `unix://${path}`;
  }
  const scheme = /^([a-z-]+):\/\//.exec(text)?.[1];
  if (scheme !== undefined && scheme !== 'dns' && scheme !== 'http')
    throw problem(`unsupported scheme "${scheme}"`);
  const authority = text.replace(/^[a-z-]+:\/\/\/?/, '');
  if (!/^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):\d{1,5}$/.test(authority)) throw problem('no host and port');
  return `http://${authority}`;
}
