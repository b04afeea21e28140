import type { JsonPatchOperation, JsonValue } from '@pilothouse/apimachinery';
import { isJsonObject } from '@pilothouse/apimachinery';
import { encodeUnstructuredJson, goJsonString, goJsonText, sortedKeys } from '@pilothouse/serializer';

// Upstream shows a patched document in its errors. The library behind it decodes only the objects that a patch goes through and
// writes those with sorted members; all others keep the text they had.

type Touched = Map<string, Touched>;

/** The document after a merge patch, as errors show it. */
export function mergePatchedText(document: JsonValue, patch: JsonValue): string {
  // What the patch brings was decoded as a whole.
  if (!isJsonObject(document) || !isJsonObject(patch)) return encodeUnstructuredJson(document);
  const members = sortedKeys(document).map((key) => {
    const value = document[key] as JsonValue;
    return `${goJsonString(key)}:${key in patch ? mergePatchedText(value, patch[key] as JsonValue) : goJsonText(value)}`;
  });
  return `{${members.join(',')}}`;
}

/** The document after a JSON patch, as errors show it. */
export function jsonPatchedText(document: JsonValue, operations: readonly JsonPatchOperation[]): string {
  const touched: Touched = new Map();
  for (const operation of operations) {
    for (const pointer of [operation.path, (operation as { from?: unknown }).from]) {
      if (typeof pointer !== 'string') continue;
      let at = touched;
      for (const part of pointer.split('/').slice(1, -1)) {
        const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
        let next = at.get(key);
        if (!next) at.set(key, (next = new Map()));
        at = next;
      }
    }
  }
  return touchedText(document, touched);
}

function touchedText(value: JsonValue | undefined, touched: Touched | undefined): string {
  if (!touched || value === undefined) return goJsonText(value);
  if (Array.isArray(value)) {
    return `[${value.map((item, index) => touchedText(item, touched.get(String(index)))).join(',')}]`;
  }
  if (!isJsonObject(value)) return goJsonText(value);
  const members = sortedKeys(value).map(
    (key) => `${goJsonString(key)}:${touchedText(value[key] as JsonValue, touched.get(key))}`,
  );
  return `{${members.join(',')}}`;
}
