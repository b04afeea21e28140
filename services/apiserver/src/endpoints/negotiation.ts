import { StatusError, statusErrors } from '@pilothouse/apimachinery';

/** Media types of objects, in the order of preference. */
export type ObjectMediaType = 'application/json' | 'application/yaml' | 'application/vnd.kubernetes.protobuf';

export const jsonType = 'application/json';
export const yamlType = 'application/yaml';
export const protobufType = 'application/vnd.kubernetes.protobuf';
export const objectMediaTypes: readonly ObjectMediaType[] = [jsonType, yamlType, protobufType];
const watchMediaTypes = [`${jsonType};stream=watch`, `${protobufType};stream=watch`];

/** A view that the client asks for with `as=`. */
export interface Transform {
  readonly kind: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';
  readonly version: 'v1' | 'v1beta1';
}

export interface Negotiated {
  readonly mediaType: ObjectMediaType;
  /** `pretty=1` inside the Accept clause. */
  readonly pretty: boolean;
  readonly transform?: Transform;
}

interface AcceptClause {
  readonly type: string;
  readonly subtype: string;
  readonly q: number;
  readonly parameters: readonly (readonly [string, string])[];
}

/** Clauses of an Accept header, best quality first, as written within one quality. */
export function parseAccept(accept: string): AcceptClause[] {
  const clauses: AcceptClause[] = [];
  for (const part of accept.split(',')) {
    const [range = '', ...rest] = part.split(';');
    const [type = '', subtype = ''] = range.trim().toLowerCase().split('/');
    let q = 1;
    const parameters: [string, string][] = [];
    for (const parameter of rest) {
      const equals = parameter.indexOf('=');
      const key = (equals < 0 ? parameter : parameter.slice(0, equals)).trim().toLowerCase();
      const value = equals < 0 ? '' : parameter.slice(equals + 1).trim();
      if (key === 'q') q = Number(value) || 0;
      else if (key !== '') parameters.push([key, value]);
    }
    if (type === '' && subtype === '') continue;
    clauses.push({ type, subtype: type === '*' && subtype === '' ? '*' : subtype, q, parameters });
  }
  return clauses.sort((a, b) => b.q - a.q);
}

/**
 * The router's check, before a handler runs: some media type of the header must be served literally (or be `*\/*`).
 * `collection` routes also serve the watch types.
 */
export function checkAcceptable(accept: string, collection: boolean): void {
  if (accept.trim() === '') return;
  for (const part of accept.split(',')) {
    const media = (part.split(';')[0] ?? '').trim();
    if (media === '*/*' || (objectMediaTypes as readonly string[]).includes(media)) return;
  }
  const available = collection ? [...objectMediaTypes, ...watchMediaTypes] : objectMediaTypes;
  throw new StatusError(
    406,
    'NotAcceptable',
    `406: Not Acceptable\n\nAvailable representations: ${available.join(', ')}`,
    {},
  );
}

export interface NegotiationRules {
  readonly mediaTypes?: readonly ObjectMediaType[];
  /** Tells whether a view may be asked for; default: none. */
  allows?(transform: { group: string; version: string; kind: string }): boolean;
}

function notAcceptable(mediaTypes: readonly string[]): StatusError {
  return statusErrors.notAcceptable(`only the following media types are accepted: ${mediaTypes.join(', ')}`);
}

/** The answer's media type and view. Throws 406. */
export function negotiate(accept: string, rules: NegotiationRules = {}): Negotiated {
  const mediaTypes = rules.mediaTypes ?? objectMediaTypes;
  if (accept.trim() === '') return { mediaType: mediaTypes[0] as ObjectMediaType, pretty: false };
  if (accept === jsonType && mediaTypes.includes(jsonType)) return { mediaType: jsonType, pretty: false };
  for (const clause of parseAccept(accept)) {
    for (const mediaType of mediaTypes) {
      const [type, subtype] = mediaType.split('/');
      if (clause.type !== '*' && clause.type !== type) continue;
      if (clause.subtype !== '*' && clause.subtype !== subtype) continue;
      const options = clauseOptions(clause, rules);
      if (options) return { mediaType, ...options };
    }
  }
  throw notAcceptable(mediaTypes);
}

function clauseOptions(
  clause: AcceptClause,
  rules: NegotiationRules,
): { pretty: boolean; transform?: Transform } | undefined {
  let target: { group: string; version: string; kind: string } | undefined;
  let pretty = false;
  for (const [key, value] of clause.parameters) {
    if (key === 'as') target = { group: '', version: '', ...target, kind: value };
    else if (key === 'g') target = { version: '', kind: '', ...target, group: value };
    else if (key === 'v') target = { group: '', kind: '', ...target, version: value };
    else if (key === 'stream' && value !== 'watch') return undefined;
    else if (key === 'pretty') pretty = value === '1';
  }
  if (!target) return { pretty };
  if (!rules.allows?.(target)) return undefined;
  return { pretty, transform: target as unknown as Transform };
}

/** The views of meta.k8s.io that every resource has. */
export function allowsMetaTransforms(target: { group: string; version: string; kind: string }): boolean {
  return (
    target.group === 'meta.k8s.io' &&
    (target.version === 'v1' || target.version === 'v1beta1') &&
    (target.kind === 'Table' ||
      target.kind === 'PartialObjectMetadata' ||
      target.kind === 'PartialObjectMetadataList')
  );
}

/** The media type of an error's Status: what the client accepts, else JSON; never throws. */
export function negotiateError(accept: string): ObjectMediaType {
  if (accept === '' || accept === jsonType) return jsonType;
  for (const clause of parseAccept(accept)) {
    for (const mediaType of objectMediaTypes) {
      const [type, subtype] = mediaType.split('/');
      if (
        (clause.type === '*' || clause.type === type) &&
        (clause.subtype === '*' || clause.subtype === subtype)
      ) {
        return mediaType;
      }
    }
  }
  return jsonType;
}

/** The media type of a body; JSON when the header is absent. Throws 415. */
export function contentTypeOf(
  header: string,
  mediaTypes: readonly ObjectMediaType[] = objectMediaTypes,
): ObjectMediaType {
  const media = (header.split(';')[0] ?? '').trim().toLowerCase();
  if (media === '') return jsonType;
  const found = mediaTypes.find((mediaType) => mediaType === media);
  if (found) return found;
  throw statusErrors.unsupportedMediaType(
    `the body of the request was in an unknown format - accepted media types include: ${mediaTypes.join(', ')}`,
  );
}

/** Whether JSON is indented: `?pretty=`, else the Accept clause, else a person's user agent. */
export function isPretty(query: URLSearchParams, userAgent: string, negotiated: boolean): boolean {
  const asked = query.get('pretty');
  if (asked !== null && asked !== '') return ['1', 't', 'T', 'true', 'TRUE', 'True'].includes(asked);
  return negotiated || /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent);
}
