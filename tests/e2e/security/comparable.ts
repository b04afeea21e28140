import type { Answer } from './servers.ts';

/** Status, warnings and body without what differs from run to run. */
export function comparable({ status, body, headers }: Answer): string {
  let parsed: unknown = body;
  try {
    parsed = JSON.parse(body, (key, value: unknown) =>
      [
        'uid',
        'creationTimestamp',
        'resourceVersion',
        'managedFields',
        'clusterIP',
        'clusterIPs',
        'lastTransitionTime',
      ].includes(key)
        ? undefined
        : value,
    );
  } catch {
    // Plain text.
  }
  const sorted = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .sort(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, member]) => [key, sorted(member)]),
          )
        : value;
  return `${status} ${JSON.stringify(headers['warning'] ?? '')} ${JSON.stringify(sorted(parsed))}`;
}
