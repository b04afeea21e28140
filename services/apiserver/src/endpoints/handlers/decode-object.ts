import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import { readBody } from '../body.ts';
import type { Call } from '../call.ts';
import { bodyKindOf, codecOf } from '../call.ts';
import type { ObjectMediaType } from '../negotiation.ts';
import { contentTypeOf } from '../negotiation.ts';
import type { WriteOptions } from '../options.ts';

/** Reads the body's bytes and notes their size. */
export async function readRequestBody(call: Call): Promise<Buffer> {
  const { exchange, services } = call;
  const body = await readBody(exchange);
  exchange.audit?.requestBody(body);
  services.metrics.bodySizes.observe(
    { resource: exchange.info.resource, group: exchange.info.apiGroup, verb: exchange.info.verb },
    body.length,
  );
  return body;
}

/**
 * The object of a POST or PUT, with kind and apiVersion set. Unknown and duplicate fields become warnings or an error as
 * fieldValidation says. Throws 400, 413 and 415.
 */
export function decodeObject(
  call: Call,
  body: Uint8Array,
  mediaType: ObjectMediaType,
  options: WriteOptions,
): KubeObject {
  const expected = bodyKindOf(call.storage.resource);
  const { object, warnings } = codecOf(call).decode(body, mediaType, expected, options.fieldValidation);
  for (const warning of warnings) call.exchange.addWarning(warning);
  call.storage.defaults?.(object);
  call.exchange.audit?.requestObject(object);
  return object;
}

/** The body's media type; an unknown one is refused before the body is read. */
export function bodyMediaType(call: Call): ObjectMediaType {
  return contentTypeOf(call.exchange.header('content-type'));
}

/** Puts the namespace of the path into the object. Throws 400 when they contradict. */
export function matchNamespace(call: Call, object: KubeObject): void {
  const { resource } = call.storage;
  const metadata = object.metadata;
  if (!resource.namespaced) {
    delete metadata.namespace;
    return;
  }
  if (!metadata.namespace) {
    if (call.namespace !== '') metadata.namespace = call.namespace;
  } else if (metadata.namespace !== call.namespace) {
    throw statusErrors.badRequest(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
  }
}
