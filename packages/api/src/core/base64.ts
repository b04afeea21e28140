import { encodeUtf8 } from '@pilothouse/base';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Standard base64 with padding of a text's UTF-8 bytes. */
export function base64OfText(text: string): string {
  const bytes = encodeUtf8(text);
  let out = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const [a, b, c] = [bytes[index] as number, bytes[index + 1], bytes[index + 2]];
    const word = (a << 16) | ((b ?? 0) << 8) | (c ?? 0);
    out += alphabet[(word >> 18) & 63] as string;
    out += alphabet[(word >> 12) & 63] as string;
    out += b === undefined ? '=' : (alphabet[(word >> 6) & 63] as string);
    out += c === undefined ? '=' : (alphabet[word & 63] as string);
  }
  return out;
}

/** How many bytes base64 text stands for. */
export function base64Bytes(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return Math.max(0, Math.floor((text.length * 3) / 4) - padding);
}

/** The bytes as one character each (Latin-1), to look into them. */
export function decodeBase64(text: string): string {
  let out = '';
  let bits = 0;
  let value = 0;
  for (const character of text) {
    const digit = alphabet.indexOf(character);
    if (digit < 0) continue;
    value = (value << 6) | digit;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out += String.fromCharCode((value >> bits) & 255);
    }
    value &= (1 << bits) - 1;
  }
  return out;
}
