import type { KubeObject } from '@pilothouse/apimachinery';
import { isJsonObject } from '@pilothouse/apimachinery';
import { JsonPath } from '@pilothouse/api/apiextensions';
import type { ScaleSubresource } from '@pilothouse/api/apiextensions';
import type { ScalePaths } from '../registry/generic/scale.ts';

/** The scale subresource of a custom resource: its paths are plain members, as the definition's validation asks. */
export function customScalePaths(scale: ScaleSubresource): ScalePaths {
  const spec = new JsonPath(scale.specReplicasPath);
  const status = new JsonPath(scale.statusReplicasPath);
  const selector = scale.labelSelectorPath === undefined ? undefined : new JsonPath(scale.labelSelectorPath);
  const members = scale.specReplicasPath.replace(/^\./, '').split('.');
  const number = (path: JsonPath, object: KubeObject): number => {
    const value = path.find(object)[0];
    return typeof value === 'number' ? value : 0;
  };
  return {
    specReplicas: (object) => number(spec, object),
    statusReplicas: (object) => number(status, object),
    selector: (object) => {
      const value = selector?.find(object)[0];
      return typeof value === 'string' ? value : '';
    },
    setSpecReplicas: (object, replicas) => {
      let at = object as Record<string, unknown>;
      for (const member of members.slice(0, -1)) {
        const next = isJsonObject(at[member]) ? { ...at[member] } : {};
        at[member] = next;
        at = next;
      }
      at[members.at(-1) as string] = replicas;
    },
    replicasPath: members.join('.'),
  };
}
