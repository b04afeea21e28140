import type { GroupVersionKind } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';

export const jsonMediaType = 'application/json';
export const yamlMediaType = 'application/yaml';
export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

/** In order of preference. CBOR is behind a gate that is off, so it is as unknown as any other type. */
export const objectMediaTypes: readonly string[] = [jsonMediaType, yamlMediaType, protobufMediaType];
/** Offered in addition where a list can be watched. */
export const watchMediaTypes: readonly string[] = [
  `${jsonMediaType};stream=watch`,
  `${protobufMediaType};stream=watch`,
];
export const patchMediaTypes: readonly string[] = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/apply-patch+yaml',
];

/** One element of an Accept header. */
export interface AcceptClause {
  readonly type: string;
  readonly subtype: string;
  readonly quality: number;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Clauses by descending quality; equals keep their order. A clause without a slash matches nothing and is kept out. */
export function parseAccept(header: string): AcceptClause[] {
  const clauses: AcceptClause[] = [];
  for (const part of header.split(',')) {
    const [media = '', ...rest] = part.trim().split(';');
    const [type = '', subtype = ''] = media.trim().split('/');
    if (media.trim() === '*') clauses.push({ type: '*', subtype: '*', quality: 1, parameters: {} });
    if (subtype === '') continue;
    const parameters: Record<string, string> = {};
    let quality = 1;
    for (const parameter of rest) {
      const [name = '', value = ''] = parameter.trim().split('=');
      if (name === 'q') quality = Number.isNaN(Number(value)) ? 0 : Number(value);
      else if (name !== '' && name !== '__proto__') parameters[name] = value;
    }
    clauses.push({ type, subtype, quality, parameters });
  }
  return clauses.sort((a, b) => b.quality - a.quality);
}

export interface NegotiatedOutput {
  readonly mediaType: string;
  /** The object form asked for with `as`, `g` and `v`: Table, PartialObjectMetadata or PartialObjectMetadataList. */
  readonly convert?: GroupVersionKind;
  /** `pretty=1` in the media type. */
  readonly pretty: boolean;
  /** `stream=watch`. */
  readonly stream: boolean;
  /** For example `nopeer` of aggregated discovery. */
  readonly profile?: string;
}

export interface NegotiateOptions {
  /** Bodies that the endpoint can give; the three object types by default. */
  readonly offered?: readonly string[];
  /** The endpoint can be watched as well, which the 406 text says. */
  readonly watchable?: boolean;
  /** Forms that `as` may ask for. Default: those that every resource has. */
  readonly allowsConvert?: (mediaType: string, kind: GroupVersionKind) => boolean;
}

/** Table only as JSON or YAML; the partial metadata kinds in every form. */
export function allowsResourceConvert(mediaType: string, kind: GroupVersionKind): boolean {
  if (kind.group !== 'meta.k8s.io' || (kind.version !== 'v1' && kind.version !== 'v1beta1')) return false;
  if (kind.kind === 'Table') return mediaType !== protobufMediaType;
  return kind.kind === 'PartialObjectMetadata' || kind.kind === 'PartialObjectMetadataList';
}

/** 406 as the router gives it, before a handler is asked. */
export function notAcceptableRoute(available: readonly string[]): StatusError {
  return new StatusError(
    406,
    'NotAcceptable',
    `406: Not Acceptable\n\nAvailable representations: ${available.join(', ')}`,
    {},
  );
}

/** 406 of the negotiation itself. */
export function notAcceptable(accepted: readonly string[]): StatusError {
  return new StatusError(
    406,
    'NotAcceptable',
    `only the following media types are accepted: ${accepted.join(', ')}`,
  );
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  return new StatusError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

/** The router's check: a subtype wildcard does not count, parameters do not matter. */
function routeAccepts(header: string, offered: readonly string[]): boolean {
  return header.split(',').some((part) => {
    const media = (part.split(';')[0] ?? '').trim();
    return media === '*/*' || offered.includes(media);
  });
}

/** Chooses the form of the answer. Throws StatusError 406 with upstream's texts. */
export function negotiateOutput(
  accept: string | undefined,
  options: NegotiateOptions = {},
): NegotiatedOutput {
  const offered = options.offered ?? objectMediaTypes;
  const first = offered[0] ?? jsonMediaType;
  const header = accept?.trim() ?? '';
  if (header === '') return { mediaType: first, pretty: false, stream: false };
  if (!routeAccepts(header, offered))
    throw notAcceptableRoute(options.watchable ? [...offered, ...watchMediaTypes] : offered);
  const allowsConvert = options.allowsConvert ?? allowsResourceConvert;
  for (const clause of parseAccept(header)) {
    for (const mediaType of offered) {
      const [type, subtype] = mediaType.split('/');
      const matches =
        (clause.type === '*' && clause.subtype === '*') ||
        (clause.type === type && (clause.subtype === subtype || clause.subtype === '*'));
      if (!matches) continue;
      const output = acceptClause(clause, mediaType, allowsConvert);
      if (output) return output;
    }
  }
  throw notAcceptable(offered);
}

function acceptClause(
  clause: AcceptClause,
  mediaType: string,
  allowsConvert: (mediaType: string, kind: GroupVersionKind) => boolean,
): NegotiatedOutput | undefined {
  const { as, g, v, pretty, stream, profile } = clause.parameters;
  if (stream !== undefined && (stream !== 'watch' || mediaType === yamlMediaType)) return undefined;
  const wantsConvert = as !== undefined || g !== undefined || v !== undefined;
  const convert: GroupVersionKind = { group: g ?? '', version: v ?? '', kind: as ?? '' };
  if (wantsConvert && !allowsConvert(mediaType, convert)) return undefined;
  return {
    mediaType,
    ...(wantsConvert && { convert }),
    pretty: pretty === '1',
    stream: stream === 'watch',
    ...(profile !== undefined && { profile }),
  };
}

/** The media type of a body, without parameters; JSON when nothing is said. Throws StatusError 415. */
export function negotiateInput(
  contentType: string | undefined,
  accepted: readonly string[] = objectMediaTypes,
): string {
  const mediaType = (contentType?.split(';')[0] ?? '').trim().toLowerCase();
  if (mediaType === '') return accepted[0] ?? jsonMediaType;
  if (accepted.includes(mediaType)) return mediaType;
  throw unsupportedMediaType(accepted);
}

/** Whether JSON is indented: `?pretty=`, or a client that a person reads. */
export function wantsPretty(pretty: string | undefined, userAgent: string): boolean {
  if (pretty !== undefined && pretty !== '') return pretty !== 'false' && pretty !== '0';
  return ['curl', 'Wget', 'Mozilla/5.0'].some((prefix) => userAgent.startsWith(prefix));
}
