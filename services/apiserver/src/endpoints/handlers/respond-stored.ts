import type { Status, StatusError } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import type { Stored } from '../../registry/rest/rest-storage.ts';
import type { Call } from '../call.ts';
import type { Negotiated } from '../negotiation.ts';
import { isPretty, jsonType, protobufType } from '../negotiation.ts';
import { respondObject, respondObjectBytes } from '../respond.ts';
import { includeObjectOf, internalTypeName, partialMetadata, tableOf } from '../views.ts';
import type { TableRequest } from '../views.ts';

const lineEnd = Buffer.from('\n');

/** Answers with one object in the negotiated form, from its cached bytes where they serve. */
export async function respondStored(
  call: Call,
  status: number,
  stored: Stored,
  output: Negotiated,
): Promise<void> {
  const { exchange, services } = call;
  if (output.transform) {
    await respondObject(exchange, services.codec, status, transformed(call, stored, output), output);
    return;
  }
  const pretty = isPretty(exchange.query, exchange.userAgent, output.pretty);
  if (output.mediaType === jsonType && !pretty) {
    await respondObjectBytes(exchange, status, jsonType, Buffer.concat([stored.json(), lineEnd]));
    return;
  }
  if (output.mediaType === protobufType) {
    await respondObjectBytes(exchange, status, protobufType, protobufOf(stored));
    return;
  }
  await respondObject(exchange, services.codec, status, stored.object, output);
}

/** Answers with an object or with the Status that stands for it. */
export async function respondResult(
  call: Call,
  status: number,
  result: Stored | Status,
  output: Negotiated,
): Promise<void> {
  if (isStored(result)) await respondStored(call, status, result, output);
  else await respondObject(call.exchange, call.services.codec, status, result, output);
}

export function isStored(result: Stored | Status): result is Stored {
  return 'json' in result && typeof result.json === 'function';
}

export function noProtobuf(): StatusError {
  return statusErrors.notAcceptable(
    'object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be encoded to a protobuf message',
  );
}

/** Throws 406 for a kind without protobuf form. */
export function protobufOf(stored: Stored): Uint8Array {
  const bytes = stored.protobuf();
  if (bytes === undefined) throw noProtobuf();
  return bytes;
}

export function tableRequest(call: Call, version: string): TableRequest {
  return {
    storage: call.storage,
    includeObject: includeObjectOf(call.exchange.query),
    version,
    nowMs: call.services.clock.now(),
  };
}

function transformed(call: Call, stored: Stored, output: Negotiated): object {
  const { kind, version } = output.transform as NonNullable<Negotiated['transform']>;
  switch (kind) {
    case 'PartialObjectMetadata':
      return partialMetadata(stored.object, version);
    case 'Table': {
      const resourceVersion = stored.object.metadata.resourceVersion;
      return tableOf(
        tableRequest(call, version),
        [stored],
        resourceVersion === undefined ? {} : { resourceVersion },
      );
    }
    case 'PartialObjectMetadataList':
      throw statusErrors.notAcceptable(
        `you requested PartialObjectMetadataList, but the requested object is not a list (${internalTypeName(call.storage, false)})`,
      );
  }
}
