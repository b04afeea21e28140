import { strayByte } from '@pilothouse/apimachinery';

const selectors = ['labelSelector', 'fieldSelector'];

/** Parameters of a URL, `text` being what follows the question mark. Selectors keep bytes that are no UTF-8 as `strayByte` says. */
export function parseQuery(text: string): URLSearchParams {
  const query = new URLSearchParams(text);
  for (const name of selectors) {
    if (query.get(name)?.includes('\ufffd') !== true) continue;
    const raw = text.split('&').find((pair) => pair.startsWith(`${name}=`));
    if (raw !== undefined) query.set(name, decoded(raw.slice(name.length + 1)));
  }
  return query;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decoded(raw: string): string {
  const plain = raw.replaceAll('+', ' ').replace(/%([0-9a-f]{2})/gi, (_, hex: string) => {
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
  const bytes = Buffer.from(plain, 'latin1');
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at] as number;
    const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    try {
      text += strict.decode(bytes.subarray(at, at + Math.max(1, length)));
      at += Math.max(1, length);
    } catch {
      text += strayByte(first);
      at += 1;
    }
  }
  return text;
}
