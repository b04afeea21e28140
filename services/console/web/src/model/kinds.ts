import { caller } from './call.ts';

/** A kind of object that the server has, from discovery. */
export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly verbs: readonly string[];
}

interface AggregatedDiscovery {
  readonly items?: readonly {
    readonly metadata?: { readonly name?: string };
    readonly versions?: readonly {
      readonly version: string;
      readonly resources?: readonly {
        readonly resource: string;
        readonly responseKind?: { readonly kind?: string };
        readonly scope: string;
        readonly shortNames?: readonly string[];
        readonly verbs?: readonly string[];
      }[];
    }[];
  }[];
}

const accept =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList';

/** Kinds that can be listed, each in the version that its group prefers. */
export function kindsOf(documents: readonly AggregatedDiscovery[]): Kind[] {
  const found: Kind[] = [];
  for (const group of documents.flatMap((each) => each.items ?? [])) {
    const seen = new Set<string>();
    for (const { version, resources = [] } of group.versions ?? []) {
      for (const each of resources) {
        const verbs = each.verbs ?? [];
        if (seen.has(each.resource) || !verbs.includes('list')) continue;
        seen.add(each.resource);
        found.push({
          group: group.metadata?.name ?? '',
          version,
          kind: each.responseKind?.kind ?? each.resource,
          plural: each.resource,
          namespaced: each.scope === 'Namespaced',
          shortNames: each.shortNames ?? [],
          verbs,
        });
      }
    }
  }
  return found;
}

export async function loadKinds(): Promise<Kind[]> {
  const documents = await Promise.all(
    ['/k8s/api', '/k8s/apis'].map((path) => caller.json<AggregatedDiscovery>(path, { accept })),
  );
  return kindsOf(documents);
}

export const groupVersion = (kind: Pick<Kind, 'group' | 'version'>): string =>
  kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;

/** Path of a collection, or of one object, through the console. */
export function resourcePath(
  kind: Pick<Kind, 'group' | 'version' | 'plural'>,
  namespace: string,
  name?: string,
): string {
  const root = kind.group === '' ? `/k8s/api/${kind.version}` : `/k8s/apis/${kind.group}/${kind.version}`;
  const scope = namespace === '' ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${kind.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

/** What most people come for, in this order; the rest is by group. */
export const usual: readonly string[] = [
  '/pods',
  'apps/deployments',
  'apps/statefulsets',
  'apps/daemonsets',
  'batch/jobs',
  'batch/cronjobs',
  '/services',
  'networking.k8s.io/ingresses',
  '/configmaps',
  '/secrets',
  '/persistentvolumeclaims',
  '/nodes',
  '/namespaces',
];
