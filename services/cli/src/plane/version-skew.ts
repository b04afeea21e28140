/** Versions of what runs, as each tells them (`v1.36.3`, `3.7.1`); what does not tell is left out. */
export interface PlaneVersions {
  readonly apiservers: ReadonlyMap<string, string>;
  /** Schedulers and controller managers. */
  readonly clients: ReadonlyMap<string, string>;
  /** Kubelets, by node. */
  readonly kubelets: ReadonlyMap<string, string>;
  readonly stores: ReadonlyMap<string, string>;
}

/** Of Kubernetes' version skew policy (https://kubernetes.io/releases/version-skew-policy/), in minor versions. */
const skewMax = { apiservers: 1, clients: 1, kubelets: 3, stores: 1 } as const;

interface Named {
  readonly name: string;
  readonly version: string;
  /** Major and minor as one number that compares and counts. */
  readonly minor: number;
}

function read(versions: ReadonlyMap<string, string>): Named[] {
  return Array.from(versions, ([name, version]) => {
    const found = /^v?(\d+)\.(\d+)/.exec(version);
    return { name, version, minor: found === null ? Number.NaN : Number(found[1]) * 1000 + Number(found[2]) };
  })
    .filter(({ minor }) => !Number.isNaN(minor))
    .sort((a, b) => a.minor - b.minor);
}

/** What upstream does not support about these versions, a sentence each; empty: all is within the policy. */
export function skewProblems(versions: PlaneVersions): string[] {
  const problems: string[] = [];
  const within = (what: string, all: readonly Named[], most: number): void => {
    const [oldest, newest] = [all[0], all.at(-1)];
    if (oldest !== undefined && newest !== undefined && newest.minor - oldest.minor > most)
      problems.push(
        `${what} differ by more than ${most} minor version${most === 1 ? '' : 's'}: ${oldest.name} has ${oldest.version}, ${newest.name} ${newest.version}`,
      );
  };
  const apiservers = read(versions.apiservers);
  within('API servers', apiservers, skewMax.apiservers);
  within('Store members', read(versions.stores), skewMax.stores);
  const [oldest, newest] = [apiservers[0], apiservers.at(-1)];
  if (oldest === undefined || newest === undefined) return problems;
  // Through the balancer any of them may answer: the oldest says what may be newer, the newest how old is too old.
  const check = (what: string, all: readonly Named[], most: number): void => {
    for (const each of all)
      if (each.minor > oldest.minor)
        problems.push(
          `${what} ${each.name} has ${each.version}, newer than API server ${oldest.name} (${oldest.version}): upgrade API servers first`,
        );
      else if (newest.minor - each.minor > most)
        problems.push(
          `${what} ${each.name} has ${each.version}, more than ${most} minor version${most === 1 ? '' : 's'} older than API server ${newest.name} (${newest.version})`,
        );
  };
  check('Component', read(versions.clients), skewMax.clients);
  check('Kubelet of node', read(versions.kubelets), skewMax.kubelets);
  return problems;
}
