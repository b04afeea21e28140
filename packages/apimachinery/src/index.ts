export type {
  FieldSchema,
  MessageSchema,
  ScalarKind,
  SchemaRegistry,
  SpecialKind,
  TypeRef,
} from './schema.ts';
export type {
  GroupResource,
  GroupVersionKind,
  GroupVersionResource,
  JsonValue,
  KubeObject,
  ManagedFieldsEntry,
  ObjectMeta,
  OwnerReference,
} from './meta.ts';
export { apiVersionOf, groupKindString, groupResourceString, parseApiVersion } from './meta.ts';
export type { FieldError, FieldErrorType } from './field-error.ts';
export { badValue, fieldError, FieldPath, goQuote, strayByte, withoutStrayBytes } from './field-error.ts';
export type { Status, StatusCause, StatusDetails } from './status-error.ts';
export { hasReason, StatusError, statusErrors } from './status-error.ts';
export type { QuantityFormat } from './quantity.ts';
export {
  canonicalQuantity,
  compareQuantities,
  isQuantity,
  parseQuantity,
  Quantity,
  QuantityError,
  quantityFormatMessage,
  quantityMilliValue,
  quantityValue,
} from './quantity.ts';
export type { NameRule } from './name-validation.ts';
export {
  dns1035LabelMaxLength,
  dns1123LabelMaxLength,
  dns1123SubdomainMaxLength,
  emptyError,
  isCIdentifier,
  isConfigMapKey,
  isDns1035Label,
  isDns1123Label,
  isDns1123Subdomain,
  isDns1123SubdomainWithUnderscore,
  isEnvVarName,
  isFullyQualifiedDomainName,
  isHttpHeaderName,
  isQualifiedName,
  isRelaxedEnvVarName,
  isValidGroupId,
  isValidLabelValue,
  isValidPathSegmentName,
  isValidPathSegmentPrefix,
  isValidPercent,
  isValidPortName,
  isValidPortNumber,
  isValidUserId,
  isWildcardDns1123Subdomain,
  labelValueMaxLength,
  nameIsDns1035Label,
  nameIsDnsLabel,
  nameIsDnsSubdomain,
  nameIsLongName,
  nameIsPathSegment,
  rangeError,
  utf8Length,
} from './name-validation.ts';
export type { Cidr } from './ip-address.ts';
export {
  cidrContains,
  cidrError,
  formatIp,
  ipAddressError,
  isIpv6,
  isValidCidr,
  isValidIp,
  parseCidr,
  parseIp,
} from './ip-address.ts';
export type { LabelOperator, LabelRequirement, Labels, LabelSelectorObject } from './labels.ts';
export {
  everything,
  formatLabelSelector,
  LabelSelector,
  labelSelectorFromSet,
  labelSelectorOf,
  newRequirement,
  nothing,
  parseLabelSelector,
  SelectorError,
  validateLabelName,
  validateLabels,
  validateLabelSelector,
} from './labels.ts';
export type { FieldRequirement } from './fields.ts';
export type { NodeSelectorRequirement, NodeSelectorTerm } from './node-selector.ts';
export { nodeTermMatches } from './node-selector.ts';
export { escapeFieldValue, FieldSelector, parseFieldSelector, unsupportedFieldMessage } from './fields.ts';
export { generateName, randomSuffix, safeEncode, suffixAlphabet } from './random-suffix.ts';
export {
  formatGoDuration,
  formatMicroTime,
  formatTime,
  humanDuration,
  parseGoDuration,
  parseTime,
  translateTimestampSince,
} from './time.ts';
export type { Condition } from './conditions.ts';
export { findCondition, isConditionTrue, withCondition } from './conditions.ts';
export type { ObjectMetaRules } from './object-meta-validation.ts';
export {
  annotationsBytesMax,
  fieldImmutableError,
  validateAnnotations,
  validateFieldManager,
  validateFinalizers,
  validateObjectMeta,
  validateObjectMetaUpdate,
  validateOwnerReferences,
} from './object-meta-validation.ts';
export { fieldsByName, messageOf } from './schema-fields.ts';
export { jsonText, parseExact, withAllDigits, withExactIntegers } from './exact-json.ts';
export type { JsonObject } from './json.ts';
export { cloneDecoded, noteGivenEmpty, shownMember } from './given-empty.ts';
export { deepClone, deepEqual, deepFreeze, goFormat, goJsonKind, isJsonObject, setOwn } from './json.ts';
export type { JsonPatchOperation } from './patch/json-patch.ts';
export { applyJsonPatch, decodeJsonPatch, jsonPatchOperationsMax } from './patch/json-patch.ts';
export { applyMergePatch, decodeMergePatch } from './patch/merge-patch.ts';
export { applyStrategicMergePatch, decodeStrategicMergePatch } from './patch/strategic-merge-patch.ts';
export type { FieldsV1 } from './managedfields/field-set.ts';
export { decodeFieldSet, emptyFieldSet, FieldSet, FieldSetBuilder } from './managedfields/field-set.ts';
export type { PathElement } from './managedfields/path-element.ts';
export { keyElement, memberElement, pathElementText, valueElement } from './managedfields/path-element.ts';
export type { MapType, MergeType, StructuralSchema } from './managedfields/merge-schema.ts';
export {
  deducedType,
  mergeTypeOfMessage,
  mergeTypeOfStructuralSchema,
} from './managedfields/merge-schema.ts';
export type { Comparison } from './managedfields/typed-value.ts';
export {
  compareTyped,
  fieldSetOf,
  mergeTyped,
  removeItems,
  typeErrors,
} from './managedfields/typed-value.ts';
export type { ManagerEntry, ManagerIdentity, Managers } from './managedfields/managers.ts';
export {
  ancientChangesManager,
  capManagers,
  decodeManagers,
  encodeManagers,
  identityKey,
  updateManagersMax,
} from './managedfields/managers.ts';
export type { ApplyOptions, FieldManagerOptions } from './managedfields/field-manager.ts';
export {
  builtInFieldManager,
  FieldManager,
  ignoreTimestampOnlyChange,
} from './managedfields/field-manager.ts';
export { emptyObjectOf } from './managedfields/empty-object.ts';
export type { ReplicasPaths } from './managedfields/scale-entries.ts';
export { parentManagedFields, scaleManagedFields } from './managedfields/scale-entries.ts';
