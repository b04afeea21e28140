import type { KubeObject } from '@pilothouse/apimachinery';
import { translateTimestampSince } from '@pilothouse/apimachinery';
import type { Json } from '../validation/values.ts';
import { list, text } from '../validation/values.ts';

export function nameOf(object: KubeObject): string {
  return text(object.metadata.name);
}

export function ageOf(object: KubeObject, nowMs: number): string {
  return translateTimestampSince(object.metadata.creationTimestamp, nowMs);
}

/** Names and images of a template's containers, for the wide columns. */
export function containersAndImages(spec: Json | null | undefined): [string, string] {
  const containers = list(spec?.['containers']) as Json[];
  return [
    containers.map((each) => text(each['name'])).join(','),
    containers.map((each) => text(each['image'])).join(','),
  ];
}

/** `<none>` for what is empty. */
export const orNone = (value: string): string => (value === '' ? '<none>' : value);
