export type { FieldSchema, MessageSchema, ScalarKind, SchemaRegistry, SpecialKind, TypeRef } from './schema.ts';
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
