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
} from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import { DecodeError, bodyText, decodeYaml, duplicateFields, parseJson } from '@pilothouse/serializer';
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
      if (!isRace || attempt >= limits.patchAttemptsMax || context.signal.aborted) throw error;
    }
  }
}

function json(body: Uint8Array, prefix: string): JsonValue {
  try {
    return parseJson(bodyText(body)) as JsonValue;
  } catch (error) {
    if (error instanceof DecodeError) throw statusErrors.badRequest(`${prefix}${error.message}`);
    throw error;
  }
}

/** JSON patch, merge patch and strategic merge patch. */
function patched(call: Call, type: string, body: Buffer, options: WriteOptions): UpdatedObjectInfo {
  const codec = codecOf(call);
  const kind = responseKindOf(call.storage.resource);
  const strict = options.fieldValidation !== 'Ignore';
  const duplicates = strict && type !== applyType ? patchDuplicates(body) : [];
  const asJson = (existing: KubeObject): JsonValue =>
    JSON.parse(Buffer.from(codec.encode(existing, jsonType, false)).toString('utf8')) as JsonValue;
  let apply: (existing: KubeObject) => { value: JsonValue; shown: () => string };
  switch (type) {
    case jsonPatchType: {
      const operations = decodeJsonPatch(json(body, 'error decoding patch: '));
      apply = (existing) => {
        const value = applyJsonPatch(asJson(existing), operations);
        return { value, shown: () => jsonPatchedText(value, operations) };
      };
      break;
    }
    case mergePatchType: {
      const patch = decodeMergePatch(json(body, 'error decoding patch: '));
      apply = (existing) => {
        const value = applyMergePatch(asJson(existing), patch);
        return { value, shown: () => mergePatchedText(value, patch) };
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
      apply = (existing) => ({
        value: applyStrategicMergePatch(asJson(existing) as Record<string, JsonValue>, patch, {
          registry: builtinSchemas,
          message,
        }) as JsonValue,
        shown: () => goFormat(patch),
      });
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
      const { value, shown } = apply(existing);
      return decodePatched(call, value, shown, options, duplicates);
    },
  };
}

function patchDuplicates(body: Uint8Array): string[] {
  try {
    return duplicateFields(bodyText(body));
  } catch {
    return [];
  }
}

/** The document after the patch as an object of the kind, or 422 with what the client can see of it. */
function decodePatched(
  call: Call,
  value: JsonValue,
  shown: () => string,
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
      Buffer.from(JSON.stringify(value)),
      jsonType,
      kind,
      options.fieldValidation === 'Ignore' ? 'Ignore' : 'Warn',
    );
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    throw invalid(error.message.replace(/^.* cannot be handled as a [^:]*: /s, ''));
  }
  const findings = [...duplicates, ...decoded.warnings];
  if (options.fieldValidation === 'Strict' && findings.length > 0) {
    throw invalid(`strict decoding error: ${findings.join(', ')}`);
  }
  if (options.fieldValidation === 'Warn') for (const finding of findings) call.exchange.addWarning(finding);
  const { object } = decoded;
  matchName(call, object);
  call.storage.defaults?.(object);
  return object;
}

/** Server-side apply. */
function applied(call: Call, body: Buffer, options: WriteOptions): UpdatedObjectInfo {
  const { resource } = call.storage;
  const patch = applyObject(call, body, options);
  const kind = responseKindOf(resource);
  if (!patch.apiVersion || !patch.kind) {
    const { group, version } = parseApiVersion(patch.apiVersion ?? '') ?? { group: '', version: '' };
    throw statusErrors.badRequest(`invalid object type: ${group}/${version}, Kind=${patch.kind ?? ''}`);
  }
  if (patch.apiVersion !== apiVersionOfKind(kind)) {
    throw statusErrors.badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${patch.apiVersion}, expected: ${apiVersionOfKind(kind)}`,
    );
  }
  const { tracker, strategy } = call.storage as RestStorage & { readonly tracker?: FieldTracker };
  if (!tracker) {
    throw statusErrors.unsupportedMediaType(
      `Server-side apply is not supported by ${resourcePath(resource)}`,
    );
  }
  patch.metadata ??= {};
  if (patch.metadata.name === undefined) patch.metadata.name = call.name;
  else matchName(call, patch);
  matchNamespace(call, patch);
  return {
    updatedObject: (context, existing) => {
      const object = tracker.apply(existing, structuredClone(patch), {
        manager: options.fieldManager,
        force: options.force === true,
        now: context.now,
        subresource: resource.subresource,
        resetFields: strategy?.resetFields ?? [],
      });
      call.storage.defaults?.(object);
      return object;
    },
  };
}

/** The configuration of an apply. Duplicate keys are findings of fieldValidation. */
function applyObject(call: Call, body: Buffer, options: WriteOptions): KubeObject {
  let value: unknown;
  let duplicates: readonly string[] = [];
  try {
    ({ value, duplicates } = decodeYaml(bodyText(body)));
  } catch (error) {
    if (error instanceof DecodeError) {
      throw statusErrors.badRequest(`error decoding YAML: error converting YAML to JSON: ${error.message}`);
    }
    throw error;
  }
  if (value === null || value === undefined) return { metadata: {} };
  if (!isJsonObject(value)) {
    throw statusErrors.badRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${goJsonKind(value)} into Go value of type map[string]interface {}`,
    );
  }
  if (options.fieldValidation === 'Warn') for (const finding of duplicates) call.exchange.addWarning(finding);
  return value as unknown as KubeObject;
}
