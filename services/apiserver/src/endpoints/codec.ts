import type { GroupVersionKind, KubeObject } from '@pilothouse/apimachinery';
import type { FieldValidation } from '../request/request-context.ts';
import type { ObjectMediaType } from './negotiation.ts';

/** A decoded body, with kind and apiVersion set. */
export interface DecodedBody {
  readonly object: KubeObject;
  /** Unknown and duplicate fields, in upstream's words; empty unless `Warn` was asked for. */
  readonly warnings: readonly string[];
}

/** How the handlers read bodies and write objects; the serializer behind it knows the schemas. */
export interface ObjectCodec {
  /**
   * Reads a body that should be of kind `expected`. Throws StatusError 400 with upstream's text when it cannot be; with `Strict`
   * unknown and duplicate fields are an error too.
   */
  decode(
    body: Uint8Array,
    mediaType: ObjectMediaType,
    expected: GroupVersionKind,
    validation: FieldValidation,
  ): DecodedBody;
  /** DeleteOptions of any group-version. Throws StatusError 400. */
  decodeDeleteOptions(body: Uint8Array, mediaType: ObjectMediaType): Record<string, unknown>;
  /** Throws StatusError 406 when the kind has no such form. JSON ends with a line end unless `pretty`. */
  encode(object: object, mediaType: ObjectMediaType, pretty: boolean): Uint8Array;
}
