import type { GroupVersionKind } from '@pilothouse/apimachinery';
import {
  allowsResourceConvert,
  jsonMediaType,
  negotiateInput,
  negotiateOutput,
  notAcceptable,
  notAcceptableRoute,
  objectMediaTypes as objectTypes,
  parseAccept,
  protobufMediaType,
  wantsPretty,
  watchMediaTypes,
  yamlMediaType,
} from '@pilothouse/serializer';

/** Media types of objects, in the order of preference. */
export type ObjectMediaType = 'application/json' | 'application/yaml' | 'application/vnd.kubernetes.protobuf';

export const jsonType = jsonMediaType;
export const yamlType = yamlMediaType;
export const protobufType = protobufMediaType;
export const objectMediaTypes = objectTypes as readonly ObjectMediaType[];

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

const isLiteral = (media: string): boolean =>
  media === '*/*' || (objectTypes as readonly string[]).includes(media);

/**
 * The router's check, before a handler runs: some media type of the header must be served literally (or be `*\/*`).
 * `collection` routes also serve the watch types.
 */
export function checkAcceptable(accept: string, collection: boolean): void {
  if (accept.trim() === '') return;
  if (accept.split(',').some((part) => isLiteral((part.split(';')[0] ?? '').trim()))) return;
  throw notAcceptableRoute(collection ? [...objectTypes, ...watchMediaTypes] : objectTypes);
}

export interface NegotiationRules {
  readonly mediaTypes?: readonly ObjectMediaType[];
  /** Tells whether a view may be asked for; default: those that every resource has. */
  allows?(mediaType: string, view: GroupVersionKind): boolean;
}

/** The answer's media type and view. Throws 406. */
export function negotiate(accept: string, rules: NegotiationRules = {}): Negotiated {
  const offered = rules.mediaTypes ?? objectMediaTypes;
  if (accept === jsonType && offered.includes(jsonType)) return { mediaType: jsonType, pretty: false };
  // What the router lets through or never saw (discovery) is refused here in the negotiation's own words.
  const clauses = parseAccept(accept);
  const isServed = clauses.some(({ type, subtype }) =>
    offered.some((mediaType) => `${type}/${subtype}` === mediaType || (type === '*' && subtype === '*')),
  );
  if (accept.trim() !== '' && !isServed) throw notAcceptable(offered);
  const { mediaType, pretty, convert } = negotiateOutput(accept, {
    offered,
    allowsConvert: rules.allows ?? allowsResourceConvert,
  });
  return {
    mediaType: mediaType as ObjectMediaType,
    pretty,
    ...(convert ? { transform: convert as unknown as Transform } : {}),
  };
}

/** The media type of an error's Status: what the client accepts, else JSON; never throws. */
export function negotiateError(accept: string): ObjectMediaType {
  if (accept === '' || accept === jsonType) return jsonType;
  for (const clause of parseAccept(accept)) {
    // A Status has no other views.
    const { as, g, v } = clause.parameters;
    if (as !== undefined || g !== undefined || v !== undefined) continue;
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
export function contentTypeOf(header: string): ObjectMediaType {
  return negotiateInput(header) as ObjectMediaType;
}

/** Whether JSON is indented: `?pretty=`, else the Accept clause, else a person's user agent. */
export function isPretty(query: URLSearchParams, userAgent: string, negotiated: boolean): boolean {
  return wantsPretty(query.get('pretty') ?? undefined, negotiated ? 'curl' : userAgent);
}
