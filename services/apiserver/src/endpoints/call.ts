import type { Clock, Logger, Random } from '@pilothouse/base';
import type { GroupVersionKind, KubeObject } from '@pilothouse/apimachinery';
import { apiVersionOf } from '@pilothouse/apimachinery';
import { allowsResourceConvert, notAcceptable } from '@pilothouse/serializer';
import type { AdmissionAttributes, AdmissionChain } from '../admission/interface.ts';
import type {
  AdmissionHooks,
  Operation,
  ResourceDescriptor,
  RestStorage,
} from '../registry/rest/rest-storage.ts';
import type { Exchange } from '../request/exchange.ts';
import type { RequestContext } from '../request/request-context.ts';
import { requestContext } from '../request/request-context.ts';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { ObjectCodec } from './codec.ts';
import type { Negotiated } from './negotiation.ts';
import { negotiate, objectMediaTypes, protobufType } from './negotiation.ts';
import type { WriteOptions } from './options.ts';

/** What handlers use of the server. */
export interface EndpointServices {
  readonly codec: ObjectCodec;
  readonly admission: AdmissionChain;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
  /** Lower bound of a watch's random life, milliseconds; the upper one is twice that. */
  readonly minRequestTimeoutMs: number;
  /** Aborted when the server shuts down: watches end. */
  readonly shutdown: AbortSignal;
  /** They end spread over this time then, milliseconds. */
  readonly shutdownWatchGraceMs: number;
}

/** A request that was resolved to a storage. */
export interface Call {
  readonly exchange: Exchange;
  readonly storage: RestStorage;
  readonly services: EndpointServices;
  /** Empty on a collection. */
  readonly name: string;
  /** Empty for cluster-scoped resources and across namespaces. */
  readonly namespace: string;
}

/** The codec of the resource's own kind where it has one (custom resources), else the server's. */
export function codecOf(call: Call): ObjectCodec {
  return (call.storage as { codec?: ObjectCodec }).codec ?? call.services.codec;
}

/** The kind of the body that a write takes. */
export function bodyKindOf(resource: ResourceDescriptor): GroupVersionKind {
  return resource.bodyKind ?? responseKindOf(resource);
}

/** The kind that the path answers with. */
export function responseKindOf(resource: ResourceDescriptor): GroupVersionKind {
  return resource.responseKind ?? { group: resource.group, version: resource.version, kind: resource.kind };
}

/** Subresources whose storages upstream cannot show as a Table. */
const withoutTable = new Set([
  '/pods/ephemeralcontainers',
  '/pods/resize',
  'apiextensions.k8s.io/customresourcedefinitions/status',
  'apiregistration.k8s.io/apiservices/status',
  'certificates.k8s.io/certificatesigningrequests/approval',
  'resource.k8s.io/resourceclaims/status',
]);

/** Media type and view of the answer. Throws 406. */
export function negotiateOutput(call: Call): Negotiated {
  const accept = call.exchange.header('accept');
  const { storage } = call;
  const { group, resource, subresource } = storage.resource;
  // What is only created (reviews, bindings, tokens) has no rows.
  const hasTable =
    (storage.get !== undefined || storage.list !== undefined) &&
    !(subresource !== '' && withoutTable.has(`${group}/${resource}/${subresource}`));
  return negotiate('codec' in storage ? withoutProtobuf(accept) : accept, {
    allows: (mediaType, view) =>
      (hasTable || view.kind !== 'Table') && allowsResourceConvert(mediaType, view),
  });
}

/** Custom resources have no protobuf form; views of them have. */
function withoutProtobuf(accept: string): string {
  if (!accept.includes(protobufType)) return accept;
  const rest = accept.split(',').filter((clause) => !clause.includes(protobufType) || /;\s*as=/.test(clause));
  if (rest.length === 0) throw notAcceptable(objectMediaTypes);
  return rest.join(',');
}

export function contextOf(call: Call, options?: WriteOptions): RequestContext {
  const dryRun = (options?.dryRun.length ?? 0) > 0;
  if (dryRun) call.exchange.dryRun = 'All';
  return requestContext(call.exchange, call.services.clock.now(), {
    dryRun,
    fieldManager: options?.fieldManager ?? '',
    fieldValidation: options?.fieldValidation ?? 'Warn',
  });
}

/** Admission of this request as the storage calls it. `options` is the options object that plugins and webhooks see. */
export function admissionOf(
  call: Call,
  context: RequestContext,
  optionsKind: string,
  options: object,
): AdmissionHooks {
  const { exchange, storage, services } = call;
  const { resource } = storage;
  const optionsObject = { kind: optionsKind, apiVersion: 'meta.k8s.io/v1', ...options };
  const attributes = (
    operation: Operation,
    object: KubeObject | undefined,
    old: KubeObject | undefined,
    name: string | undefined,
  ): AdmissionAttributes => ({
    operation,
    kind: bodyKindOf(resource),
    resource: { group: resource.group, version: resource.version, resource: resource.resource },
    subresource: resource.subresource,
    name: name ?? (call.name !== '' ? call.name : (object?.metadata?.name ?? '')),
    namespace: call.namespace,
    object,
    oldObject: old,
    options: optionsObject,
    user: exchange.user,
    dryRun: context.dryRun,
    addWarning: (text) => exchange.addWarning(text),
    addAuditAnnotation: (key, value) => {
      exchange.auditAnnotations[key] = value;
    },
  });
  return {
    async admit(operation, object, old, name) {
      if (!services.admission.handles(operation)) return object;
      const given = attributes(operation, object, old, name);
      await services.admission.admit(given);
      return given.object;
    },
    async validate(operation, object, old, name) {
      if (!services.admission.handles(operation)) return;
      await services.admission.validate(attributes(operation, object, old, name));
    },
  };
}

/** apiVersion of a kind. */
export function apiVersionOfKind(gvk: GroupVersionKind): string {
  return apiVersionOf(gvk.group, gvk.version);
}
