import type { Labels } from './labels.ts';

/** Of node affinity and of volumes (core/v1). Gt and Lt compare whole numbers only. */
export interface NodeSelectorRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}
export interface NodeSelectorTerm {
  readonly matchExpressions?: readonly NodeSelectorRequirement[];
  readonly matchFields?: readonly NodeSelectorRequirement[];
}

function requirementHolds(requirement: NodeSelectorRequirement, value: string | undefined): boolean {
  const values = requirement.values ?? [];
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
    case 'Lt': {
      const wanted = values[0];
      if (
        value === undefined ||
        wanted === undefined ||
        !/^-?[0-9]+$/.test(value) ||
        !/^-?[0-9]+$/.test(wanted)
      )
        return false;
      return requirement.operator === 'Gt' ? BigInt(value) > BigInt(wanted) : BigInt(value) < BigInt(wanted);
    }
    default:
      return false;
  }
}

/** A term without any requirement matches nothing. */
export function nodeTermMatches(term: NodeSelectorTerm, labels: Labels, nodeName: string): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length === 0 && fields.length === 0) return false;
  for (const expression of expressions) {
    if (
      !requirementHolds(
        expression,
        Object.hasOwn(labels, expression.key) ? labels[expression.key] : undefined,
      )
    )
      return false;
  }
  for (const field of fields) {
    if (!requirementHolds(field, field.key === 'metadata.name' ? nodeName : undefined)) return false;
  }
  return true;
}
