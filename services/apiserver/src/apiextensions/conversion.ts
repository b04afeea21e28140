import type { KubeObject } from '@pilothouse/apimachinery';
import { apiVersionOf } from '@pilothouse/apimachinery';
import type { CustomResourceVersion, CustomResourceDefinitionSpec } from '@pilothouse/api/apiextensions';
import { deepClone } from '../storage/deep.ts';
import { CustomBodyCodec } from './body-codec.ts';
import type { ObjectConversion } from './converted-storage.ts';

/** Strategy None: nothing but apiVersion differs. What is stored has only what the storage version's schema knows. */
export function renamingConversion(
  spec: CustomResourceDefinitionSpec,
  stored: CustomResourceVersion,
  version: CustomResourceVersion,
): ObjectConversion {
  const body = new CustomBodyCodec(stored.schema?.openAPIV3Schema);
  const storedVersion = apiVersionOf(spec.group, stored.name);
  const ownVersion = apiVersionOf(spec.group, version.name);
  return {
    toStored: (objects) =>
      Promise.resolve(
        objects.map((object): KubeObject => {
          const converted = { ...deepClone(object), apiVersion: storedVersion };
          body.coerce(converted, false);
          return converted;
        }),
      ),
    fromStored: (objects) =>
      Promise.resolve(objects.map((object) => ({ ...object, apiVersion: ownVersion }))),
  };
}
