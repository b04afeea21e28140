import type { TypeRef } from '@pilothouse/apimachinery';

import { DecodeError } from '../errors.ts';

/** An object being converted: its struct name and how it was reached. One for each object, paths are made only when needed. */
export interface Place {
  readonly struct: string;
  readonly parent: Place | undefined;
  /** Member of the parent that leads here, with the names of embedded structs before it. */
  readonly name: string;
  /** `[0]` or `.key` when that member is a list or map. */
  readonly index: string;
}

/** Member names from the top, without indexes and map keys: how Go's errors say it. */
function errorPath(place: Place, name: string): string {
  let path = name;
  for (let at: Place | undefined = place; at?.parent; at = at.parent) path = `${at.name}.${path}`;
  return path;
}

/** The member of `VolumeSource.csi`, which is reached through an embedded struct. */
const withoutStructs = (name: string): string => name.slice(name.lastIndexOf('.') + 1);

/** Path with indexes and map keys: how strict decoding says it. */
export function strictPath(place: Place, name: string): string {
  let path = name;
  for (let at: Place | undefined = place; at?.parent; at = at.parent)
    path = `${withoutStructs(at.name)}${at.index}.${path}`;
  return path;
}

/** What a conversion has found besides the value. */
export interface Findings {
  /** The first problem wins, as in Go: decoding goes on and the error comes at the end. */
  error: DecodeError | undefined;
  /** A problem of a type that decodes itself (times, quantities): it ends decoding in Go, and so wins over those before it. */
  fatal: DecodeError | undefined;
  /** Paths of unknown fields, when asked for. */
  readonly unknown: string[] | undefined;
  /** A number was seen whose digits JSON.parse has lost: the text has to be asked. */
  long: boolean;
}

/** Converts the value of member `name` of the object at `place`; `index` is there inside lists and maps. */
export type Converter = (
  value: unknown,
  place: Place,
  name: string,
  index: string,
  findings: Findings,
) => unknown;

export function report(findings: Findings, message: string): undefined {
  findings.error ??= new DecodeError('JsonType', message);
  return undefined;
}

export function reportFatal(findings: Findings, message: string): undefined {
  findings.fatal ??= new DecodeError('JsonType', message);
  return undefined;
}

/** `what` is the JSON kind, or `number 1.5` when the number itself is the problem. */
export function typeMismatch(what: string, type: string, place: Place, name: string): string {
  return `json: cannot unmarshal ${what} into Go struct field ${place.struct}.${errorPath(place, name)} of type ${type}`;
}

/** Gives the converter of a type; the compiler of messages is one. */
export interface ConverterSource {
  /** `go` is the Go type where it has a name of its own. */
  value(type: TypeRef, go?: string): Converter;
}
