import type { KubeObject, StatusCause } from '@pilothouse/apimachinery';
import {
  applyJsonPatch,
  decodeJsonPatch,
  goQuote,
  jsonText,
  parseExact,
  StatusError,
} from '@pilothouse/apimachinery';
import type { JsonValue } from '@pilothouse/apimachinery';
import { userInfoJson } from '../../authentication/reviews.ts';
import type { AdmissionAttributes } from '../interface.ts';
import { originalOf } from '../versioned-attributes.ts';

/** The request side of an AdmissionReview (admission.k8s.io/v1). */
export function admissionReview(attributes: AdmissionAttributes, uid: string): Record<string, unknown> {
  const { kind, resource, subresource } = attributes;
  const { kind: requestKind, resource: requestResource } = originalOf(attributes);
  const sub = subresource === '' ? {} : { subResource: subresource };
  const requestSub = subresource === '' ? {} : { requestSubResource: subresource };
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid,
      kind,
      resource,
      ...sub,
      requestKind,
      requestResource,
      ...requestSub,
      ...(attributes.name === '' ? {} : { name: attributes.name }),
      ...(attributes.namespace === '' ? {} : { namespace: attributes.namespace }),
      operation: attributes.operation,
      userInfo: userInfoJson(attributes.user),
      object: attributes.object ?? null,
      oldObject: attributes.oldObject ?? null,
      dryRun: attributes.dryRun,
      options: attributes.options,
    },
  };
}

interface ReviewResponse {
  readonly uid?: string;
  readonly allowed?: boolean;
  readonly status?: { status?: string; message?: string; reason?: string; code?: number; details?: object };
  readonly patch?: string;
  readonly patchType?: string;
  readonly warnings?: readonly string[];
  readonly auditAnnotations?: Readonly<Record<string, string>>;
}

/** A webhook's answer that was checked. */
export interface WebhookVerdict {
  readonly allowed: boolean;
  readonly status: ReviewResponse['status'];
  /** Decoded operations; undefined without a patch. */
  readonly patch: string | undefined;
  readonly warnings: readonly string[];
  readonly auditAnnotations: Readonly<Record<string, string>>;
}

/** The answer of a webhook is not an AdmissionReview that fits the request. */
export class InvalidResponse extends Error {
  override readonly name = 'InvalidResponse';
}

/** Checks the answer of a webhook. Throws {@link InvalidResponse} that says what is wrong with it. */
export function verdictOf(answer: unknown, uid: string, mutating: boolean): WebhookVerdict {
  const review = (answer ?? {}) as { kind?: string; apiVersion?: string; response?: ReviewResponse };
  if (review.response === undefined || review.response === null) {
    throw new InvalidResponse('webhook response was absent');
  }
  const { response } = review;
  if (review.apiVersion !== 'admission.k8s.io/v1' || review.kind !== 'AdmissionReview') {
    throw new InvalidResponse(
      `expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got ${review.apiVersion ?? ''}, Kind=${review.kind ?? ''}`,
    );
  }
  if (response.uid !== uid) {
    throw new InvalidResponse(`expected response.uid=${goQuote(uid)}, got ${goQuote(response.uid ?? '')}`);
  }
  const hasPatch = response.patch !== undefined && response.patch !== null && response.patch !== '';
  if (hasPatch && !mutating)
    throw new InvalidResponse('webhook response.patch not allowed for validating webhooks');
  if (hasPatch && response.patchType === undefined) {
    throw new InvalidResponse('webhook returned response.patch but not response.patchType');
  }
  if (hasPatch && response.patchType !== 'JSONPatch') {
    throw new InvalidResponse(
      `webhook returned invalid response.patchType of ${goQuote(response.patchType ?? '')}`,
    );
  }
  return {
    allowed: response.allowed === true,
    status: response.status,
    patch: hasPatch ? Buffer.from(response.patch as string, 'base64').toString('utf8') : undefined,
    warnings: response.warnings ?? [],
    auditAnnotations: response.auditAnnotations ?? {},
  };
}

/** The object after the patch of a webhook; integers beyond 2^53 are bigint. Throws when it does not apply. */
export function patchedObject(object: KubeObject, patch: string): KubeObject {
  const operations = decodeJsonPatch(parseExact(patch) as JsonValue);
  const text = jsonText(object);
  const value = parseExact(text) as JsonValue;
  return applyJsonPatch(value, operations) as unknown as KubeObject;
}

/** The refusal of a webhook as the client gets it. */
export function denial(webhookName: string, status: WebhookVerdict['status']): StatusError {
  const denied = `admission webhook ${goQuote(webhookName)} denied the request`;
  const said =
    status?.message !== undefined && status.message !== '' ? status.message : (status?.reason ?? '');
  const code = status?.code !== undefined && status.code >= 400 ? status.code : 400;
  const message = said === '' ? `${denied} without explanation` : `${denied}: ${said}`;
  return new StatusError(
    code,
    status?.reason ?? '',
    message,
    status?.details as { causes?: StatusCause[] } | undefined,
  );
}
