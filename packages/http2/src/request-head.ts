import type { HeaderField } from './hpack/header-decoder.ts';
import { HeaderDecoder } from './hpack/header-decoder.ts';

/**
 * Headers of a request by name in lower case, pseudo headers (`:method`, `:scheme`, `:path`, `:authority`) among them. Several of one name
 * are joined by a comma, cookies by a semicolon. Texts are bytes as characters (latin1). May be shared by many requests.
 */
export type RequestHeaders = Readonly<Record<string, string | undefined>> & {
  readonly [repeatedFields]?: Readonly<Record<string, readonly string[]>>;
};

/** Under it the values one by one of names that stood there more than once: joined they cannot be told apart again. */
export const repeatedFields = Symbol('repeated fields');

/** What a block of headers turned out to be. */
export type HeadResult =
  | { readonly kind: 'headers'; readonly headers: RequestHeaders; readonly contentLength: number | undefined }
  /** Breaks a rule of RFC 9113, section 8: the stream is to be reset. */
  | { readonly kind: 'malformed' }
  /** Larger than what was offered. */
  | { readonly kind: 'tooLarge' };

const pseudoNames = new Set([':method', ':scheme', ':path', ':authority']);
/** Of HTTP/1 connections; RFC 9113, section 8.2.2. */
const connectionNames = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);
const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const valuePattern = /^(?![ \t])[^\0\r\n]*(?<![ \t])$/;
/**
 * What headers are made from: nothing is inherited, so that no name means anything of JavaScript's. V8 makes a hash table of what has no
 * prototype at all, and going through one sorts its names each time.
 */
const noMembers = Object.freeze(Object.create(null) as object);
const malformed: HeadResult = { kind: 'malformed' };
const tooLarge: HeadResult = { kind: 'tooLarge' };

/** What was found out about a field, on its `mark`. */
const mark = { regular: 1, pseudo: 2, broken: 3 } as const;

/** Blocks that are looked up instead of read again. */
const cachedBlocksMax = 128;
const cachedBlockBytesMax = 1024;

/** Reads the header blocks of one connection's requests, in order. */
export class RequestHeadReader {
  readonly #decoder = new HeaderDecoder();
  readonly #listBytesMax: number;
  /**
   * Clients send the same block for each call of a kind. Its bytes mean the same as long as the table does, so they are read once.
   */
  readonly #cache = new Map<string, HeadResult>();
  #cacheVersion = 0;

  /** `listBytesMax`: of all names and values, 32 more for each field. */
  constructor(listBytesMax: number) {
    this.#listBytesMax = listBytesMax;
  }

  /** The headers that begin a request. Throws when the block is damaged: the connection cannot go on then. */
  head(block: Buffer): HeadResult {
    const decoder = this.#decoder;
    if (this.#cacheVersion !== decoder.version) {
      this.#cache.clear();
      this.#cacheVersion = decoder.version;
    }
    const key = block.length <= cachedBlockBytesMax ? block.toString('latin1') : undefined;
    if (key !== undefined) {
      const known = this.#cache.get(key);
      if (known !== undefined) return known;
    }
    const result = this.#read(block, false);
    if (key !== undefined && decoder.version === this.#cacheVersion && this.#cache.size < cachedBlocksMax) {
      if (result.kind === 'headers') Object.freeze(result.headers);
      this.#cache.set(key, result);
    }
    return result;
  }

  /** The fields that end a request. Throws as {@link RequestHeadReader.head} does. */
  trailers(block: Buffer): HeadResult {
    return this.#read(block, true);
  }

  #read(block: Buffer, isTrailer: boolean): HeadResult {
    const headers = Object.create(noMembers) as Record<string, string> & {
      [repeatedFields]?: Record<string, string[]>;
    };
    let bytes = 0;
    let isBroken = false;
    let hasRegular = false;
    // Everything is decoded whatever is wrong with it, for the table must go on.
    this.#decoder.decode(block, (field) => {
      bytes += field.bytes;
      if (isBroken || bytes > this.#listBytesMax) return;
      if (field.mark === 0) field.mark = kindOf(field);
      const { name, value } = field;
      if (field.mark === mark.pseudo) {
        isBroken = isTrailer || hasRegular || headers[name] !== undefined;
        headers[name] = value;
        return;
      }
      if (field.mark === mark.broken) {
        isBroken = true;
        return;
      }
      hasRegular = true;
      const earlier = headers[name];
      if (earlier !== undefined) {
        const repeated = (headers[repeatedFields] ??= Object.create(null) as Record<string, string[]>);
        (repeated[name] ??= [earlier]).push(value);
      }
      headers[name] = earlier === undefined ? value : `${earlier}${name === 'cookie' ? '; ' : ', '}${value}`;
    });
    if (bytes > this.#listBytesMax) return tooLarge;
    if (isBroken || (!isTrailer && !isComplete(headers))) return malformed;
    const length = headers['content-length'];
    if (length === undefined || isTrailer) return { kind: 'headers', headers, contentLength: undefined };
    // The same length twice is allowed.
    const [first = '', ...others] = length.split(', ');
    if (!/^\d{1,15}$/.test(first) || others.some((other) => other !== first)) return malformed;
    return { kind: 'headers', headers, contentLength: Number(first) };
  }
}

function kindOf({ name, value }: HeaderField): number {
  if (!valuePattern.test(value)) return mark.broken;
  if (name.startsWith(':')) return pseudoNames.has(name) ? mark.pseudo : mark.broken;
  if (!namePattern.test(name) || connectionNames.has(name)) return mark.broken;
  if (name === 'te' && value !== 'trailers') return mark.broken;
  return mark.regular;
}

/** The pseudo headers that a request must have and those that it must not. */
function isComplete(headers: RequestHeaders): boolean {
  const method = headers[':method'];
  if (method === undefined || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method)) return false;
  const path = headers[':path'];
  const scheme = headers[':scheme'];
  if (method === 'CONNECT')
    return path === undefined && scheme === undefined && headers[':authority'] !== undefined;
  return path !== undefined && path !== '' && scheme !== undefined && scheme !== '';
}
