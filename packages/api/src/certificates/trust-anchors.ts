import { decodeBase64 } from '../core/base64.ts';

/** What is wrong with certificates of authorities in PEM, in upstream's words; nothing when there is at least one and each is good. */
export function trustAnchorFaults(bundle: string): string[] {
  const faults: string[] = [];
  const seen = new Map<string, number[]>();
  for (const [index, { type, hasHeaders, bytes, body }] of pemBlocks(bundle).entries()) {
    if (type !== 'CERTIFICATE') faults.push(`entry ${index} has bad block type: ${type}`);
    else if (hasHeaders) faults.push(`entry ${index} has PEM block headers`);
    else {
      const isAuthority = authorityBit(bytes);
      if (isAuthority === undefined) faults.push(`entry ${index} does not parse as X.509`);
      else if (!isAuthority) faults.push(`entry ${index} does not have the CA bit set`);
      else seen.set(body, [...(seen.get(body) ?? []), index]);
    }
  }
  if (faults.length > 0) return faults;
  if (seen.size === 0) return ['at least one trust anchor must be provided'];
  return [...seen.values()]
    .filter((indices) => indices.length > 1)
    .map((indices) => `duplicate trust anchor (indices [${indices.join(' ')}])`);
}

interface PemBlock {
  readonly type: string;
  readonly hasHeaders: boolean;
  /** Base64 without white space. */
  readonly body: string;
  readonly bytes: Uint8Array;
}

/** Text around blocks, and blocks that are no base64, are passed over, as Go does. One pass over the lines, whatever they are. */
function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let open: { readonly type: string; readonly lines: string[] } | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    const [, edge, type = ''] = /^-----(BEGIN|END) (.*)-----$/.exec(line) ?? [];
    if (edge === 'BEGIN') open = { type, lines: [] };
    else if (edge === undefined) open?.lines.push(line);
    else {
      if (open?.type === type) blocks.push(...pemBlock(type, open.lines));
      open = undefined;
    }
  }
  return blocks;
}

function pemBlock(type: string, lines: readonly string[]): PemBlock[] {
  const hasHeaders = lines.some((line) => line.includes(':'));
  const body = lines.filter((line) => !line.includes(':')).join('');
  if (body.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(body)) return [];
  return [{ type, hasHeaders, body, bytes: latin1Bytes(decodeBase64(body)) }];
}

function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

const tags = { boolean: 0x01, octets: 0x04, oid: 0x06, sequence: 0x30, extensions: 0xa3 } as const;
/** 2.5.29.19 */
const basicConstraints = [0x55, 0x1d, 0x13];

/** Whether an X.509 certificate (DER) says that it is of an authority; undefined when it is no certificate. */
function authorityBit(der: Uint8Array): boolean | undefined {
  const certificate = element(der, 0, der.length);
  if (certificate?.tag !== tags.sequence || certificate.end !== der.length) return undefined;
  const parts = elements(der, certificate);
  const [body] = parts ?? [];
  if (parts?.length !== 3 || body?.tag !== tags.sequence) return undefined;
  const fields = elements(der, body);
  // Serial number, algorithm, issuer, validity, subject and key at least.
  if (fields === undefined || fields.length < 6) return undefined;
  const holder = fields.find(({ tag }) => tag === tags.extensions);
  if (holder === undefined) return false;
  const [list] = elements(der, holder) ?? [];
  const extensions = list && elements(der, list);
  if (extensions === undefined) return undefined;
  for (const extension of extensions) {
    const [oid, ...rest] = elements(der, extension) ?? [];
    const value = rest.at(-1);
    if (oid?.tag !== tags.oid || value?.tag !== tags.octets) return undefined;
    const id = der.subarray(oid.start, oid.end);
    if (id.length !== basicConstraints.length || id.some((byte, at) => byte !== basicConstraints[at]))
      continue;
    const constraints = element(der, value.start, value.end);
    const [authority] = (constraints && elements(der, constraints)) ?? [];
    return authority?.tag === tags.boolean && der[authority.start] === 0xff;
  }
  return false;
}

function elements(der: Uint8Array, { start, end }: Element): Element[] | undefined {
  const found: Element[] = [];
  for (let at = start; at < end;) {
    const next = element(der, at, end);
    if (next === undefined) return undefined;
    found.push(next);
    at = next.end;
  }
  return found;
}

/** The element that begins at `at`; undefined when it would end behind `limit`. */
function element(der: Uint8Array, at: number, limit: number): Element | undefined {
  const [tag, first] = [der[at], der[at + 1]];
  if (tag === undefined || first === undefined || at + 2 > limit) return undefined;
  let start = at + 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) return undefined;
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + (der[start + index] ?? 0);
    start += count;
  }
  const end = start + length;
  return end > limit ? undefined : { tag, start, end };
}
