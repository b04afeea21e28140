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
export { badValue, fieldError, FieldPath, goQuote } from './field-error.ts';
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
