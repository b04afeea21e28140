/** The text of UTF-8 bytes; undefined when they are none. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  let out = '';
  for (let index = 0; index < bytes.length;) {
    const lead = bytes[index++] as number;
    if (lead < 0x80) {
      out += String.fromCharCode(lead);
      continue;
    }
    const more = lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 0;
    if (more === 0 || lead >= 0xf5) return undefined;
    let point = lead & (0x3f >> more);
    for (let count = 0; count < more; count++) {
      const next = bytes[index++];
      if (next === undefined || (next & 0xc0) !== 0x80) return undefined;
      point = (point << 6) | (next & 63);
    }
    const least = more === 1 ? 0x80 : more === 2 ? 0x800 : 0x10000;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
    out += String.fromCodePoint(point);
  }
  return out;
}
