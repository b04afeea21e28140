import type { Labels } from '@pilothouse/apimachinery';

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

export interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}
export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  for (const toleration of tolerations) {
    if ((toleration.effect ?? '') !== '' && toleration.effect !== taint.effect) continue;
    if ((toleration.key ?? '') !== '' && toleration.key !== taint.key) continue;
    const value = toleration.value ?? '';
    const actual = taint.value ?? '';
    switch (toleration.operator ?? '') {
      case '':
      case 'Equal':
        if (value === actual) return true;
        break;
      case 'Exists':
        return true;
      case 'Lt':
      case 'Gt':
        if (/^-?[0-9]+$/.test(value) && /^-?[0-9]+$/.test(actual)) {
          if (toleration.operator === 'Lt' ? BigInt(actual) < BigInt(value) : BigInt(actual) > BigInt(value))
            return true;
        }
        break;
    }
  }
  return false;
}
