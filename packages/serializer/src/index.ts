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
export { goKind } from './json/go-type.ts';
export { duplicateFields, hasDuplicateKeys } from './json/ordered.ts';
export { goSyntaxMessage } from './json/syntax.ts';
export { canonicalizeMicroTime, canonicalizeTime, parseMicroTime, parseTime } from './go-time.ts';
export { formatDuration, parseDuration } from './go-duration.ts';
export { sortedKeys } from './json-shape.ts';
export {
  allowsResourceConvert,
  jsonMediaType,
  negotiateInput,
  negotiateOutput,
  notAcceptable,
  notAcceptableRoute,
  objectMediaTypes,
  parseAccept,
  patchMediaTypes,
  protobufMediaType,
  unsupportedMediaType,
  wantsPretty,
  watchMediaTypes,
  yamlMediaType,
} from './negotiation.ts';
export type { AcceptClause, NegotiatedOutput, NegotiateOptions } from './negotiation.ts';
export { joinedFindings, readConfigDocument } from './config-document.ts';
export type { ConfigShape } from './config-document.ts';
export { decodeYaml } from './yaml/decode.ts';
export type { DecodedYaml } from './yaml/decode.ts';
export { encodeYaml } from './yaml/encode.ts';
export {
  jsonListFrame,
  jsonListItem,
  jsonTypeMetaPrefix,
  jsonWatchEvent,
  protobufListFrame,
  protobufWatchEvent,
} from './list-body.ts';
export type { ListHead } from './list-body.ts';
export {
  cannotBeHandled,
  decodeBody,
  describeBody,
  documentKind,
  parseDocument,
  strictProblems,
  unrecognizedObject,
  versionMismatch,
} from './decode-body.ts';
export type { DecodeBodyOptions, DecodedBody, ParsedDocument } from './decode-body.ts';
export {
  encodeOpenApiV2Protobuf,
  openApiV2ProtobufSteps,
  openApiV2ProtobufAccept,
  openApiV2ProtobufMediaType,
} from './openapi-protobuf.ts';
export {
  encodeOpenApiV3Protobuf,
  openApiV3ProtobufMediaType,
  openApiV3ProtobufSteps,
} from './openapi-v3-protobuf.ts';
