import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { eventCount, eventSource, lastSeen, type EventObject } from '../model/event-list.ts';
import { resourcePath, type Kind } from '../model/kinds.ts';
import { follow, type LiveState } from '../model/live.ts';
import { formatRoute } from '../model/route.ts';
import { age } from '../model/table.ts';
import { useShared } from '../parts/context.ts';
import { Grid, type GridColumn } from '../parts/grid.tsx';
import { useNow } from '../parts/hooks.ts';
import { LiveMark } from '../parts/live-mark.tsx';
import { FilterField } from '../parts/filter-field.tsx';
import { NamespaceSelect } from '../parts/namespace-select.tsx';

interface EventListBody {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly EventObject[];
}

const eventsKind = { group: '', version: 'v1', plural: 'events' };
const keyOf = (event: EventObject): string => `${event.metadata.namespace ?? ''}/${event.metadata.name}`;

function useEvents(namespace: string, selector: string) {
  const events = useRef(new Map<string, EventObject>());
  const [version, setVersion] = useState(0);
  const [live, setLive] = useState<{ state: LiveState; problem?: string }>({ state: 'loading' });
  useEffect(() => {
    events.current = new Map();
    let frame = 0;
    const show = (): void => {
      if (frame !== 0) return;
      frame = requestAnimationFrame(() => {
        frame = 0;
        setVersion((last) => last + 1);
      });
    };
    const end = follow<EventListBody, EventObject>(
      {
        path: resourcePath(eventsKind, namespace),
        ...(selector === '' ? {} : { query: `fieldSelector=${encodeURIComponent(selector)}` }),
      },
      {
        onReset: () => {
          events.current.clear();
          show();
        },
        onPage: (page) => {
          for (const event of page.items ?? []) events.current.set(keyOf(event), event);
          show();
        },
        onListed: show,
        onChange: (type, event) => {
          if (type === 'DELETED') events.current.delete(keyOf(event));
          else events.current.set(keyOf(event), event);
          show();
        },
        onState: (state, problem) => setLive(problem === undefined ? { state } : { state, problem }),
      },
    );
    return () => {
      end();
      cancelAnimationFrame(frame);
    };
  }, [namespace, selector]);
  const rows = useMemo(
    () => [...events.current.values()].sort((a, b) => lastSeen(b) - lastSeen(a)),
    [version, namespace, selector],
  );
  return { rows, ...live };
}

/** Where an event's object is, when the server has such a kind. */
function objectLink(event: EventObject, kinds: readonly Kind[]): string | undefined {
  const { apiVersion = 'v1', kind, name, namespace = '' } = event.involvedObject ?? {};
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] as string) : '';
  const found = kinds.find((each) => each.kind === kind && each.group === group);
  if (found === undefined || name === undefined) return undefined;
  return formatRoute({
    at: 'object',
    group: found.group,
    version: found.version,
    plural: found.plural,
    namespace: found.namespaced ? namespace : '',
    name,
    tab: 'yaml',
  });
}

function useColumns(withObject: boolean): readonly GridColumn<EventObject>[] {
  const { kinds } = useShared();
  const now = useNow(5_000);
  return useMemo(() => {
    const objectOf = (event: EventObject): string =>
      `${event.involvedObject?.kind ?? ''} ${event.involvedObject?.name ?? ''}`;
    return [
      {
        name: 'Last seen',
        text: (event: EventObject) => age(now - lastSeen(event)),
        compare: (a: EventObject, b: EventObject) => lastSeen(b) - lastSeen(a),
      },
      {
        name: 'Type',
        text: (event: EventObject) => event.type ?? '',
        show: (event: EventObject) => (
          <span class={event.type === 'Warning' ? 'tone bad' : 'tone'}>{event.type ?? ''}</span>
        ),
      },
      { name: 'Reason', text: (event: EventObject) => event.reason ?? '' },
      ...(withObject
        ? [
            {
              name: 'Object',
              text: objectOf,
              show: (event: EventObject) => {
                const link = objectLink(event, kinds);
                return link === undefined ? (
                  objectOf(event)
                ) : (
                  <a href={link} tabIndex={-1}>
                    {objectOf(event)}
                  </a>
                );
              },
            },
          ]
        : []),
      {
        name: 'Count',
        text: (event: EventObject) => String(eventCount(event)),
        compare: (a: EventObject, b: EventObject) => eventCount(a) - eventCount(b),
      },
      { name: 'Message', text: (event: EventObject) => event.message ?? '' },
      ...(withObject ? [] : [{ name: 'From', text: eventSource }]),
    ];
  }, [kinds, now, withObject]);
}

/** What happened lately, in a namespace or everywhere. */
export function EventsPage({ namespace }: { readonly namespace: string }) {
  const { kinds } = useShared();
  const { rows, state, problem } = useEvents(namespace, '');
  const [filter, setFilter] = useState('');
  const [warnings, setWarnings] = useState(false);
  const columns = useColumns(true);
  const shown = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    return rows.filter((event) => {
      if (warnings && event.type !== 'Warning') return false;
      if (words.length === 0) return true;
      const text =
        `${event.reason} ${event.message} ${event.involvedObject?.kind} ${event.involvedObject?.name} ${event.metadata.namespace}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }, [rows, filter, warnings]);
  return (
    <>
      <header class="page-head">
        <h1 tabIndex={-1}>Events</h1>
        <span class="quiet">
          {shown.length === rows.length ? rows.length : `${shown.length} of ${rows.length}`}
        </span>
        <LiveMark state={state} problem={problem} />
      </header>
      <div class="tools">
        <NamespaceSelect
          value={namespace}
          onChange={(next) => {
            location.hash = formatRoute({ at: 'events', namespace: next });
          }}
        />
        <FilterField value={filter} onChange={setFilter} />
        <label class="check">
          <input
            type="checkbox"
            checked={warnings}
            onChange={(event) => setWarnings(event.currentTarget.checked)}
          />
          Warnings only
        </label>
      </div>
      {state === 'broken' && problem !== undefined ? (
        <p role="alert" class="problem">
          {problem}
        </p>
      ) : null}
      <Grid
        label="Events"
        columns={columns}
        rows={shown}
        keyOf={keyOf}
        onOpen={(event) => {
          const link = objectLink(event, kinds);
          if (link !== undefined) location.hash = link;
        }}
        busy={state === 'loading'}
        empty="Nothing happened."
      />
    </>
  );
}

/** What happened to one object. */
export function ObjectEvents(props: {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}) {
  const { kind, namespace, name } = props;
  const { rows, state, problem } = useEvents(
    namespace,
    `involvedObject.kind=${kind.kind},involvedObject.name=${name}`,
  );
  const columns = useColumns(false);
  return (
    <>
      {state === 'broken' && problem !== undefined ? (
        <p role="alert" class="problem">
          {problem}
        </p>
      ) : null}
      <Grid
        label={`Events of ${name}`}
        columns={columns}
        rows={rows}
        keyOf={keyOf}
        onOpen={() => undefined}
        busy={state === 'loading'}
        empty="No events: they are kept for an hour."
      />
    </>
  );
}
