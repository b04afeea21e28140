import type { JsonValue, KubeObject } from '@pilothouse/apimachinery';
import {
  StatusError,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  decodeJsonPatch,
  decodeMergePatch,
  decodeStrategicMergePatch,
  goFormat,
  goJsonKind,
  goQuote,
  hasReason,
  isJsonObject,
  parseApiVersion,
  statusErrors,
  parseExact,
  withExactIntegers,
} from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import {
  DecodeError,
  bodyText,
  decodeYaml,
  duplicateFields,
  goKind,
  encodeUnstructuredJson,
  parseJson,
} from '@pilothouse/serializer';
import { limits } from '../../limits.ts';
import type { FieldTracker } from '../../registry/generic/field-tracker.ts';
import type { RestStorage, UpdatedObjectInfo } from '../../registry/rest/rest-storage.ts';
import { resourcePath } from '../../registry/rest/rest-storage.ts';
import type { RequestContext } from '../../request/request-context.ts';
import type { Call } from '../call.ts';
import {
  admissionOf,
  apiVersionOfKind,
  codecOf,
  contextOf,
  negotiateOutput,
  responseKindOf,
} from '../call.ts';
import { jsonType } from '../negotiation.ts';
import type { WriteOptions } from '../options.ts';
import { writeOptionsOf } from '../options.ts';
import { matchNamespace, readRequestBody } from './decode-object.ts';
import { jsonPatchedText, mergePatchedText } from './patched-text.ts';
import { requireMember } from './require-member.ts';
import { respondStored } from './respond-stored.ts';
import { matchName } from './update.ts';

const jsonPatchType = 'application/json-patch+json';
const mergePatchType = 'application/merge-patch+json';
const strategicType = 'application/strategic-merge-patch+json';
const applyType = 'application/apply-patch+yaml';

/** Media types of a PATCH. */
export const patchTypes: ReadonlySet<string> = new Set([
  jsonPatchType,
  mergePatchType,
  strategicType,
  applyType,
]);

export async function handlePatch(call: Call, type: string): Promise<void> {
  const update = requireMember(call, 'update');
  const { exchange } = call;
  const output = negotiateOutput(call);
  const body = await readRequestBody(call);
  const isApply = type === applyType;
  const options = writeOptionsOf(exchange.query, 'PatchOptions', isApply);
  const context = contextOf(call, options);
  const info = isApply ? applied(call, body, options) : patched(call, type, body, options);
  const write = (): ReturnType<typeof update> =>
    update(
      context,
      call.name,
      info,
      {
        dryRun: options.dryRun,
        fieldManager: context.fieldManager,
        forceAllowCreate: isApply,
        fieldTracking: isApply ? 'none' : 'update',
      },
      admissionOf(call, context, 'PatchOptions', {
        ...(options.dryRun.length > 0 ? { dryRun: options.dryRun } : {}),
        fieldManager: context.fieldManager,
        fieldValidation: options.fieldValidation,
        ...(options.force === undefined ? {} : { force: options.force }),
      }),
    );
  const { object, created } = await retried(write, context);
  await respondStored(call, created ? 201 : 200, object, output);
}

/** A lost race is tried again: the patch has no resourceVersion that could be old. */
async function retried<T>(write: () => Promise<T>, context: RequestContext): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      const isRace =
        hasReason(error, 'Conflict') && (error as StatusError).status.details?.causes === undefined;
      if (!isRace || attempt >= limits.patchAttemptsMax || context.isAborted()) throw error;
    }
  }
}

function json(body: Uint8Array, prefix: string): JsonValue {
  try {
    const text = bodyText(body);
    return withExactIntegers(text, parseJson(text)) as JsonValue;
  } catch (error) {
    if (error instanceof DecodeError) throw statusErrors.badRequest(`${prefix}${error.message}`);
    throw error;
  }
}

interface Patched {
  /** JSON of the document after the patch. */
  readonly text: string;
  /** It was made without going through JSON text, so errors have other words. */
  readonly isStrategic?: boolean;
  /** What an error shows of it. */
  shown(): string;
}

/** JSON patch, merge patch and strategic merge patch. */
function patched(call: Call, type: string, body: Buffer, options: WriteOptions): UpdatedObjectInfo {
  const codec = codecOf(call);
  const kind = responseKindOf(call.storage.resource);
  const strict = options.fieldValidation !== 'Ignore';
  const duplicates = strict ? patchFindings(body, type === jsonPatchType) : [];
  const asJson = (existing: KubeObject): JsonValue =>
    parseExact(Buffer.from(codec.encode(existing, jsonType, false)).toString('utf8')) as JsonValue;
  let apply: (existing: KubeObject) => Patched;
  switch (type) {
    case jsonPatchType: {
      const operations = decodeJsonPatch(json(body, 'error decoding patch: '));
      apply = (existing) => {
        const value = applyJsonPatch(asJson(existing), operations);
        const text = jsonPatchedText(value, operations);
        return { text, shown: () => text };
      };
      break;
    }
    case mergePatchType: {
      const patch = decodeMergePatch(json(body, 'error decoding patch: '));
      apply = (existing) => {
        const value = applyMergePatch(asJson(existing), patch);
        // Where the two texts differ is nothing that a decoder could complain about.
        return { text: encodeUnstructuredJson(value), shown: () => mergePatchedText(value, patch) };
      };
      break;
    }
    default: {
      const patch = decodeStrategicMergePatch(json(body, ''));
      const message = builtinSchemas.kind(kind.group, kind.version, kind.kind);
      if (!message) {
        throw statusErrors.unsupportedMediaType(
          `the body of the request was in an unknown format - accepted media types include: ${[jsonPatchType, mergePatchType, applyType].join(', ')}`,
        );
      }
      apply = (existing) => {
        const document = asJson(existing) as Record<string, JsonValue>;
        const value = applyStrategicMergePatch(document, patch, { registry: builtinSchemas, message });
        // The path says what is made of it.
        const typed = { ...value, apiVersion: document['apiVersion'], kind: document['kind'] };
        return { text: encodeUnstructuredJson(typed), shown: () => goFormat(patch), isStrategic: true };
      };
    }
  }
  return {
    updatedObject(_context, existing) {
      if (!existing) {
        throw statusErrors.notFound(
          { group: call.storage.resource.group, resource: call.storage.resource.resource },
          call.name,
        );
      }
      return decodePatched(call, apply(existing), options, duplicates);
    },
  };
}

const operationMembers = new Set(['op', 'path', 'from', 'value']);

/** Duplicate members of a patch, and members that mean nothing in an operation of a JSON patch. */
function patchFindings(body: Uint8Array, isJsonPatch: boolean): string[] {
  let findings: string[];
  let value: unknown;
  try {
    findings = duplicateFields(bodyText(body));
    value = isJsonPatch ? parseJson(bodyText(body)) : undefined;
  } catch {
    return [];
  }
  if (!Array.isArray(value)) return findings;
  value.forEach((operation: unknown, index) => {
    if (!isJsonObject(operation)) return;
    for (const member of Object.keys(operation)) {
      if (!operationMembers.has(member)) findings.push(`unknown field ${goQuote(`[${index}].${member}`)}`);
    }
  });
  return findings.map((finding) => `json patch ${finding}`);
}

/** Patched objects are decoded by another registry of kinds, which has no default for what is missing. */
function patchCause(text: string, error: StatusError): string {
  const { apiVersion, kind } = JSON.parse(text) as { apiVersion?: unknown; kind?: unknown };
  const scheme = 'pkg/runtime/scheme.go:111';
  if (!apiVersion) {
    return `no kind ${goQuote(String(kind ?? ''))} is registered for the internal version of group "" in scheme "${scheme}"`;
  }
  return error.message
    .replace(/^.* cannot be handled as a [^:]*: /s, '')
    .replace('pkg/api/legacyscheme/scheme.go:30', scheme);
}

/** Go's converter of decoded JSON says what is wrong in words of its own. */
function converterText(message: string): string {
  if (message.startsWith('illegal base64')) return `error decoding from json: ${message}`;
  const match = /^json: cannot unmarshal (\S+) .*of type (\S+)$/.exec(message);
  if (!match) return message;
  const goKinds: Record<string, string> = { object: 'map', array: 'slice' };
  const given = match[1] as string;
  // A number with its digits has a fraction, or more bits than the type.
  const what =
    goKinds[given] ??
    (given === 'number' ? (/ number -?\d*\.\d/.test(message) ? 'float64' : 'int64') : given);
  const type = match[2] as string;
  const kind = goKind(type);
  if (kind === 'slice' || kind === 'map') return `cannot restore ${kind} from ${what}`;
  if (kind === 'struct') return `cannot restore struct from: ${what}`;
  const isConvertible =
    kind === 'string' ? what === 'int64' : /^(?:int|float)/.test(kind) && /64$/.test(what);
  return isConvertible ? `cannot convert ${what} to ${type}` : `unrecognized type: ${kind}`;
}

/** The document after the patch as an object of the kind, or 422 with what the client can see of it. */
function decodePatched(
  call: Call,
  { text, shown, isStrategic = false }: Patched,
  options: WriteOptions,
  duplicates: readonly string[],
): KubeObject {
  const kind = responseKindOf(call.storage.resource);
  const invalid = (cause: string): StatusError =>
    statusErrors.invalid({ group: '', kind: '' }, '', [
      { type: 'FieldValueInvalid', field: 'patch', message: `Invalid value: ${goQuote(shown())}: ${cause}` },
    ]);
  let decoded;
  try {
    decoded = codecOf(call).decode(
      Buffer.from(text),
      jsonType,
      kind,
      options.fieldValidation === 'Ignore' ? 'Ignore' : 'Warn',
    );
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const cause = patchCause(text, error);
    throw invalid(isStrategic ? converterText(cause) : cause);
  }
  const findings = [...duplicates, ...decoded.warnings];
  if (options.fieldValidation === 'Strict' && findings.length > 0) {
    throw invalid(`strict decoding error: ${findings.join(', ')}`);
  }
  if (options.fieldValidation === 'Warn') for (const finding of findings) call.exchange.addWarning(finding);
  const { object } = decoded;
  matchNamespace(call, object);
  matchName(call, object);
  call.storage.defaults?.(object);
  return object;
}

/** Server-side apply. */
function applied(call: Call, body: Buffer, options: WriteOptions): UpdatedObjectInfo {
  const { resource } = call.storage;
  const { patch, duplicates } = applyObject(body);
  const kind = responseKindOf(resource);
  // What is no text counts as absent.
  const said = (value: unknown): string => (typeof value === 'string' ? value : '');
  if (patch.apiVersion !== apiVersionOfKind(kind) || said(patch.kind) === '') {
    const { group, version } = parseApiVersion(said(patch.apiVersion)) ?? { group: '', version: '' };
    throw statusErrors.badRequest(`invalid object type: ${group}/${version}, Kind=${said(patch.kind)}`);
  }
  const { tracker, strategy } = call.storage as RestStorage & { readonly tracker?: FieldTracker };
  if (!tracker) {
    throw statusErrors.unsupportedMediaType(
      `Server-side apply is not supported by ${resourcePath(resource)}`,
    );
  }
  patch.metadata ??= {};
  return {
    updatedObject: (context, existing) => {
      const result = tracker.apply(existing, structuredClone(patch), {
        manager: options.fieldManager,
        force: options.force === true,
        now: context.now,
        subresource: resource.subresource,
        resetFields: strategy?.resetFields ?? [],
      });
      const object = convertApplied(call, result, patch);
      call.storage.defaults?.(object);
      matchName(call, object);
      matchNamespace(call, object);
      const { uid } = object.metadata;
      if (!existing && uid) {
        throw statusErrors.conflict(
          resource,
          call.name,
          `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
        );
      }
      if (options.fieldValidation === 'Strict' && duplicates.length > 0) {
        throw statusErrors.badRequest(
          `error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  ${duplicates.join('\n  ')}`,
        );
      }
      if (options.fieldValidation === 'Warn')
        for (const finding of duplicates) call.exchange.addWarning(finding);
      return object;
    },
  };
}

/**
 * The merged object as any other that is decoded: null is absent, values have their types. Throws 500 for values that only their type
 * refuses, as upstream answers them.
 */
function convertApplied(call: Call, merged: KubeObject, patch: KubeObject): KubeObject {
  // The result shares parts with the stored object, which must not change.
  if ('codec' in call.storage) return structuredClone(merged);
  const { resource } = call.storage;
  const kind = responseKindOf(resource);
  const text = encodeUnstructuredJson(merged as unknown as JsonValue);
  try {
    return codecOf(call).decode(Buffer.from(text), jsonType, kind, 'Ignore').object;
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const type = `${kind.group}/${kind.version}, Kind=${kind.kind}`;
    const namespace = patch.metadata.namespace ?? '';
    const name = patch.metadata.name ?? '';
    const cause = converterText(patchCause(text, error));
    throw new StatusError(
      500,
      '',
      `failed to convert new object (${namespace}/${name}; ${type}) to proper version: unable to convert unstructured object to ${type}: ${cause}`,
    );
  }
}

/** The configuration of an apply, and its duplicate keys. Integers keep all digits. */
function applyObject(body: Buffer): { patch: KubeObject; duplicates: readonly string[] } {
  let value: unknown;
  let duplicates: readonly string[] = [];
  try {
    ({ value, duplicates } = decodeYaml(bodyText(body), true));
  } catch (error) {
    if (error instanceof DecodeError) {
      throw statusErrors.badRequest(`error decoding YAML: error converting YAML to JSON: ${error.message}`);
    }
    throw error;
  }
  if (value === null || value === undefined) return { patch: { metadata: {} }, duplicates };
  if (!isJsonObject(value)) {
    throw statusErrors.badRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${goJsonKind(value)} into Go value of type map[string]interface {}`,
    );
  }
  return { patch: value as unknown as KubeObject, duplicates };
}
