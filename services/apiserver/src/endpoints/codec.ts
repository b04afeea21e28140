import type { GroupVersionKind, KubeObject } from '@pilothouse/apimachinery';
import type { FieldValidation } from '../request/request-context.ts';
import type { ObjectMediaType } from './negotiation.ts';

/** A decoded body. */
export interface DecodedBody {
  readonly object: KubeObject;
  /** Of the object; what it leaves out is taken from the expected kind. */
  readonly gvk: GroupVersionKind;
  /** Unknown and duplicate fields, in upstream's words; empty with `Ignore`. */
  readonly strictErrors: readonly string[];
}

/** How the handlers read bodies and write objects; the serializer behind it knows the schemas. */
export interface ObjectCodec {
  /**
   * Reads a body that should be of kind `expected`. Throws StatusError 400 with upstream's text when it cannot be. With
   * `Strict` findings are an error too; with `Warn` they are returned.
   */
  decode(
    body: Uint8Array,
    mediaType: ObjectMediaType,
    expected: GroupVersionKind,
    validation: FieldValidation,
  ): DecodedBody;
  /** Throws StatusError 406 when the kind has no such form. JSON ends with a line end unless `pretty`. */
  encode(object: object, mediaType: ObjectMediaType, pretty: boolean): Uint8Array;
}
