/** An object in its JSON shape. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- fields are known only through the schema
export type JsonObject = Record<string, any>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Own keys in the order of Go maps when they are written: by UTF-8 bytes. */
export function sortedKeys(value: object): string[] {
  const keys = Object.keys(value);
  if (keys.length < 2) return keys;
  let sorted = true;
  for (let index = 1; index < keys.length; index++) {
    if ((keys[index - 1] as string) > (keys[index] as string)) {
      sorted = false;
      break;
    }
  }
  if (!sorted) keys.sort();
  // UTF-16 order differs from UTF-8 order only where surrogates meet the characters above them.
  return keys.some((key) => /[\ud800-\udfff]/.test(key)) ? keys.sort(compareCodePoints) : keys;
}

function compareCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Sets a member even when it is called `__proto__`. */
export function setMember(target: JsonObject, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}
