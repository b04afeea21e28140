/**
 * The model of a built-in Kubernetes type: one source for the protobuf codec, the JSON codec, structural validation,
 * OpenAPI, strategic merge patch and server-side apply. The data is generated into @pilothouse/api from proto/k8s.
 */

/** Wire scalars. `int64` travels as a JSON number and is held as a (safe) number in memory. `bytes` is base64 text in JSON and in memory. */
export type ScalarKind = 'string' | 'bool' | 'int32' | 'int64' | 'double' | 'bytes';

/** Types whose JSON is made by hand upstream. In memory each is held in its JSON shape. */
export type SpecialKind =
  | 'Quantity'
  | 'IntOrString'
  | 'Time'
  | 'MicroTime'
  | 'Duration'
  | 'RawExtension'
  | 'JSON'
  | 'FieldsV1'
  | 'StringList'
  | 'JSONSchemaPropsOrArray'
  | 'JSONSchemaPropsOrBool'
  | 'JSONSchemaPropsOrStringArray'
  | 'Patch';

export type TypeRef =
  | { readonly kind: 'scalar'; readonly scalar: ScalarKind }
  /** `message` is the protobuf message behind the hand-made JSON. */
  | { readonly kind: 'special'; readonly special: SpecialKind; readonly message: string }
  | { readonly kind: 'message'; readonly message: string }
  | { readonly kind: 'list'; readonly element: TypeRef }
  /** Keys are always strings. */
  | { readonly kind: 'map'; readonly value: TypeRef };

export interface FieldSchema {
  /** JSON name; empty for an inline field, whose members appear directly in the parent. */
  readonly name: string;
  /** Protobuf name when it differs from the JSON name. */
  readonly protoName?: string;
  /** Protobuf field number; 0 when the field has no protobuf form. */
  readonly number: number;
  readonly type: TypeRef;
  readonly inline?: boolean;
  readonly required?: boolean;
  readonly default?: unknown;
  readonly format?: string;
  /** Closed set, published in OpenAPI. */
  readonly enum?: readonly string[];
  readonly listType?: 'atomic' | 'set' | 'map';
  readonly listMapKeys?: readonly string[];
  readonly mapType?: 'atomic' | 'granular';
  /** As in x-kubernetes-patch-strategy, for example `merge` or `merge,retainKeys`. */
  readonly patchStrategy?: string;
  readonly patchMergeKey?: string;
  /** Presence is kept: a zero value that was set is written (a Go pointer). */
  readonly pointer?: boolean;
  /** Always written in JSON, even when empty (no `omitempty` in Go). */
  readonly emit?: boolean;
  /** Feature gates that guard the field. */
  readonly gates?: readonly string[];
}

export interface MessageSchema {
  /** Full protobuf name, for example `k8s.io.api.core.v1.PodSpec`; the OpenAPI name where there is no protobuf form. */
  readonly name: string;
  /** OpenAPI definition name; absent when not published. */
  readonly openapi?: string;
  /** [group, version, kind] triples; `'*'` means every group-version of meta types such as DeleteOptions. */
  readonly gvk?: readonly (readonly [group: string, version: string, kind: string])[] | '*';
  /** The JSON form carries apiVersion and kind, the protobuf message does not. */
  readonly typeMeta?: boolean;
  readonly special?: SpecialKind;
  readonly mapType?: 'atomic' | 'granular';
  readonly unions?: unknown;
  readonly fields: readonly FieldSchema[];
}

/** Finds schemas. Throws nothing: an unknown name or kind is undefined. */
export interface SchemaRegistry {
  message(name: string): MessageSchema | undefined;
  kind(group: string, version: string, kind: string): MessageSchema | undefined;
}
