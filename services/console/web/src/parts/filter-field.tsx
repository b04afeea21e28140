/** Narrows what a page lists; the key `/` leads to it. */
export function FilterField(props: { readonly value: string; onChange(text: string): void }) {
  return (
    <label class="field">
      Filter
      <input
        type="search"
        class="filter"
        value={props.value}
        onInput={(event) => props.onChange(event.currentTarget.value)}
        aria-keyshortcuts="/"
      />
    </label>
  );
}
