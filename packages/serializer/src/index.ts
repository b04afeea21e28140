export { DecodeError } from './errors.ts';
export type { DecodeErrorCode } from './errors.ts';
export {
  builtinProtobuf,
  decodeEnvelope,
  isProtobufDocument,
  protobufMagic,
  ProtobufCodec,
} from './protobuf/codec.ts';
export type { ProtobufEnvelope } from './protobuf/codec.ts';
export { bodyText, decodeJson, decodeParsed, normalize, parseJson } from './json/decode.ts';
export type { DecodedJson, DecodeJsonOptions } from './json/decode.ts';
export { encodeJson } from './json/encode.ts';
export { encodeUnstructuredJson, goJsonString, goJsonText, indentJson } from './json/text.ts';
export { duplicateFields, hasDuplicateKeys } from './json/ordered.ts';
export { goSyntaxMessage } from './json/syntax.ts';
export { canonicalizeMicroTime, canonicalizeTime, parseMicroTime, parseTime } from './go-time.ts';
export { formatDuration, parseDuration } from './go-duration.ts';
export { sortedKeys } from './json-shape.ts';
