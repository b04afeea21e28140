import { useMemo } from 'preact/hooks';
import { compareTexts } from '../model/difference.ts';

const signs = { same: ' ', added: '+', removed: '−' } as const;
const words = { same: '', added: 'added: ', removed: 'removed: ' } as const;

/** What changed between two texts, with signs beside the colours. */
export function DiffView(props: { readonly before: string; readonly after: string; readonly label: string }) {
  const parts = useMemo(() => compareTexts(props.before, props.after), [props.before, props.after]);
  if (!parts.some((part) => 'lines' in part)) return <p class="quiet">No difference.</p>;
  return (
    <div class="diff" role="region" aria-label={props.label} tabIndex={0}>
      {parts.map((part, index) =>
        'hidden' in part ? (
          <div key={index} class="diff-gap">
            {part.hidden} equal {part.hidden === 1 ? 'line' : 'lines'}
          </div>
        ) : (
          part.lines.map((line) => (
            <div key={`${line.before ?? ''}-${line.after ?? ''}`} class={`diff-line ${line.kind}`}>
              <span class="number" aria-hidden="true">
                {line.before ?? ''}
              </span>
              <span class="number" aria-hidden="true">
                {line.after ?? ''}
              </span>
              <span class="sign" aria-hidden="true">
                {signs[line.kind]}
              </span>
              <code>
                {line.kind === 'same' ? null : <span class="unseen">{words[line.kind]}</span>}
                {line.text}
              </code>
            </div>
          ))
        ),
      )}
    </div>
  );
}
