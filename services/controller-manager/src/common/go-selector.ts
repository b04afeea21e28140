import type { LabelSelectorObject } from '@pilothouse/apimachinery';

/** A LabelSelector as Go prints it; people search for this text. */
export function goSelector(selector: LabelSelectorObject | undefined): string {
  if (!selector) return 'nil';
  const labels = Object.entries(selector.matchLabels ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}: ${value},`)
    .join('');
  const expressions = (selector.matchExpressions ?? [])
    .map(
      (each) =>
        `LabelSelectorRequirement{Key:${each.key},Operator:${each.operator},Values:[${(each.values ?? []).join(' ')}],},`,
    )
    .join('');
  return `&LabelSelector{MatchLabels:map[string]string{${labels}},MatchExpressions:[]LabelSelectorRequirement{${expressions}},}`;
}
