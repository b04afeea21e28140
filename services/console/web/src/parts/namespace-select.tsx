import { useShared } from './context.ts';

/** Chooses a namespace, or all; a text field for those who may not list them. */
export function NamespaceSelect(props: { readonly value: string; onChange(namespace: string): void }) {
  const { namespaces } = useShared();
  if (namespaces.length === 0)
    return (
      <label class="field">
        Namespace
        <input
          value={props.value}
          placeholder="all"
          onChange={(event) => props.onChange(event.currentTarget.value.trim())}
        />
      </label>
    );
  return (
    <label class="field">
      Namespace
      <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value)}>
        <option value="">All</option>
        {namespaces.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
        {props.value !== '' && !namespaces.includes(props.value) ? (
          <option value={props.value}>{props.value}</option>
        ) : null}
      </select>
    </label>
  );
}
