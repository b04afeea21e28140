const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** A short, name-safe hash of anything JSON: FNV-1a in 32 bits over its canonical text, written in the alphabet of generated names. */
export function templateHash(value: unknown, collisionCount?: number): string {
  let hash = 0x811c9dc5;
  const text = canonical(value) + (collisionCount === undefined ? '' : `#${collisionCount}`);
  for (let index = 0; index < text.length; index++) {
    hash ^= text.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return [...String(hash)].map((digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('');
}

/** JSON with sorted keys: equal values give equal texts. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`)
      .join(',')}}`;
  }
  return JSON.stringify(value) ?? 'null';
}
