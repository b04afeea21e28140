/** What a leader knows when it decides which version its cluster has. Versions are `major.minor[.patch]`. */
export interface VersionFacts {
  /** Of the log; undefined before the first decision. */
  readonly cluster: string | undefined;
  /** Where a downgrade that was enabled leads. */
  readonly downgradeTarget: string | undefined;
  /** Server versions of all members, the leader's too; undefined: that one does not tell. */
  readonly members: readonly (string | undefined)[];
}

export type VersionDecision =
  | { readonly kind: 'keep' }
  /** The cluster has another version from now on. */
  | { readonly kind: 'set'; readonly version: string }
  /** All members are where the downgrade leads. */
  | { readonly kind: 'downgraded'; readonly version: string };

/** Of major and minor, as numbers that compare; the patch does not count. Undefined for what is no version. */
export function minorOf(version: string): number | undefined {
  const found = /^v?(\d+)\.(\d+)(?:\.|$)/.exec(version);
  return found === null ? undefined : Number(found[1]) * 1000 + Number(found[2]);
}

const textOf = (minor: number): string => `${Math.floor(minor / 1000)}.${minor % 1000}.0`;

/**
 * A cluster's version is its oldest member's: it rises when the last member was upgraded, and falls by one minor when a downgrade is enabled.
 * etcd's rules (etcdserver/version/monitor.go, etcdserver/version/downgrade.go of 3.6.8).
 */
export function decideClusterVersion({ cluster, downgradeTarget, members }: VersionFacts): VersionDecision {
  const minors = members.map((each) => (each === undefined ? undefined : minorOf(each)));
  const known = minors.filter((each) => each !== undefined);
  const now = cluster === undefined ? undefined : minorOf(cluster);
  if (now === undefined || known.length < minors.length || known.length === 0) return { kind: 'keep' };
  const oldest = Math.min(...known);
  if (downgradeTarget !== undefined) {
    const target = minorOf(downgradeTarget);
    if (target === undefined) return { kind: 'keep' };
    if (target === now)
      return known.every((each) => each === target)
        ? { kind: 'downgraded', version: textOf(target) }
        : { kind: 'keep' };
    return target === now - 1 && target === oldest - 1
      ? { kind: 'set', version: textOf(target) }
      : { kind: 'keep' };
  }
  return oldest > now && Math.floor(oldest / 1000) === Math.floor(now / 1000)
    ? { kind: 'set', version: textOf(oldest) }
    : { kind: 'keep' };
}

/** Whether a server may not be a member of a cluster of that version: it is older. */
export function isTooOldFor(server: string, cluster: string | undefined): boolean {
  const [own, wanted] = [minorOf(server), cluster === undefined ? undefined : minorOf(cluster)];
  return own !== undefined && wanted !== undefined && own < wanted;
}
