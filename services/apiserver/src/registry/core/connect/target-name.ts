/** `name`, `name:port` or `scheme:name:port`, with an empty scheme for http. Undefined for anything else. */
export function parseTargetName(
  id: string,
): { scheme: 'http' | 'https'; name: string; port: string } | undefined {
  const parts = id.split(':');
  if (parts.length > 3) return undefined;
  const scheme = parts.length === 3 ? (parts[0] as string) : '';
  const name = parts.length === 3 ? (parts[1] as string) : (parts[0] as string);
  const port = parts.length === 3 ? (parts[2] as string) : (parts[1] ?? '');
  if (name === '' || !['', 'http', 'https'].includes(scheme)) return undefined;
  return { scheme: scheme === 'https' ? 'https' : 'http', name, port };
}

/** The path behind `proxy` as it goes to the workload: encoded again, and with the slash that the request ended with. */
export function workloadPath(path: string, query: URLSearchParams, endsWithSlash: boolean): string {
  const encoded = encodeURI(path).replace(/[?#]/g, encodeURIComponent);
  const slash = endsWithSlash && !encoded.endsWith('/') ? '/' : '';
  const text = query.toString();
  const whole = encoded === '' ? slash : `/${encoded}${slash}`;
  return text === '' ? whole : `${whole}?${text}`;
}
