import type { RestContext } from '../registry/rest/rest-storage.ts';
import type { Exchange } from './exchange.ts';
import type { RequestInfo } from './request-info.ts';

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict';

/** What a handler tells a storage about the request. One per request, passed down explicitly. */
export interface RequestContext extends RestContext {
  readonly requestInfo: RequestInfo;
  readonly fieldValidation: FieldValidation;
  readonly userAgent: string;
  readonly auditId: string;
  /** Wall time by which an answer must be given. */
  readonly deadlineMs: number;
}

/** Name for managedFields when the request gives none: the user agent's product without its version (upstream's rule). */
export function managerOf(fieldManager: string, userAgent: string): string {
  if (fieldManager !== '') return fieldManager;
  const product = userAgent.split('/')[0] ?? '';
  // Nearly every client; this runs for every request.
  if (/^[\x20-\x7e]{0,128}$/.test(product)) return product;
  let out = '';
  for (const character of product) {
    if (Buffer.byteLength(out) + Buffer.byteLength(character) > 128) break;
    if (/\P{C}/u.test(character)) out += character;
  }
  return out;
}

let lastTimestamps = { ms: Number.NaN, now: '', nowMicro: '' };

/** RFC 3339 in UTC with whole seconds, and the same instant with microseconds. */
export function timestamps(nowMs: number): { now: string; nowMicro: string } {
  // Requests come many in a millisecond.
  if (lastTimestamps.ms !== nowMs) {
    const iso = new Date(nowMs).toISOString();
    lastTimestamps = { ms: nowMs, now: `${iso.slice(0, 19)}Z`, nowMicro: `${iso.slice(0, 23)}000Z` };
  }
  return lastTimestamps;
}

export function requestContext(
  exchange: Exchange,
  nowMs: number,
  options: { dryRun: boolean; fieldManager: string; fieldValidation: FieldValidation },
): RequestContext {
  const { now, nowMicro } = timestamps(nowMs);
  return {
    now,
    nowMicro,
    requestInfo: exchange.info,
    user: exchange.user,
    verb: exchange.info.verb,
    namespace:
      exchange.info.resource === 'namespaces' && exchange.info.name !== '' ? '' : exchange.info.namespace,
    dryRun: options.dryRun,
    fieldManager: managerOf(options.fieldManager, exchange.userAgent),
    fieldValidation: options.fieldValidation,
    userAgent: exchange.userAgent,
    auditId: exchange.auditId,
    deadlineMs: exchange.deadlineMs,
    // No getter: V8 makes a map of its own for each object with one, and keeps it until the next full collection, and the request with it.
    isAborted: () => exchange.isAborted,
    addWarning: (text) => exchange.addWarning(text),
  };
}
