import { type KubeObject, statusErrors } from '@pilothouse/apimachinery';
import type { VersionConversion } from '../generic/converted-store.ts';

/** Events vanish after so long (upstream's --event-ttl). */
export const eventTtlSeconds = 3600;

/** [events.k8s.io/v1, core/v1] names of the same field. */
const renamed: readonly (readonly [string, string])[] = [
  ['reportingController', 'reportingComponent'],
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

function rename(
  object: KubeObject,
  apiVersion: string,
  pairs: readonly (readonly [string, string])[],
): KubeObject {
  const names = new Map(pairs);
  const result: KubeObject = { kind: 'Event', apiVersion, metadata: object.metadata };
  for (const [member, value] of Object.entries(object)) {
    if (member === 'kind' || member === 'apiVersion' || member === 'metadata') continue;
    result[names.get(member) ?? member] = value;
  }
  return result;
}

/** events.k8s.io/v1 of Events kept as core/v1. */
export const eventsV1: VersionConversion = {
  toStored: (object) => rename(object, 'v1', renamed),
  fromStored: (object) =>
    rename(
      object,
      'events.k8s.io/v1',
      renamed.map(([own, stored]) => [stored, own]),
    ),
  fieldSelector: (text) => {
    const unknown = /(?:^|,)((?:involvedObject\.\w+|reportingComponent|source))(?=[.=!])/.exec(text)?.[1];
    if (unknown !== undefined) throw statusErrors.badRequest(`field label not supported: ${unknown}`);
    let converted = text;
    for (const [own, stored] of renamed) {
      converted = converted.replace(new RegExp(`(^|,)${own}(?=[.=!])`, 'g'), `$1${stored}`);
    }
    return converted;
  },
};
