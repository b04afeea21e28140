import type { BuiltinResource, BuiltinSubresource } from '../discovery-data.ts';
import { operationFacts } from '../generated/operations.ts';
import { builtinSchemas } from '../schemas.ts';

/** One HTTP method of a path, before it is rendered as v2 or v3. */
export interface PathOperation {
  readonly method: string;
  readonly action: string;
  readonly operationId: string;
  readonly description: string;
  readonly tag: string;
  /** Query parameter names. */
  readonly query: readonly string[];
  readonly consumes: readonly string[];
  readonly produces: readonly string[];
  readonly codes: readonly string[];
  readonly body?: { readonly type: TypeName; readonly required: boolean };
  readonly returns: TypeName;
  readonly gvk?: readonly [group: string, version: string, kind: string];
}

/** A message or kind to refer to, or a plain string. */
export type TypeName =
  | { readonly kind: 'message'; readonly message: string }
  | { readonly kind: 'kind'; readonly gvk: readonly [group: string, version: string, kind: string] }
  | { readonly kind: 'string' };

export interface PathEntry {
  readonly path: string;
  readonly pathParameters: readonly string[];
  readonly operations: readonly PathOperation[];
}

const metaMessage = (name: string): TypeName => ({
  kind: 'message',
  message: `k8s.io.apimachinery.pkg.apis.meta.v1.${name}`,
});
const status = metaMessage('Status');
const text: TypeName = { kind: 'string' };

/** Media types of a gate that is off are not published. */
const hidden = new Set(operationFacts.gatedInSnapshot['CBORServingAndStorage']);
const visible = (types: readonly string[]): string[] => types.filter((type) => !hidden.has(type));

/** Resources whose DELETE answers with the object instead of a Status. */
const deleteReturnsObject = new Set([
  'csidrivers.storage.k8s.io',
  'csinodes.storage.k8s.io',
  'storageclasses.storage.k8s.io',
  'volumeattachments.storage.k8s.io',
  'volumeattributesclasses.storage.k8s.io',
  'deviceclasses.resource.k8s.io',
  'resourceclaims.resource.k8s.io',
  'resourceclaimtemplates.resource.k8s.io',
  'resourceslices.resource.k8s.io',
  'persistentvolumeclaims.',
  'persistentvolumes.',
  'pods.',
  'podtemplates.',
  'resourcequotas.',
  'serviceaccounts.',
  'services.',
]);

const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** `rbac.authorization.k8s.io` → `rbacAuthorization`; the legacy group is `core`. */
export function groupWord(group: string): string {
  if (group === '') return 'core';
  return group
    .replace(/\.k8s\.io$/, '')
    .split(/[.-]/)
    .map((part, index) => (index === 0 ? part : capital(part)))
    .join('');
}

export const groupVersionTag = (group: string, version: string): string => `${groupWord(group)}_${version}`;

/** `AppsV1`, as in operation ids. */
export const groupVersionTitle = (group: string, version: string): string =>
  capital(groupWord(group)) + capital(version);

export const groupVersionPath = (group: string, version: string): string =>
  group === '' ? `/api/${version}` : `/apis/${group}/${version}`;

const strategicPatch = 'application/strategic-merge-patch+json';

/** Custom resources know no strategic merge; kubectl reads from this document which patch it may send. */
const isBuiltIn = ({ group, version, kind }: BuiltinResource): boolean =>
  builtinSchemas.kind(group, version, kind) !== undefined;

interface Shape {
  readonly resource: BuiltinResource;
  readonly title: string;
  readonly tag: string;
  /** `Namespaced` or nothing. */
  readonly scope: string;
  readonly gvk: readonly [group: string, version: string, kind: string];
}

function operation(
  shape: Shape,
  action: string,
  extra: Partial<PathOperation> & { verb: string; name: string; description: string },
): PathOperation {
  const facts = operationFacts.actions[action];
  if (!facts) throw new Error(`Cannot describe action "${action}": it is unknown`);
  const { verb, name, ...rest } = extra;
  return {
    method: facts.method,
    action,
    operationId: `${verb}${shape.title}${name}`,
    tag: shape.tag,
    query: facts.query,
    consumes: visible(facts.consumes).filter((type) => isBuiltIn(shape.resource) || type !== strategicPatch),
    produces: visible(facts.produces),
    codes: facts.codes,
    returns: { kind: 'kind', gvk: shape.gvk },
    gvk: shape.gvk,
    ...rest,
  };
}

/** Operations on one object or on one of its get-put-patch subresources. */
function objectOperations(
  shape: Shape,
  verbs: readonly string[],
  subject: { suffix: string; what: string },
): PathOperation[] {
  const name = `${shape.scope}${shape.resource.kind}${subject.suffix}`;
  const body = { type: { kind: 'kind', gvk: shape.gvk }, required: true } as const;
  const out: PathOperation[] = [];
  if (verbs.includes('get'))
    out.push(operation(shape, 'get', { verb: 'read', name, description: `Reads ${subject.what}.` }));
  if (verbs.includes('update'))
    out.push(
      operation(shape, 'put', { verb: 'replace', name, description: `Replaces ${subject.what}.`, body }),
    );
  if (verbs.includes('patch'))
    out.push(
      operation(shape, 'patch', {
        verb: 'patch',
        name,
        description: `Changes parts of ${subject.what}.`,
        body: { type: metaMessage('Patch'), required: true },
      }),
    );
  if (verbs.includes('delete')) {
    const returnsObject = deleteReturnsObject.has(`${shape.resource.plural}.${shape.resource.group}`);
    out.push(
      operation(shape, 'delete', {
        verb: 'delete',
        name,
        description: `Deletes ${subject.what}.`,
        body: { type: metaMessage('DeleteOptions'), required: false },
        ...(!returnsObject && { returns: status }),
      }),
    );
  }
  return out;
}

function collectionOperations(shape: Shape, verbs: readonly string[]): PathOperation[] {
  const { kind } = shape.resource;
  const [group, version] = shape.gvk;
  const name = `${shape.scope}${kind}`;
  const out: PathOperation[] = [];
  if (verbs.includes('list'))
    out.push(
      operation(shape, 'list', {
        verb: 'list',
        name,
        description: `Lists or watches objects of kind ${kind}.`,
        returns: { kind: 'kind', gvk: [group, version, `${kind}List`] },
      }),
    );
  if (verbs.includes('create'))
    out.push(
      operation(shape, 'post', {
        verb: 'create',
        name,
        description: `Creates a ${kind}.`,
        body: { type: { kind: 'kind', gvk: shape.gvk }, required: true },
      }),
    );
  if (verbs.includes('deletecollection'))
    out.push(
      operation(shape, 'deletecollection', {
        verb: 'delete',
        name: `Collection${name}`,
        description: `Deletes all objects of kind ${kind} that match.`,
        body: { type: metaMessage('DeleteOptions'), required: false },
        returns: status,
      }),
    );
  return out;
}

/** Paths of one resource with its subresources, watch paths included. */
export function resourcePaths(resource: BuiltinResource): PathEntry[] {
  const { group, version, plural, kind, namespaced, verbs } = resource;
  const base = groupVersionPath(group, version);
  const scoped = namespaced ? `${base}/namespaces/{namespace}` : base;
  const scopeParameters = namespaced ? ['namespace'] : [];
  const shape: Shape = {
    resource,
    title: groupVersionTitle(group, version),
    tag: groupVersionTag(group, version),
    scope: namespaced ? 'Namespaced' : '',
    gvk: [group, version, kind],
  };
  const out: PathEntry[] = [
    {
      path: `${scoped}/${plural}`,
      pathParameters: scopeParameters,
      operations: collectionOperations(shape, verbs),
    },
    {
      path: `${scoped}/${plural}/{name}`,
      pathParameters: [...scopeParameters, 'name'],
      operations: objectOperations(shape, verbs, { suffix: '', what: `the ${kind}` }),
    },
  ];
  if (namespaced && verbs.includes('list')) {
    const everywhere = operation(shape, 'list', {
      verb: 'list',
      name: `${kind}ForAllNamespaces`,
      description: `Lists or watches objects of kind ${kind} in all namespaces.`,
      returns: { kind: 'kind', gvk: [group, version, `${kind}List`] },
    });
    out.push({ path: `${base}/${plural}`, pathParameters: [], operations: [everywhere] });
  }
  if (verbs.includes('watch')) out.push(...watchPaths(shape, base));
  for (const subresource of resource.subresources)
    out.push(
      ...subresourcePaths(shape, `${scoped}/${plural}/{name}`, [...scopeParameters, 'name'], subresource),
    );
  return out.filter((entry) => entry.operations.length > 0);
}

function watchPaths(shape: Shape, base: string): PathEntry[] {
  const { plural, kind, namespaced } = shape.resource;
  const returns = metaMessage('WatchEvent');
  const scoped = namespaced ? `${base}/watch/namespaces/{namespace}` : `${base}/watch`;
  const scopeParameters = namespaced ? ['namespace'] : [];
  const list = (name: string): PathOperation =>
    operation(shape, 'watchlist', {
      verb: 'watch',
      name,
      description: `Watches objects of kind ${kind}. Deprecated: list with the watch parameter.`,
      returns,
    });
  const out: PathEntry[] = [
    {
      path: `${scoped}/${plural}`,
      pathParameters: scopeParameters,
      operations: [list(`${shape.scope}${kind}List`)],
    },
    {
      path: `${scoped}/${plural}/{name}`,
      pathParameters: [...scopeParameters, 'name'],
      operations: [
        operation(shape, 'watch', {
          verb: 'watch',
          name: `${shape.scope}${kind}`,
          description: `Watches one ${kind}. Deprecated: list with the watch parameter and a field selector.`,
          returns,
        }),
      ],
    },
  ];
  if (namespaced)
    out.push({
      path: `${base}/watch/${plural}`,
      pathParameters: [],
      operations: [list(`${kind}ListForAllNamespaces`)],
    });
  return out;
}

function subresourcePaths(
  shape: Shape,
  parent: string,
  pathParameters: readonly string[],
  subresource: BuiltinSubresource,
): PathEntry[] {
  const path = `${parent}/${subresource.name}`;
  const { kind } = shape.resource;
  const own: Shape = {
    ...shape,
    gvk: [subresource.group ?? shape.gvk[0], subresource.version ?? shape.gvk[1], subresource.kind],
  };
  const special = operationFacts.special[path];
  const suffix = subresourceWord(subresource.name);
  if (!special) {
    const what = `${subresource.name} of the ${kind}`;
    return [{ path, pathParameters, operations: objectOperations(own, subresource.verbs, { suffix, what }) }];
  }
  const entries: PathEntry[] = [];
  for (const candidate of [path, `${path}/{path}`]) {
    const facts = operationFacts.special[candidate];
    if (!facts) continue;
    const withPath = candidate !== path;
    const operations = facts.flatMap((fact) =>
      fact.methods.map((method): PathOperation => {
        const action = operationFacts.actions[fact.action];
        const connect = fact.action === 'connect';
        const verb = connect
          ? 'connect'
          : fact.action === 'get'
            ? 'read'
            : fact.action === 'put'
              ? 'replace'
              : 'create';
        const name = `${connect ? capital(method) : ''}${shape.scope}${kind}${suffix}${withPath ? 'WithPath' : ''}`;
        const [group = '', version = '', gvkKind = ''] = fact.kind;
        const type: TypeName = { kind: 'kind', gvk: [group, version, gvkKind] };
        return {
          method,
          action: fact.action,
          operationId: `${verb}${shape.title}${name}`,
          description: connect
            ? `Connects ${method.toUpperCase()} requests to ${subresource.name} of the ${kind}.`
            : `${capital(verb)}s ${subresource.name} of the ${kind}.`,
          tag: shape.tag,
          query: fact.query ?? action?.query ?? [],
          consumes: ['*/*'],
          produces: visible(fact.produces ?? action?.produces ?? []),
          codes: fact.codes ?? action?.codes ?? [],
          ...(fact.body !== undefined && { body: { type, required: true } }),
          returns: fact.returns === 'string' ? text : type,
          gvk: [group, version, gvkKind],
        };
      }),
    );
    entries.push({
      path: candidate,
      pathParameters: withPath ? [...pathParameters, 'path'] : pathParameters,
      operations,
    });
  }
  return entries;
}

/** `ephemeralcontainers` → `Ephemeralcontainers`, `portforward` → `Portforward`. */
const subresourceWord = (name: string): string => capital(name);

/** Discovery paths and others that are no resource: `api`, `apis`, `apis/apps`, `apis/apps/v1`, `version`… */
export function discoveryPath(path: string): PathEntry | undefined {
  const entry = (
    operationId: string,
    tag: string,
    returns: TypeName,
    description: string,
    produces?: readonly string[],
  ): PathEntry => ({
    path: `/${path}/`,
    pathParameters: [],
    operations: [
      {
        method: 'get',
        action: '',
        operationId,
        description,
        tag,
        query: [],
        consumes:
          path === 'version'
            ? ['application/json']
            : produces
              ? []
              : ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'],
        produces: produces ?? ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'],
        codes: ['200', '401'],
        returns,
      },
    ],
  });
  const json = ['application/json'];
  switch (path) {
    case 'api':
      return entry(
        'getCoreAPIVersions',
        'core',
        metaMessage('APIVersions'),
        'Lists the versions of the core API.',
      );
    case 'apis':
      return entry('getAPIVersions', 'apis', metaMessage('APIGroupList'), 'Lists the API groups.');
    case 'version':
      return entry(
        'getCodeVersion',
        'version',
        { kind: 'message', message: 'k8s.io.apimachinery.pkg.version.Info' },
        'Gives the version of the server.',
        json,
      );
    case '.well-known/openid-configuration':
      return entry(
        'getServiceAccountIssuerOpenIDConfiguration',
        'WellKnown',
        text,
        'Describes the issuer of service account tokens.',
        json,
      );
    case 'openid/v1/jwks':
      return entry(
        'getServiceAccountIssuerOpenIDKeyset',
        'openid',
        text,
        'Gives the public keys of service account tokens.',
        ['application/jwk-set+json'],
      );
    default: {
      const [root, group = '', version] = path.split('/');
      if (root === 'api')
        return entry(
          `get${groupVersionTitle('', group)}APIResources`,
          groupVersionTag('', group),
          metaMessage('APIResourceList'),
          'Lists the resources of this version.',
        );
      if (root !== 'apis') return undefined;
      if (version === undefined)
        return entry(
          `get${capital(groupWord(group))}APIGroup`,
          groupWord(group),
          metaMessage('APIGroup'),
          'Describes this API group.',
        );
      return entry(
        `get${groupVersionTitle(group, version)}APIResources`,
        groupVersionTag(group, version),
        metaMessage('APIResourceList'),
        'Lists the resources of this version.',
      );
    }
  }
}
