import { useEffect, useRef, useState } from 'preact/hooks';
import { caller, messageOf } from '../model/call.ts';
import { groupVersion, resourcePath, type Kind } from '../model/kinds.ts';
import { follow, type LiveState } from '../model/live.ts';
import { formatRoute, type Route, type Tab } from '../model/route.ts';
import { announce } from '../parts/announce.tsx';
import { Confirm } from '../parts/confirm.tsx';
import { LiveMark } from '../parts/live-mark.tsx';
import { YamlEditor } from '../parts/yaml-editor.tsx';
import { HistoryTab } from './history.tsx';
import { LogTab } from './log.tsx';
import { ObjectEvents } from './events.tsx';

export type ObjectRoute = Extract<Route, { at: 'object' }>;

interface Seen {
  readonly resourceVersion: string;
  readonly uid: string;
  readonly deleted: boolean;
}

interface Watched {
  readonly metadata?: {
    readonly name?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly continue?: string;
  };
  readonly items?: readonly Watched[];
}

/** One object: its text, its past, what happened to it. */
export function ObjectPage({ route, kind }: { readonly route: ObjectRoute; readonly kind: Kind }) {
  const { namespace, name, tab } = route;
  const [seen, setSeen] = useState<Seen>();
  const [missing, setMissing] = useState(false);
  const [live, setLive] = useState<{ state: LiveState; problem?: string }>({ state: 'loading' });
  const [asking, setAsking] = useState(false);
  /** A text for the editor that comes from somewhere else: an old revision that is to be restored. */
  const [draft, setDraft] = useState<string>();
  const path = resourcePath(kind, namespace, name);

  useEffect(() => {
    setSeen(undefined);
    setMissing(false);
    const look = (object: Watched, deleted: boolean): void =>
      setSeen({
        resourceVersion: object.metadata?.resourceVersion ?? '',
        uid: object.metadata?.uid ?? '',
        deleted,
      });
    let found = false;
    return follow<Watched, Watched>(
      {
        path: resourcePath(kind, namespace),
        query: `fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`,
      },
      {
        onReset: () => (found = false),
        onPage: (page) => {
          for (const item of page.items ?? []) {
            found = true;
            look(item, false);
          }
        },
        onListed: () => setMissing(!found),
        onChange: (type, object) => {
          look(object, type === 'DELETED');
          if (type !== 'DELETED') setMissing(false);
        },
        onState: (state, problem) => setLive(problem === undefined ? { state } : { state, problem }),
      },
    );
  }, [kind, namespace, name]);

  const remove = async (): Promise<void> => {
    setAsking(false);
    try {
      await caller.call(path, {
        method: 'DELETE',
        body: JSON.stringify({
          kind: 'DeleteOptions',
          apiVersion: 'v1',
          propagationPolicy: 'Background',
          ...(seen?.uid ? { preconditions: { uid: seen.uid } } : {}),
        }),
      });
      announce(`${kind.kind} ${name} is being deleted`);
    } catch (error) {
      announce(messageOf(error));
    }
  };
  const shown: readonly { tab: Tab; title: string }[] = [
    { tab: 'yaml', title: 'YAML' },
    { tab: 'history', title: 'History' },
    { tab: 'events', title: 'Events' },
    ...(kind.group === '' && kind.plural === 'pods' ? [{ tab: 'log' as const, title: 'Log' }] : []),
  ];
  const list = useRef<HTMLDivElement>(null);
  const goTo = (next: Tab): void => {
    location.hash = formatRoute({ ...route, tab: next });
  };
  return (
    <>
      <header class="page-head">
        <nav aria-label="Where this is" class="crumbs">
          <a
            href={formatRoute({
              at: 'list',
              group: kind.group,
              version: kind.version,
              plural: kind.plural,
              namespace,
            })}
          >
            {kind.kind}
          </a>
          {namespace === '' ? null : <span>{namespace}</span>}
        </nav>
        <h1 tabIndex={-1}>{name}</h1>
        <span class="quiet">{groupVersion(kind)}</span>
        <LiveMark state={live.state} problem={live.problem} />
        {seen === undefined || seen.deleted ? null : (
          <button type="button" class="danger" onClick={() => setAsking(true)}>
            Delete …
          </button>
        )}
      </header>
      {live.state === 'broken' && live.problem !== undefined ? (
        <p role="alert" class="problem">
          {live.problem}
        </p>
      ) : null}
      {seen?.deleted === true || missing ? (
        <p role="alert" class="notice">
          {missing ? 'There is no such object now.' : 'This object was deleted.'} Its past may still be in the
          history.
        </p>
      ) : null}
      <div
        ref={list}
        class="tabs"
        role="tablist"
        aria-label={`${kind.kind} ${name}`}
        onKeyDown={(event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (step === undefined) return;
          // The focus moves at once, the route a little later.
          const at = shown.findIndex((each) => `tab-${each.tab}` === (event.target as HTMLElement).id);
          const next = shown[(at + step + shown.length) % shown.length];
          if (next === undefined) return;
          event.preventDefault();
          goTo(next.tab);
          list.current?.querySelector<HTMLElement>(`#tab-${next.tab}`)?.focus();
        }}
      >
        {shown.map((each) => (
          <button
            key={each.tab}
            id={`tab-${each.tab}`}
            type="button"
            role="tab"
            aria-selected={each.tab === tab}
            aria-controls="tab-panel"
            tabIndex={each.tab === tab ? 0 : -1}
            onClick={() => goTo(each.tab)}
          >
            {each.title}
          </button>
        ))}
      </div>
      <div id="tab-panel" class="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {/* The editor stays, so that a look at the history does not lose what was written. */}
        <div hidden={tab !== 'yaml'}>
          {seen === undefined ? (
            <p class="quiet">{missing ? 'Nothing to show.' : 'Loading …'}</p>
          ) : (
            <YamlEditor
              key={`${path} ${seen.uid}`}
              path={path}
              label={`${kind.kind} ${name} as YAML`}
              latest={seen.resourceVersion}
              readOnly={seen.deleted || !kind.verbs.includes('update')}
              draft={draft}
              onDraftTaken={() => setDraft(undefined)}
            />
          )}
        </div>
        {tab === 'history' ? (
          <HistoryTab
            kind={kind}
            namespace={namespace}
            name={name}
            latest={seen?.resourceVersion ?? ''}
            onRestore={
              seen === undefined || seen.deleted
                ? undefined
                : (yaml) => {
                    setDraft(yaml);
                    goTo('yaml');
                  }
            }
          />
        ) : null}
        {tab === 'events' ? <ObjectEvents kind={kind} namespace={namespace} name={name} /> : null}
        {tab === 'log' ? <LogTab namespace={namespace} name={name} /> : null}
      </div>
      {asking ? (
        <Confirm
          title={`Delete ${kind.kind} ${name}?`}
          text="What it owns is deleted after it. This cannot be undone."
          action="Delete"
          onAnswer={(confirmed) => (confirmed ? void remove() : setAsking(false))}
        />
      ) : null}
    </>
  );
}
