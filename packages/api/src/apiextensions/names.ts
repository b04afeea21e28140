import { deepEqual } from '@pilothouse/apimachinery';
import type { CrdCondition } from './conditions.ts';
import type { CustomResourceNames } from './schema.ts';

export interface NamesDecision {
  /** What the definition may be called. */
  readonly acceptedNames: CustomResourceNames;
  /** NamesAccepted. */
  readonly condition: Omit<CrdCondition, 'lastTransitionTime'>;
}

/**
 * Decides which of the requested names a definition gets. `taken`: accepted names of the other definitions of the group. Names that are
 * in use elsewhere are refused, and those accepted earlier are kept.
 */
export function decideNames(
  requested: CustomResourceNames,
  accepted: CustomResourceNames | undefined,
  taken: readonly CustomResourceNames[],
): NamesDecision {
  const resources = new Set<string>();
  const kinds = new Set<string>();
  for (const names of taken) {
    for (const name of [names.plural, names.singular, ...(names.shortNames ?? [])])
      if (name) resources.add(name);
    for (const kind of [names.kind, names.listKind]) if (kind) kinds.add(kind);
  }
  let conflict: Pick<CrdCondition, 'reason' | 'message'> | undefined;
  const refuse = (reason: string, message: string): void => {
    conflict = { reason, message };
  };
  const own = <K extends 'plural' | 'singular' | 'kind' | 'listKind'>(
    field: K,
    used: ReadonlySet<string>,
    reason: string,
  ): string => {
    const wanted = requested[field] ?? '';
    const has = accepted?.[field] ?? '';
    if (wanted === has && wanted !== '') return wanted;
    if (wanted !== '' && used.has(wanted)) {
      refuse(reason, `${JSON.stringify(wanted)} is already in use`);
      return has;
    }
    return wanted;
  };
  const plural = own('plural', resources, 'PluralConflict');
  const singular = own('singular', resources, 'SingularConflict');
  const newShortNames = (requested.shortNames ?? []).filter(
    (name) => !(accepted?.shortNames ?? []).includes(name),
  );
  const bad = newShortNames.filter((name) => resources.has(name));
  let shortNames = requested.shortNames;
  if (!deepEqual(requested.shortNames ?? [], accepted?.shortNames ?? []) && bad.length > 0) {
    const list = bad.map((name) => `${JSON.stringify(name)} is already in use`);
    refuse('ShortNamesConflict', list.length === 1 ? (list[0] as string) : `[${list.join(', ')}]`);
    shortNames = accepted?.shortNames;
  }
  const kind = own('kind', kinds, 'KindConflict');
  const listKind = own('listKind', kinds, 'ListKindConflict');
  const acceptedNames: CustomResourceNames = {
    plural,
    ...(singular === '' ? {} : { singular }),
    ...(shortNames === undefined || shortNames.length === 0 ? {} : { shortNames }),
    kind,
    ...(listKind === '' ? {} : { listKind }),
    ...(requested.categories === undefined ? {} : { categories: requested.categories }),
  };
  return {
    acceptedNames,
    condition:
      conflict === undefined
        ? { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' }
        : { type: 'NamesAccepted', status: 'False', ...conflict },
  };
}
