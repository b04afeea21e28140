/** What a request's path and method mean; upstream's RequestInfo. */
export interface RequestInfo {
  isResourceRequest: boolean;
  path: string;
  /** get list watch create update patch delete deletecollection proxy; the lower-case method of a non-resource request. */
  verb: string;
  /** `api` or `apis`. */
  apiPrefix: string;
  apiGroup: string;
  apiVersion: string;
  namespace: string;
  resource: string;
  subresource: string;
  name: string;
  /** Path segments from the resource on. */
  parts: string[];
  /** True for the old `/watch/` prefix. */
  watchPrefix: boolean;
  fieldSelector?: string;
  labelSelector?: string;
}

/** Words after a namespace's name that are subresources of the namespace, not resources inside it. */
const namespaceSubresources = new Set(['status', 'finalize']);
const specialVerbs = new Set(['proxy', 'watch']);
const methodVerbs: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Segments of a path; empty for `/`. */
export function splitPath(path: string): string[] {
  const trimmed = path.replace(/^\/+|\/+$/g, '');
  return trimmed === '' ? [] : trimmed.split('/');
}

/** Resolves method, decoded path and query. Never throws: what cannot be understood is a non-resource request. */
export function requestInfoOf(method: string, path: string, query: URLSearchParams): RequestInfo {
  const info: RequestInfo = {
    isResourceRequest: false,
    path,
    verb: method.toLowerCase(),
    apiPrefix: '',
    apiGroup: '',
    apiVersion: '',
    namespace: '',
    resource: '',
    subresource: '',
    name: '',
    parts: [],
    watchPrefix: false,
  };
  let parts = splitPath(path);
  const prefix = parts[0];
  if (parts.length < 3 || (prefix !== 'api' && prefix !== 'apis')) return info;
  parts = parts.slice(1);
  info.apiPrefix = prefix;
  if (prefix === 'apis') {
    if (parts.length < 3) return info;
    info.apiGroup = parts[0] as string;
    parts = parts.slice(1);
  }
  info.isResourceRequest = true;
  info.apiVersion = parts[0] as string;
  parts = parts.slice(1);
  const first = parts[0] as string;
  if (specialVerbs.has(first)) {
    if (parts.length < 2) return { ...info, isResourceRequest: false };
    info.verb = first;
    info.watchPrefix = first === 'watch';
    parts = parts.slice(1);
  } else {
    info.verb = methodVerbs[method] ?? '';
  }
  if (parts[0] === 'namespaces' && parts.length > 1) {
    info.namespace = parts[1] as string;
    if (parts.length > 2 && !namespaceSubresources.has(parts[2] as string)) parts = parts.slice(2);
  }
  info.parts = parts;
  info.resource = parts[0] ?? '';
  info.name = parts[1] ?? '';
  if (info.verb !== 'proxy') info.subresource = parts[2] ?? '';
  if (info.name === '' && info.verb === 'get') {
    info.verb = isTrue(query.get('watch')) ? 'watch' : 'list';
    const name = exactName(query.get('fieldSelector') ?? '');
    if (name !== undefined && isPathSegment(name)) info.name = name;
  }
  if (info.name === '' && info.verb === 'delete') info.verb = 'deletecollection';
  if (info.verb === 'list' || info.verb === 'watch' || info.verb === 'deletecollection') {
    const fieldSelector = query.get('fieldSelector');
    const labelSelector = query.get('labelSelector');
    if (fieldSelector) info.fieldSelector = fieldSelector;
    if (labelSelector) info.labelSelector = labelSelector;
  }
  return info;
}

/** Go's parameter conversion for booleans: everything but `false` and `0` counts as true once given. */
export function isTrue(value: string | null): boolean {
  if (value === null) return false;
  return value !== 'false' && value !== '0';
}

/** The name in `metadata.name=x` of a field selector, when it is required exactly. */
function exactName(selector: string): string | undefined {
  for (const term of selector.split(',')) {
    const match = /^metadata\.name(==|=)(.*)$/.exec(term);
    if (match) return match[2];
  }
  return undefined;
}

function isPathSegment(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/%]/.test(name);
}

const longRunningSubresources = new Set(['attach', 'exec', 'proxy', 'log', 'portforward']);

/** Requests without a deadline that in-flight limits do not count: watches, streams and profiles. */
export function isLongRunning(info: RequestInfo): boolean {
  if (!info.isResourceRequest) return info.path.startsWith('/debug/pprof/');
  return info.verb === 'watch' || info.verb === 'proxy' || longRunningSubresources.has(info.subresource);
}
