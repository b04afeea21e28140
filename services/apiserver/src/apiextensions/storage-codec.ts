import type { KubeObject } from '@pilothouse/apimachinery';
import { apiVersionOf } from '@pilothouse/apimachinery';
import { applyDefaults } from '@pilothouse/api/apiextensions';
import type { JsonSchema } from '@pilothouse/api/apiextensions';
import { customResourceCodec } from '../registry/codecs.ts';
import type { ObjectCodec } from '../storage/stored-object.ts';
import { CustomBodyCodec } from './body-codec.ts';

/**
 * How custom resources are stored: as JSON in the storage version of the moment of the write. What is read is pruned and defaulted by today's
 * schema, since it may have been written under another one. `others`: by apiVersion the schemas of versions between which a webhook
 * converts; what was written in one of those keeps its apiVersion, so that whoever reads it can have it converted.
 */
export function customStorageCodec(
  group: string,
  version: string,
  schema: JsonSchema | undefined,
  others: ReadonlyMap<string, JsonSchema | undefined> = new Map(),
): ObjectCodec {
  const plain = customResourceCodec();
  const body = new CustomBodyCodec(schema);
  const apiVersion = apiVersionOf(group, version);
  return {
    ...plain,
    decode(bytes) {
      const object: KubeObject = plain.decode(bytes);
      const written = object.apiVersion ?? '';
      if (written !== apiVersion && others.has(written)) {
        const own = others.get(written);
        new CustomBodyCodec(own).coerce(object, false);
        applyDefaults(object, own);
        return object;
      }
      object.apiVersion = apiVersion;
      body.coerce(object, false);
      applyDefaults(object, schema);
      return object;
    },
    isOutdated: (bytes) => plain.decode(bytes).apiVersion !== apiVersion,
  };
}
