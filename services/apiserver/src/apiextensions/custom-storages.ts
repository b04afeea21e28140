import { createHash } from 'node:crypto';
import type { KubeObject, MapType, MessageSchema } from '@pilothouse/apimachinery';
import { apiVersionOf, mergeTypeOfMessage, mergeTypeOfStructuralSchema } from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import { customResourceStrategy } from '@pilothouse/api/apiextensions';
import type {
  CustomResourceDefinitionSpec,
  CustomResourceNames,
  CustomResourceVersion,
  JsonSchema,
} from '@pilothouse/api/apiextensions';
import { compareVersions } from '../endpoints/discovery/discovery-manager.ts';
import { builtinCodec, customResourceCodec } from '../registry/codecs.ts';
import { builtinFieldTracker, customFieldTracker } from '../registry/generic/builtin-field-tracker.ts';
import { ScaleStore } from '../registry/generic/scale.ts';
import type { RegistryServices } from '../registry/generic/services.ts';
import { SubresourceStore } from '../registry/generic/subresource-store.ts';
import type { ResourceDescriptor, RestStorage } from '../registry/rest/rest-storage.ts';
import type { ServedVersions } from '../registry/rest/served-versions.ts';
import { deepClone } from '../storage/deep.ts';
import type { OpenedStorage, StorageFactory } from '../registry/storage-factory.ts';
import { CustomBodyCodec } from './body-codec.ts';
import { CustomResourceStore } from './custom-resource-store.ts';
import type { ObjectConversion } from './converted-storage.ts';
import { ConvertedStorage } from './converted-storage.ts';
import { customScalePaths } from './scale-paths.ts';
import { customStorageCodec } from './storage-codec.ts';

const objectMetaType: MapType = mergeTypeOfMessage(
  builtinSchemas,
  builtinSchemas.message('k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta') as MessageSchema,
);

/** What a definition makes the server answer. */
export interface CustomStorages {
  /** Of all served versions, each main resource before its subresources. */
  readonly storages: readonly RestStorage[];
  readonly opened: OpenedStorage;
}

export interface CustomStoragesOptions {
  readonly spec: CustomResourceDefinitionSpec;
  readonly names: CustomResourceNames;
  readonly factory: StorageFactory;
  readonly services: RegistryServices;
  conversion(stored: CustomResourceVersion, version: CustomResourceVersion): ObjectConversion;
}

const verbs = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const subresourceVerbs = ['get', 'patch', 'update'];

/** Makes the storages of a custom resource. Its objects live in one watch cache, in the storage version; the others are views of it. */
export function customStorages(options: CustomStoragesOptions): CustomStorages {
  const { spec, names, factory, services } = options;
  const stored = spec.versions.find((version) => version.storage) as CustomResourceVersion;
  const storageHash = storageVersionHash(spec.group, stored.name, names.kind);
  const descriptorOf = (version: CustomResourceVersion): ResourceDescriptor => ({
    group: spec.group,
    version: version.name,
    resource: names.plural,
    subresource: '',
    singularName: names.singular ?? '',
    kind: names.kind,
    ...(names.listKind === undefined ? {} : { listKind: names.listKind }),
    namespaced: spec.scope === 'Namespaced',
    verbs,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    storageVersionHash: storageHash,
  });
  const schema = stored.schema?.openAPIV3Schema;
  // A webhook has to see objects that were written before the storage version changed: even that version is then a view.
  const converts = spec.conversion?.strategy === 'Webhook';
  const others = converts ? schemasByApiVersion(spec) : undefined;
  const codec = customStorageCodec(spec.group, stored.name, schema, others);
  const opened = factory.open({
    etcdPrefix: `${spec.group}/${names.plural}`,
    groupResource: { group: spec.group, resource: names.plural },
    codec,
    typeMeta: { apiVersion: apiVersionOf(spec.group, stored.name), kind: names.kind },
  });
  const storages: RestStorage[] = [];
  const served = servedVersions(options, stored);
  for (const version of spec.versions) {
    if (!version.served) continue;
    const isStored = version === stored;
    const viewCodec = customResourceCodec();
    const typeMeta = { apiVersion: apiVersionOf(spec.group, version.name), kind: names.kind };
    const store = new CustomResourceStore({
      resource: descriptorOf(version),
      strategy: customResourceStrategy({ spec, version }),
      storage:
        isStored && !converts
          ? opened.storage
          : new ConvertedStorage(opened.storage, options.conversion(stored, version), viewCodec, typeMeta),
      codec: isStored ? codec : viewCodec,
      prefix: opened.prefix,
      services,
      tracker: trackerOf(spec, version),
      builtIn: false,
    });
    const body = new CustomBodyCodec(version.schema?.openAPIV3Schema);
    const deprecation = deprecationOf(spec, version);
    const add = (storage: RestStorage): void => {
      storages.push(
        Object.assign(
          storage,
          { codec: body },
          served === undefined ? {} : { versions: served },
          deprecation === undefined ? {} : { deprecation },
        ),
      );
    };
    add(store);
    const { status, scale } = version.subresources ?? {};
    if (status !== undefined) {
      const target = subresourceOf(descriptorOf(version), 'status');
      add(new SubresourceStore(store, target));
    }
    if (scale !== undefined) {
      const target: ResourceDescriptor = {
        ...subresourceOf(descriptorOf(version), 'scale'),
        kind: 'Scale',
        responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' },
      };
      const scaleCodec = builtinCodec('autoscaling', 'v1', 'Scale', { version: 'v1' });
      const tracker = builtinFieldTracker(builtinSchemas, {
        group: 'autoscaling',
        version: 'v1',
        kind: 'Scale',
      });
      storages.push(new ScaleStore(store, target, scaleCodec, tracker, customScalePaths(scale)));
    }
  }
  return { storages, opened };
}

const schemasByApiVersion = (
  spec: CustomResourceDefinitionSpec,
): ReadonlyMap<string, JsonSchema | undefined> =>
  new Map(
    spec.versions.map((version) => [apiVersionOf(spec.group, version.name), version.schema?.openAPIV3Schema]),
  );

/** For admission: from each served version straight to the others. */
function servedVersions(
  { spec, names, conversion }: CustomStoragesOptions,
  stored: CustomResourceVersion,
): ServedVersions | undefined {
  const served = spec.versions.filter((version) => version.served);
  if (served.length < 2) return undefined;
  const { group } = spec;
  const { plural, kind } = names;
  const to = new Map(
    served.map((version) => {
      const body = new CustomBodyCodec(version.schema?.openAPIV3Schema);
      const { fromStored } = conversion(stored, version);
      return [
        version.name,
        async (object: KubeObject): Promise<KubeObject> => {
          const converted = deepClone((await fromStored([object]))[0] as KubeObject);
          body.coerce(converted, false);
          return converted;
        },
      ] as const;
    }),
  );
  return {
    members: served.map(({ name: version }) => ({
      resource: { group, version, resource: plural },
      kind: { group, version, kind },
    })),
    convert(object, { version }) {
      const convert = to.get(version);
      if (convert === undefined)
        return Promise.reject(new Error(`Cannot convert to "${version}": it is not served`));
      return convert(object);
    },
  };
}

function trackerOf(spec: CustomResourceDefinitionSpec, version: CustomResourceVersion) {
  const schema = version.schema?.openAPIV3Schema as Parameters<typeof mergeTypeOfStructuralSchema>[0];
  return customFieldTracker(
    apiVersionOf(spec.group, version.name),
    spec.names.kind,
    mergeTypeOfStructuralSchema(schema, objectMetaType),
  );
}

function subresourceOf(parent: ResourceDescriptor, subresource: string): ResourceDescriptor {
  const { storageVersionHash: _, ...rest } = parent;
  return { ...rest, subresource, singularName: '', verbs: subresourceVerbs, shortNames: [], categories: [] };
}

/** The Warning of a deprecated version. */
function deprecationOf(
  spec: CustomResourceDefinitionSpec,
  version: CustomResourceVersion,
): string | undefined {
  if (version.deprecated !== true) return undefined;
  if (version.deprecationWarning !== undefined) return version.deprecationWarning;
  const told = `${apiVersionOf(spec.group, version.name)} ${spec.names.kind} is deprecated`;
  const [better] = spec.versions
    .filter((each) => each.served && each.deprecated !== true && compareVersions(each.name, version.name) > 0)
    .sort((a, b) => compareVersions(b.name, a.name));
  return better === undefined
    ? told
    : `${told}; use ${apiVersionOf(spec.group, better.name)} ${spec.names.kind}`;
}

function storageVersionHash(group: string, version: string, kind: string): string {
  return createHash('sha256')
    .update(`${group}/${version}/${kind}`)
    .digest()
    .subarray(0, 8)
    .toString('base64');
}
