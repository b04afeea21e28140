import type { KubeObject } from '@pilothouse/apimachinery';
import {
  parseFieldSelector,
  parseLabelSelector,
  SelectorError,
  statusErrors,
  unsupportedFieldMessage,
  withoutStrayBytes,
} from '@pilothouse/apimachinery';
import type { ResourceStrategy } from '@pilothouse/api';
import type { SelectionPredicate } from '../../storage/interface.ts';
import { matchEverything } from '../../storage/interface.ts';

/** Field by which watches of a resource are told apart before any selector is looked at. */
export type TriggerField = string | undefined;

/** The predicate of a label and a field selector. Throws 400 for text that does not parse and for fields the kind does not have. */
export function selectionPredicate(
  labelSelector: string,
  fieldSelector: string,
  strategy: ResourceStrategy,
  trigger: TriggerField,
): SelectionPredicate {
  if (labelSelector === '' && fieldSelector === '') return matchEverything;
  try {
    const labels = parseLabelSelector(labelSelector);
    const fields = parseFieldSelector(fieldSelector);
    const selectable = strategy.selectableFields;
    for (const { field } of fields.requirements) {
      if (field === 'metadata.name') continue;
      if (field === 'metadata.namespace' && strategy.noNamespaceField !== true) continue;
      if (selectable === undefined || !Object.hasOwn(selectable, field)) {
        const text = strategy.unsupportedField?.(field);
        throw statusErrors.badRequest(
          withoutStrayBytes(text ?? unsupportedFieldMessage(field, selectable !== undefined)),
        );
      }
    }
    if (labels.isEmpty && fields.isEmpty) return matchEverything;
    const valueOf = (object: KubeObject, field: string): string => {
      if (field === 'metadata.name') return object.metadata.name ?? '';
      if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
      return selectable?.[field]?.(object) ?? '';
    };
    const name = fields.requiresExactMatch('metadata.name');
    const triggerValue = trigger === undefined ? undefined : fields.requiresExactMatch(trigger);
    return {
      everything: false,
      matches: (object) =>
        labels.matches(object.metadata.labels) &&
        (fields.isEmpty || fields.matches((field) => valueOf(object, field))),
      ...(name === undefined ? {} : { name }),
      ...(triggerValue === undefined ? {} : { trigger: triggerValue }),
    };
  } catch (error) {
    if (error instanceof SelectorError) throw statusErrors.badRequest(withoutStrayBytes(error.message));
    throw error;
  }
}
