import type { KubeObject } from '@pilothouse/apimachinery';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredReplicasAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxReplicasAnnotation = 'deployment.kubernetes.io/max-replicas';

/** Annotations of a Deployment that its replica sets do not inherit. */
const notCopied = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredReplicasAnnotation,
  maxReplicasAnnotation,
  'deprecated.deployment.rollback.to',
]);

export function revisionOf(object: KubeObject): number {
  return Number(object.metadata.annotations?.[revisionAnnotation] ?? 0) || 0;
}

/** The annotations of the newest replica set after a sync; equal to the old ones when nothing is to be written. */
export function newReplicaSetAnnotations(
  deployment: KubeObject,
  old: Readonly<Record<string, string>>,
  revision: number,
  isNew: boolean,
): Record<string, string> {
  const annotations = { ...old };
  for (const [name, value] of Object.entries(deployment.metadata.annotations ?? {}))
    if (!notCopied.has(name)) annotations[name] = value;
  const before = Number(old[revisionAnnotation] ?? 0) || 0;
  if (before < revision) {
    annotations[revisionAnnotation] = String(revision);
    // A replica set that comes back by a rollback remembers the revisions it was before.
    if (!isNew && old[revisionAnnotation] !== undefined && old[revisionAnnotation] !== '') {
      const history = (old[revisionHistoryAnnotation] ?? '').split(',').filter((each) => each !== '');
      annotations[revisionHistoryAnnotation] = [...history, old[revisionAnnotation]].slice(-50).join(',');
    }
  }
  return annotations;
}
