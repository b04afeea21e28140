import { checkLinearizability } from './linearizability.ts';
import type { LinearizabilityResult, Model, Operation } from './linearizability.ts';

/** What a client did to one key of an etcd-like store. Values must be unique over the whole history. */
export type RegisterInput =
  | { readonly op: 'get' }
  | { readonly op: 'put'; readonly value: string }
  /** Writes if the key's mod revision is `modRevision` (0: absent), else reads. */
  | { readonly op: 'compareAndPut'; readonly modRevision: number; readonly value: string }
  | { readonly op: 'delete' };

/** What it saw. `value` undefined: the key is absent; for a delete: what was deleted. */
export type RegisterOutput =
  | { readonly op: 'get'; readonly value: string | undefined; readonly modRevision: number }
  | { readonly op: 'put'; readonly revision: number }
  | {
      readonly op: 'compareAndPut';
      readonly succeeded: boolean;
      /** Of the write when it succeeded; else of the value that was read. */
      readonly revision: number;
      readonly value: string | undefined;
    }
  | { readonly op: 'delete'; readonly value: string | undefined };

/** `modRevision` undefined: a write of unknown outcome took place, above `floor`. */
interface RegisterState {
  readonly value: string | undefined;
  readonly modRevision: number | undefined;
  readonly floor: number;
}

function read(state: RegisterState, value: string | undefined, modRevision: number): RegisterState[] {
  if (state.value !== value) return [];
  if (value === undefined) return [state];
  if (state.modRevision === undefined ? modRevision <= state.floor : modRevision !== state.modRevision)
    return [];
  return [{ value, modRevision, floor: modRevision }];
}

function write(state: RegisterState, value: string, revision: number | undefined): RegisterState[] {
  if (revision === undefined) return [{ value, modRevision: undefined, floor: state.floor }];
  return revision > state.floor ? [{ value, modRevision: revision, floor: revision }] : [];
}

const absent = (state: RegisterState): RegisterState => ({
  value: undefined,
  modRevision: 0,
  floor: state.floor,
});

/** One key of etcd: values with mod revisions that only grow, compare by mod revision. */
export const registerModel: Model<RegisterState, RegisterInput, RegisterOutput> = {
  initial: { value: undefined, modRevision: 0, floor: 0 },
  key: (state) => `${state.value ?? '\0'}@${state.modRevision ?? '?'}>${state.floor}`,
  step(state, input, output) {
    if (input.op === 'get')
      return output?.op === 'get' ? read(state, output.value, output.modRevision) : [state];
    if (input.op === 'put') {
      if (output?.op === 'put') return write(state, input.value, output.revision);
      return [...write(state, input.value, undefined), state];
    }
    if (input.op === 'delete') {
      if (output?.op !== 'delete') return [absent(state), state];
      return output.value === state.value ? [absent(state)] : [];
    }
    const mayMatch =
      state.modRevision === undefined
        ? input.modRevision > state.floor
        : state.modRevision === input.modRevision;
    if (output?.op !== 'compareAndPut')
      return mayMatch ? [...write(state, input.value, undefined), state] : [state];
    if (output.succeeded) return mayMatch ? write(state, input.value, output.revision) : [];
    if (state.modRevision === input.modRevision) return [];
    return read(state, output.value, output.revision);
  },
};

export interface KeyedOperation extends Operation<RegisterInput, RegisterOutput> {
  readonly key: string;
}

/**
 * Checks a history key by key. Writes of unknown outcome whose value nobody ever saw are left out: every operation
 * that could depend on them would have shown it.
 */
export function checkRegisters(
  history: readonly KeyedOperation[],
):
  | { readonly key: string; readonly result: LinearizabilityResult<RegisterInput, RegisterOutput> }
  | undefined {
  const seen = new Set<string>();
  for (const { output } of history)
    if (output && 'value' in output && output.value !== undefined) seen.add(output.value);
  const byKey = new Map<string, KeyedOperation[]>();
  for (const operation of history) {
    if (operation.output === undefined) {
      if (operation.input.op === 'get') continue;
      if ('value' in operation.input && !seen.has(operation.input.value)) continue;
    }
    const list = byKey.get(operation.key) ?? [];
    list.push(operation);
    byKey.set(operation.key, list);
  }
  for (const [key, operations] of byKey) {
    const result = checkLinearizability(operations, registerModel);
    if (result.isLinearizable !== true) return { key, result };
  }
  return undefined;
}
