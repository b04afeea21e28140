const roots = /^\/(api|apis|version|readyz|livez|healthz|openapi)(\/|\?|$)/;
/** They answer with what pods and nodes say, under the console's own address, or are no plain requests. */
const streams = /\/(pods|services|nodes)\/[^/?]+\/(proxy|exec|attach|portforward)(\/|\?|$)/;

/** Why a path of the API is not passed on, or undefined. */
export function refusedPath(path: string): string | undefined {
  if (!roots.test(path)) return 'The console passes on requests to the API only';
  let plain: string;
  try {
    plain = decodeURIComponent(path.split('?')[0] as string);
  } catch {
    return 'The path is not encoded well';
  }
  if (streams.test(path) || streams.test(plain))
    return 'proxy, exec, attach and portforward do not go through the console';
  if (plain.split('/').includes('..')) return 'The path leads out of the API';
  return undefined;
}

/** Media types that are data; whatever else an answer says it is, the browser gets it as text. */
export function safeMediaType(contentType: string | undefined): string {
  const [type = ''] = (contentType ?? '').split(';');
  return ['application/json', 'application/yaml', 'text/plain'].includes(type.trim().toLowerCase())
    ? (contentType as string)
    : 'text/plain; charset=utf-8';
}
