import type { JsonObject } from '../json.ts';
import { deepClone, goJsonKind, isJsonObject, setOwn } from '../json.ts';
import type { JsonValue } from '../meta.ts';
import { statusErrors } from '../status-error.ts';
import { undecodablePatch } from './patch-errors.ts';

/** Checks a decoded application/merge-patch+json body. @throws StatusError 400 */
export function decodeMergePatch(body: JsonValue): JsonObject {
  if (body === null) throw statusErrors.badRequest('Invalid JSON Patch');
  if (!isJsonObject(body)) {
    throw undecodablePatch(
      `json: cannot unmarshal ${goJsonKind(body)} into Go value of type map[string]interface {}`,
    );
  }
  return body;
}

/** RFC 7386. Neither argument is changed; unpatched parts are shared with `target`. */
export function applyMergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isJsonObject(patch)) return deepClone(patch);
  const out: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(out, key);
    else setOwn(out, key, applyMergePatch(Object.hasOwn(out, key) ? out[key] : undefined, value));
  }
  return out;
}
