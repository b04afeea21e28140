import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { caller, CallError, messageOf, type StatusBody } from '../model/call.ts';
import { applyBody, onVersion, problemOf, versionOf, withoutManagedFields } from '../model/document.ts';
import { announce } from './announce.tsx';
import { DiffView } from './diff-view.tsx';

export interface YamlEditorProps {
  /** Of the object, through the console. */
  readonly path: string;
  readonly label: string;
  /** The newest resourceVersion that was seen; a text nobody edited follows it. */
  readonly latest: string;
  readonly readOnly: boolean;
  /** A text to edit that comes from elsewhere. */
  readonly draft: string | undefined;
  onDraftTaken(): void;
}

const fieldManager = 'pilothouse-console';

interface Outcome {
  readonly kind: 'good' | 'bad';
  readonly title: string;
  readonly details: readonly string[];
  /** What the server would make of the text. */
  readonly preview?: string;
}

const causesOf = (body: StatusBody): string[] =>
  (body.details?.causes ?? []).map((each) =>
    [each.field, each.message].filter((text) => text !== undefined && text !== '').join(': '),
  );

/** An object's text: read, edited, tried, written. Whoever was faster is shown, never overwritten unseen. */
export function YamlEditor(props: YamlEditorProps) {
  const { path, latest } = props;
  /** The server's text that the edited one began with. */
  const [base, setBase] = useState('');
  const [text, setText] = useState('');
  const [theirs, setTheirs] = useState<string>();
  const [outcome, setOutcome] = useState<Outcome>();
  const [busy, setBusy] = useState(false);
  const [force, setForce] = useState(false);
  const [problem, setProblem] = useState<string>();
  const id = useId();
  const edited = text !== base;
  const current = useRef({ text, base });
  current.current = { text, base };

  const read = async (signal?: AbortSignal): Promise<string> =>
    withoutManagedFields(
      await caller.text(path, {
        accept: 'application/yaml',
        ...(signal === undefined ? {} : { signal }),
      }),
    );

  useEffect(() => {
    const ended = new AbortController();
    read(ended.signal)
      .then((yaml) => {
        setProblem(undefined);
        const { text: mine, base: before } = current.current;
        if (mine === before) {
          setBase(yaml);
          setText(yaml);
          setTheirs(undefined);
        } else if (versionOf(yaml) !== versionOf(before)) setTheirs(yaml);
      })
      .catch((error: unknown) => {
        if (!ended.signal.aborted) setProblem(messageOf(error));
      });
    return () => ended.abort();
  }, [path, latest]);

  useEffect(() => {
    if (props.draft === undefined || base === '') return;
    setText(onVersion(props.draft, versionOf(base)));
    setOutcome(undefined);
    announce('The old text is in the editor; nothing is written yet');
    props.onDraftTaken();
  }, [props.draft, base]);

  const take = (yaml: string): void => {
    setBase(yaml);
    setText(yaml);
    setTheirs(undefined);
  };

  const send = async (how: 'update' | 'apply', dryRun: boolean): Promise<void> => {
    const bad = problemOf(text);
    if (bad !== undefined) {
      setOutcome({ kind: 'bad', title: 'This cannot be sent', details: [bad] });
      return;
    }
    setBusy(true);
    const query = new URLSearchParams({
      fieldManager,
      fieldValidation: 'Strict',
      ...(dryRun ? { dryRun: 'All' } : {}),
      ...(how === 'apply' && force ? { force: 'true' } : {}),
    });
    try {
      const answer = withoutManagedFields(
        await caller.text(`${path}?${query.toString()}`, {
          accept: 'application/yaml',
          ...(how === 'apply'
            ? { method: 'PATCH', contentType: 'application/apply-patch+yaml', body: applyBody(text) }
            : { method: 'PUT', contentType: 'application/yaml', body: text }),
        }),
      );
      if (dryRun) {
        setOutcome({
          kind: 'good',
          title: 'Dry run: the server would take this. What would change:',
          details: [],
          preview: answer,
        });
      } else {
        take(answer);
        setOutcome({ kind: 'good', title: `Written as version ${versionOf(answer)}`, details: [] });
        announce('Written');
      }
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const conflict = error.status === 409;
      setOutcome({
        kind: 'bad',
        title:
          conflict && how === 'apply'
            ? 'Other managers own some of these fields'
            : conflict
              ? 'Somebody else has changed this object'
              : 'The server refuses this',
        details: causesOf(error.body).length > 0 ? causesOf(error.body) : [error.message],
      });
      if (conflict && how === 'update')
        await read()
          .then(setTheirs)
          .catch(() => undefined);
    } finally {
      setBusy(false);
    }
  };

  if (problem !== undefined && base === '')
    return (
      <p role="alert" class="problem">
        {problem}
      </p>
    );
  return (
    <div class="editor">
      {theirs === undefined ? null : (
        <section class="conflict" aria-label="Conflict">
          <p role="alert">
            The object has changed on the server since you began to edit (version {versionOf(base)}, now{' '}
            {versionOf(theirs)}).
          </p>
          <details>
            <summary>What others changed</summary>
            <DiffView before={base} after={theirs} label="What others changed" />
          </details>
          <details open>
            <summary>Your text against theirs</summary>
            <DiffView
              before={theirs}
              after={onVersion(text, versionOf(theirs))}
              label="Your text against theirs"
            />
          </details>
          <div class="buttons">
            <button
              type="button"
              onClick={() => {
                take(theirs);
                setOutcome(undefined);
              }}
            >
              Take theirs, drop mine
            </button>
            <button
              type="button"
              onClick={() => {
                setText(onVersion(text, versionOf(theirs)));
                setBase(theirs);
                setTheirs(undefined);
                setOutcome(undefined);
              }}
            >
              Keep mine, on their version
            </button>
          </div>
        </section>
      )}
      <textarea
        id={id}
        aria-label={props.label}
        spellcheck={false}
        autocapitalize="off"
        autocomplete="off"
        wrap="off"
        readOnly={props.readOnly}
        value={text}
        rows={Math.min(40, Math.max(12, text.split('\n').length + 1))}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setOutcome(undefined);
        }}
        onKeyDown={(event) => {
          if ((event.ctrlKey || event.metaKey) && event.key === 's') {
            event.preventDefault();
            if (edited) void send('update', false);
          }
        }}
      />
      {props.readOnly ? null : (
        <div class="buttons">
          <button
            type="button"
            class="primary"
            disabled={busy || !edited}
            onClick={() => void send('update', false)}
            aria-keyshortcuts="Control+S"
          >
            Save
          </button>
          <button type="button" disabled={busy || !edited} onClick={() => void send('update', true)}>
            Dry run
          </button>
          <button
            type="button"
            disabled={busy || !edited}
            onClick={() => void send('apply', false)}
            title="Server-side apply: the console becomes the manager of every field of the text"
          >
            Apply
          </button>
          <label class="check">
            <input
              type="checkbox"
              checked={force}
              onChange={(event) => setForce(event.currentTarget.checked)}
            />
            Force conflicts of apply
          </label>
          <button
            type="button"
            disabled={busy || !edited}
            onClick={() => {
              setText(base);
              setOutcome(undefined);
            }}
          >
            Discard
          </button>
          {edited ? <span class="quiet">Edited</span> : <span class="quiet">Follows the server</span>}
        </div>
      )}
      {outcome === undefined ? null : (
        <section class={`outcome ${outcome.kind}`} role={outcome.kind === 'bad' ? 'alert' : 'status'}>
          <p>{outcome.title}</p>
          {outcome.details.length === 0 ? null : (
            <ul>
              {outcome.details.map((each) => (
                <li key={each}>{each}</li>
              ))}
            </ul>
          )}
          {outcome.preview === undefined ? null : (
            <DiffView before={base} after={outcome.preview} label="What would change" />
          )}
        </section>
      )}
    </div>
  );
}
