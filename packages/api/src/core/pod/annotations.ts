import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { metadataPath } from '../../common.ts';
import { validatePodAnnotationChange, validatePodAnnotations } from '../../validation/pod-annotations.ts';
import type { Json } from '../../validation/values.ts';

export const annotationsPath = metadataPath.child('annotations');

/** What an update of a pod, by whatever subresource, must not do to its annotations. */
export function podAnnotationUpdateErrors(pod: KubeObject, old: KubeObject): FieldError[] {
  const annotations = pod.metadata.annotations ?? {};
  const before = old.metadata.annotations ?? {};
  return [
    ...validatePodAnnotationChange(annotations, before, annotationsPath),
    ...validatePodAnnotations(annotations, (pod['spec'] ?? {}) as Json, annotationsPath, before),
  ];
}
