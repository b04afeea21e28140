import { compareQuantities, goQuote, hasReason, jsonText } from '@pilothouse/apimachinery';
import type { KubeObject } from '@pilothouse/apimachinery';
import { resources } from '../../security/object-access.ts';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import type { PodSpec, Toleration } from '@pilothouse/api/quota';
import { podSpec } from '@pilothouse/api/quota';
import { forbid, isResource } from '../refusal.ts';

/** Overhead, node selector and tolerations of a pod's RuntimeClass. */
export function runtimeClass({ objects }: AdmissionDependencies): AdmissionPlugin {
  const classOf = async (attributes: AdmissionAttributes, spec: PodSpec): Promise<KubeObject | undefined> => {
    const name = spec.runtimeClassName;
    if (name === undefined) return undefined;
    const cached = objects.cached(resources.runtimeClasses).get('', name);
    if (cached !== undefined) return cached;
    try {
      return await objects.get(resources.runtimeClasses, '', name);
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      throw forbid(attributes, `pod rejected: RuntimeClass ${goQuote(name)} not found`);
    }
  };
  const concerns = (attributes: AdmissionAttributes): boolean =>
    isResource(attributes, '', 'pods') && attributes.object !== undefined;
  return {
    name: 'RuntimeClass',
    handles: (operation) => operation === 'CREATE',
    async admit(attributes) {
      if (!concerns(attributes)) return;
      const spec = podSpec(attributes.object as KubeObject);
      const found = await classOf(attributes, spec);
      if (found === undefined) return;
      const overhead = found['overhead']?.podFixed as Record<string, string> | undefined;
      if (overhead !== undefined) {
        if (spec.overhead !== undefined && !sameAmounts(spec.overhead, overhead)) {
          throw forbid(
            attributes,
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
          );
        }
        spec.overhead = { ...overhead };
      }
      applyScheduling(attributes, spec, found);
    },
    async validate(attributes) {
      if (!concerns(attributes)) return;
      const spec = podSpec(attributes.object as KubeObject);
      const found = await classOf(attributes, spec);
      if (spec.overhead === undefined || Object.keys(spec.overhead).length === 0) return;
      const overhead = found?.['overhead']?.podFixed as Record<string, string> | undefined;
      if (overhead === undefined) {
        throw forbid(
          attributes,
          'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
        );
      }
      if (!sameAmounts(spec.overhead, overhead)) {
        throw forbid(
          attributes,
          "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        );
      }
    },
  };
}

function applyScheduling(attributes: AdmissionAttributes, spec: PodSpec, found: KubeObject): void {
  const scheduling = found['scheduling'] as
    { nodeSelector?: Record<string, string>; tolerations?: Toleration[] } | undefined;
  if (scheduling === undefined) return;
  for (const [key, value] of Object.entries(scheduling.nodeSelector ?? {})) {
    const own = spec.nodeSelector?.[key];
    if (own !== undefined && own !== value) {
      throw forbid(
        attributes,
        `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`,
      );
    }
    (spec.nodeSelector ??= {})[key] = value;
  }
  for (const toleration of scheduling.tolerations ?? []) {
    const text = jsonText(toleration);
    if (!(spec.tolerations ?? []).some((each) => jsonText(each) === text)) {
      (spec.tolerations ??= []).push({ ...toleration });
    }
  }
}

function sameAmounts(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => b[key] !== undefined && compareQuantities(a[key] as string, b[key]) === 0)
  );
}
