import { useEffect, useState } from 'preact/hooks';
import { caller, messageOf } from '../model/call.ts';
import type { Kind } from '../model/kinds.ts';
import { useShared } from '../parts/context.ts';
import { DiffView } from '../parts/diff-view.tsx';

interface Entry {
  readonly revision: number;
  readonly kind: 'put' | 'delete';
  readonly version: number;
  readonly format: string;
  readonly yaml: string;
  readonly problem?: string;
  readonly writers: readonly string[];
  readonly time: string;
}

interface ObjectHistory {
  readonly entries: readonly Entry[];
  readonly revision: number;
  readonly end: 'created' | 'compacted' | 'limit';
}

const ends = {
  created: 'It was created with the last one shown.',
  compacted: 'What was before has been compacted away.',
  limit: 'There are older ones that are not shown.',
} as const;

type View = 'change' | 'since' | 'whole';

/** What an object was, revision by revision, read from the store's own versions. */
export function HistoryTab(props: {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  /** Asks again when it changes. */
  readonly latest: string;
  readonly onRestore: ((yaml: string) => void) | undefined;
}) {
  const { kind, namespace, name, latest } = props;
  const { session } = useShared();
  const [history, setHistory] = useState<ObjectHistory>();
  const [problem, setProblem] = useState<string>();
  const [chosen, setChosen] = useState(0);
  const [view, setView] = useState<View>('change');
  useEffect(() => {
    if (!session.store) return undefined;
    const ended = new AbortController();
    const query = new URLSearchParams({ group: kind.group, resource: kind.plural, namespace, name });
    caller
      .json<ObjectHistory>(`/store/history?${query.toString()}`, { signal: ended.signal })
      .then((value) => {
        setHistory(value);
        setProblem(undefined);
      })
      .catch((error: unknown) => {
        if (!ended.signal.aborted) setProblem(messageOf(error));
      });
    return () => ended.abort();
  }, [kind, namespace, name, latest, session.store]);

  if (!session.store)
    return (
      <p class="notice">
        This console was not given the store. Start it with <code>--etcd-servers</code> and a client
        certificate to see the past of objects.
      </p>
    );
  if (problem !== undefined)
    return (
      <p role="alert" class="problem">
        {problem}
      </p>
    );
  if (history === undefined) return <p class="quiet">Loading …</p>;
  const { entries } = history;
  const index = Math.max(
    0,
    entries.findIndex((each) => each.revision === chosen),
  );
  const entry = entries[index];
  if (entry === undefined) return <p class="quiet">The store knows nothing of it any more.</p>;
  const older = entries[index + 1];
  const newest = entries[0];
  return (
    <div class="history">
      <fieldset class="revisions">
        <legend>Revisions</legend>
        {entries.map((each) => (
          <label
            key={each.revision}
            class={each.revision === entry.revision ? 'revision chosen' : 'revision'}
          >
            <input
              type="radio"
              name="revision"
              value={each.revision}
              checked={each.revision === entry.revision}
              onChange={() => setChosen(each.revision)}
            />
            <span>
              <strong>{each.revision}</strong>{' '}
              {each.kind === 'delete'
                ? 'deleted'
                : each.version === 1
                  ? 'created'
                  : `version ${each.version}`}
              <span class="quiet block">
                {each.time === '' ? '' : `${each.time.replace('T', ' ').replace('Z', '')} `}
                {each.writers.join(', ')}
              </span>
            </span>
          </label>
        ))}
        <p class="quiet">{ends[history.end]}</p>
      </fieldset>
      <section class="revision-view" aria-label={`Revision ${entry.revision}`}>
        <div class="buttons" role="group" aria-label="What to show">
          {(
            [
              ['change', 'What it changed'],
              ['since', 'What changed since'],
              ['whole', 'Whole text'],
            ] as const
          ).map(([value, title]) => (
            <button key={value} type="button" aria-pressed={view === value} onClick={() => setView(value)}>
              {title}
            </button>
          ))}
          {props.onRestore !== undefined &&
          entry.kind === 'put' &&
          index > 0 &&
          entry.problem === undefined ? (
            <button type="button" onClick={() => props.onRestore?.(entry.yaml)}>
              Edit from here
            </button>
          ) : null}
        </div>
        {entry.problem === undefined ? null : <p class="problem">{entry.problem}</p>}
        {entry.kind === 'delete' && view === 'whole' ? <p class="quiet">It was deleted.</p> : null}
        {entry.problem !== undefined ? null : view === 'whole' ? (
          <pre tabIndex={0} aria-label={`Text of revision ${entry.revision}`}>
            {entry.yaml}
          </pre>
        ) : view === 'since' ? (
          <DiffView before={entry.yaml} after={newest?.yaml ?? ''} label={`From ${entry.revision} to now`} />
        ) : older === undefined && entry.version > 1 ? (
          <p class="quiet">The revision before it is not known any more.</p>
        ) : (
          <DiffView
            before={older?.yaml ?? ''}
            after={entry.yaml}
            label={`What revision ${entry.revision} changed`}
          />
        )}
      </section>
    </div>
  );
}
