/** What a request to the node's server needs permission for: any one of these subresources of the node. */
export interface RequestAttributes {
  readonly verb: string;
  readonly subresources: readonly string[];
}

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Fine-grained subresources are asked for first, `proxy` stands for everything that has none of its own (kubelet's rules). */
const byPrefix: readonly [string, readonly string[]][] = [
  ['/stats', ['stats']],
  ['/metrics', ['metrics']],
  ['/logs', ['log']],
  ['/checkpoint', ['checkpoint']],
  ['/pods', ['pods', 'proxy']],
  ['/runningpods', ['pods', 'proxy']],
  ['/healthz', ['healthz', 'proxy']],
  ['/configz', ['configz', 'proxy']],
  ['/statusz', ['statusz']],
  ['/flagz', ['configz']],
];

export function requestAttributes(method: string, path: string): RequestAttributes {
  const found = byPrefix.find(([prefix]) => path === prefix || path.startsWith(`${prefix}/`));
  return { verb: verbs[method] ?? '', subresources: found?.[1] ?? ['proxy'] };
}
