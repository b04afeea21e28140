import { fromJson, JsonMap } from '@pilothouse/api/cel';
import type { KubeObject } from '@pilothouse/apimachinery';
import { admissionReview } from '../webhooks/admission-review.ts';
import type { AdmissionAttributes } from '../interface.ts';

/** What all expressions see of one request: `object`, `oldObject`, `request` and `namespaceObject`. */
export function requestVariables(
  attributes: AdmissionAttributes,
  namespace: KubeObject | undefined,
): Record<string, unknown> {
  const { request } = admissionReview(attributes, '') as { request: Record<string, unknown> };
  const { object: _object, oldObject: _oldObject, uid: _uid, ...told } = request;
  const empty = { name: '', namespace: '', subResource: '', requestSubResource: '' };
  return {
    object: fromJson(attributes.object ?? null),
    oldObject: fromJson(attributes.oldObject ?? null),
    request: new JsonMap({ ...empty, ...told }),
    namespaceObject: fromJson(namespace === undefined ? null : visibleNamespace(namespace)),
  };
}

/** The parts of a namespace that expressions may read. */
function visibleNamespace({ metadata, spec, status }: KubeObject): object {
  const { uid, managedFields: _managedFields, ownerReferences: _ownerReferences, ...rest } = metadata;
  return { metadata: { ...rest, ...(uid === undefined ? {} : { UID: uid }) }, spec, status };
}
