import type { JsonValue, KubeObject } from '@pilothouse/apimachinery';
import {
  StatusError,
  applyJsonPatch,
  applyMergePatch,
  applyStrategicMergePatch,
  decodeJsonPatch,
  decodeMergePatch,
  decodeStrategicMergePatch,
  goQuote,
  hasReason,
  parseApiVersion,
  statusErrors,
} from '@pilothouse/apimachinery';
import { builtinSchemas } from '@pilothouse/api';
import {
  DecodeError,
  bodyText,
  duplicateFields,
  encodeUnstructuredJson,
  parseJson,
} from '@pilothouse/serializer';
import { limits } from '../../limits.ts';
import type { UpdatedObjectInfo } from '../../registry/rest/rest-storage.ts';
import type { RequestContext } from '../../request/request-context.ts';
import type { Call } from '../call.ts';
import { admissionOf, apiVersionOfKind, contextOf, negotiateOutput, responseKindOf } from '../call.ts';
import { jsonType } from '../negotiation.ts';
import type { WriteOptions } from '../options.ts';
import { writeOptionsOf } from '../options.ts';
import { parseYaml } from '../yaml.ts';
import { matchNamespace, readRequestBody } from './decode-object.ts';
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
  const { codec } = call.services;
  const kind = responseKindOf(call.storage.resource);
  const strict = options.fieldValidation !== 'Ignore';
  const duplicates = strict && type !== applyType ? patchDuplicates(body) : [];
  const asJson = (existing: KubeObject): JsonValue =>
    JSON.parse(Buffer.from(codec.encode(existing, jsonType, false)).toString('utf8')) as JsonValue;
  let apply: (existing: KubeObject) => { value: JsonValue; shown: string };
  switch (type) {
    case jsonPatchType: {
      const operations = decodeJsonPatch(json(body, 'error decoding patch: '));
      apply = (existing) => {
        const value = applyJsonPatch(asJson(existing), operations);
        return { value, shown: encodeUnstructuredJson(value) };
      };
      break;
    }
    case mergePatchType: {
      const patch = decodeMergePatch(json(body, 'error decoding patch: '));
      apply = (existing) => {
        const value = applyMergePatch(asJson(existing), patch);
        return { value, shown: encodeUnstructuredJson(value) };
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
      const shown = goMapText(patch);
      apply = (existing) => ({
        value: applyStrategicMergePatch(asJson(existing) as Record<string, JsonValue>, patch, {
          registry: builtinSchemas,
          message,
        }) as JsonValue,
        shown,
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
  shown: string,
  options: WriteOptions,
  duplicates: readonly string[],
): KubeObject {
  const kind = responseKindOf(call.storage.resource);
  const invalid = (cause: string): StatusError =>
    statusErrors.invalid({ group: '', kind: '' }, '', [
      { type: 'FieldValueInvalid', field: 'patch', message: `Invalid value: ${goQuote(shown)}: ${cause}` },
    ]);
  let decoded;
  try {
    decoded = call.services.codec.decode(
      Buffer.from(JSON.stringify(value)),
      jsonType,
      kind,
      options.fieldValidation === 'Ignore' ? 'Ignore' : 'Warn',
    );
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    throw invalid(error.message.replace(/^.* cannot be handled as a [^:]*: /s, ''));
  }
  const findings = [...duplicates, ...decoded.strictErrors];
  if (options.fieldValidation === 'Strict' && findings.length > 0) {
    throw invalid(`strict decoding error: ${findings.join(', ')}`);
  }
  if (options.fieldValidation === 'Warn') for (const finding of findings) call.exchange.addWarning(finding);
  const { object, gvk } = decoded;
  if (apiVersionOfKind(gvk) !== apiVersionOfKind(kind)) {
    throw statusErrors.badRequest(
      `the API version in the data (${apiVersionOfKind(gvk)}) does not match the expected API version (${apiVersionOfKind(kind)})`,
    );
  }
  matchName(call, object);
  return object;
}

/** Server-side apply. */
function applied(call: Call, body: Buffer, options: WriteOptions): UpdatedObjectInfo {
  const { resource } = call.storage;
  const patch = applyObject(body);
  const kind = responseKindOf(resource);
  const { group, version } = parseApiVersion(patch.apiVersion ?? '') ?? { group: '', version: '' };
  if (!patch.apiVersion || !patch.kind) {
    throw statusErrors.badRequest(`invalid object type: ${group}/${version}, Kind=${patch.kind ?? ''}`);
  }
  patch.metadata ??= {};
  if (patch.apiVersion !== apiVersionOfKind(kind)) {
    throw statusErrors.badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${patch.apiVersion}, expected: ${apiVersionOfKind(kind)}`,
    );
  }
  patch.metadata.name ??= call.name;
  matchNamespace(call, patch);
  return {
    updatedObject(context, existing) {
      return call.services.patches.apply(call.storage, existing, patch, {
        manager: options.fieldManager,
        force: options.force === true,
        now: context.now,
      });
    },
  };
}

function applyObject(body: Buffer): KubeObject {
  let value: unknown;
  try {
    value = parseYaml(bodyText(body), false).value;
  } catch (error) {
    if (error instanceof DecodeError) {
      throw statusErrors.badRequest(`error decoding YAML: error converting YAML to JSON: ${error.message}`);
    }
    throw error;
  }
  if (value === null || value === undefined) return { metadata: {} };
  if (typeof value !== 'object' || Array.isArray(value)) {
    const what = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    throw statusErrors.badRequest(
      `error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal ${what} into Go value of type map[string]interface {}`,
    );
  }
  return value as KubeObject;
}

/** Go's `%v` of decoded JSON: how a strategic merge patch is shown in an error. */
export function goMapText(value: JsonValue | undefined): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goMapText).join(' ')}]`;
  if (typeof value === 'object') {
    const keys = Object.keys(value).sort();
    return `map[${keys.map((key) => `${key}:${goMapText(value[key])}`).join(' ')}]`;
  }
  return String(value);
}
