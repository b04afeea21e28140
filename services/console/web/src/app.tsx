import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { caller, CallError, messageOf } from './model/call.ts';
import { loadKinds, usual, type Kind } from './model/kinds.ts';
import { formatRoute, parseRoute, type Route } from './model/route.ts';
import { Announcements } from './parts/announce.tsx';
import { SharedContext, type SessionView } from './parts/context.ts';
import { usePolled } from './parts/hooks.ts';
import { Login, logIn, takeLink } from './pages/login.tsx';
import { DrillsPage } from './pages/drills.tsx';
import { EventsPage } from './pages/events.tsx';
import { HealthPage } from './pages/health.tsx';
import { ListPage } from './pages/list.tsx';
import { ObjectPage } from './pages/object.tsx';

type Theme = 'system' | 'light' | 'dark';
const themeKey = 'pilothouse-theme';
const storedTheme = (): Theme => {
  const value = localStorage.getItem(themeKey);
  return value === 'light' || value === 'dark' ? value : 'system';
};

export function App() {
  const [session, setSession] = useState<SessionView>();
  const [problem, setProblem] = useState('');
  const [known, setKnown] = useState(false);
  useEffect(() => {
    caller.onLoggedOut = (reason) => {
      setSession(undefined);
      setProblem(reason);
    };
    const link = takeLink();
    const begin = link === undefined ? caller.json<Partial<SessionView>>('/session') : logIn({ link });
    begin
      .then((found) => {
        if (found.user !== undefined) setSession(found as SessionView);
      })
      .catch((error: unknown) => setProblem(messageOf(error)))
      .finally(() => setKnown(true));
    // A link that is opened in a tab of the console changes nothing but the fragment.
    const onHash = (): void => {
      const again = takeLink();
      if (again !== undefined)
        void logIn({ link: again }).then(setSession, (error) => setProblem(messageOf(error)));
    };
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  if (!known) return null;
  if (session === undefined)
    return (
      <Login
        problem={problem}
        onLogin={(next) => {
          setProblem('');
          setSession(next);
        }}
      />
    );
  return (
    <Console
      session={session}
      onLogOut={() => {
        void caller.call('/session', { method: 'DELETE' }).catch(() => undefined);
        setProblem('');
        setSession(undefined);
      }}
    />
  );
}

function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const onHash = (): void => setRoute(parseRoute(location.hash));
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  return route;
}

interface NameList {
  readonly items?: readonly { readonly metadata: { readonly name: string } }[];
}

function Console(props: { readonly session: SessionView; onLogOut(): void }) {
  const { session } = props;
  const route = useRoute();
  const [theme, setTheme] = useState<Theme>(storedTheme);
  useLayoutEffect(() => {
    document.documentElement.dataset['theme'] = theme;
    localStorage.setItem(themeKey, theme);
  }, [theme]);
  const kinds = usePolled(loadKinds, 60_000, [session]);
  const namespaces = usePolled(
    (signal) =>
      caller.json<NameList>('/k8s/api/v1/namespaces', { signal }).catch((error: unknown) => {
        if (error instanceof CallError && error.status === 403) return { items: [] } as NameList;
        throw error;
      }),
    15_000,
    [session],
  );
  const shared = useMemo(
    () => ({
      session,
      kinds: kinds.value ?? [],
      namespaces: (namespaces.value?.items ?? []).map((each) => each.metadata.name),
    }),
    [session, kinds.value, namespaces.value],
  );
  const main = useRef<HTMLElement>(null);
  // A new page is read from its title on; moving between tabs or namespaces of one keeps the focus where it is.
  const place =
    route.at === 'object'
      ? `${route.group}/${route.plural}/${route.namespace}/${route.name}`
      : route.at === 'list'
        ? `${route.group}/${route.plural}`
        : route.at;
  const read = useRef(place);
  useEffect(() => {
    const title = main.current?.querySelector<HTMLElement>('h1');
    document.title = `${title?.textContent ?? 'Health'} · Pilothouse`;
    if (read.current === place || title === null || title === undefined) return;
    read.current = place;
    title.focus();
  }, [place, kinds.value === undefined]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
      if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      const field = main.current?.querySelector<HTMLInputElement>('input.filter');
      if (field === undefined || field === null) return;
      event.preventDefault();
      field.focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <SharedContext.Provider value={shared}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          main.current?.focus();
        }}
      >
        Skip to the content
      </a>
      <div class="frame">
        <header class="top">
          <strong class="brand">Pilothouse</strong>
          <span class="spacer" />
          <span class="quiet" title={session.server}>
            {session.user}
          </span>
          <label class="field">
            <span class="unseen">Colours</span>
            <select value={theme} onChange={(event) => setTheme(event.currentTarget.value as Theme)}>
              <option value="system">System colours</option>
              <option value="light">Light</option>
              <option value="dark">Dark</option>
            </select>
          </label>
          <button type="button" onClick={props.onLogOut}>
            Log out
          </button>
        </header>
        <Navigation route={route} kinds={shared.kinds} />
        <main ref={main} id="main" tabIndex={-1}>
          {kinds.problem !== undefined && kinds.value === undefined ? (
            <p role="alert" class="problem">
              {kinds.problem}
            </p>
          ) : null}
          <Page route={route} kinds={kinds.value} />
        </main>
      </div>
      <Announcements />
    </SharedContext.Provider>
  );
}

function Page({ route, kinds }: { readonly route: Route; readonly kinds: readonly Kind[] | undefined }) {
  switch (route.at) {
    case 'health':
      return <HealthPage />;
    case 'events':
      return <EventsPage namespace={route.namespace} />;
    case 'drills':
      return <DrillsPage report={route.report} />;
    case 'list':
    case 'object': {
      if (kinds === undefined) return <p class="quiet">Loading …</p>;
      const kind = kinds.find((each) => each.group === route.group && each.plural === route.plural);
      if (kind === undefined)
        return (
          <p role="alert" class="problem">
            The server has no {route.plural} of group “{route.group}”.
          </p>
        );
      return route.at === 'list' ? (
        <ListPage key={`${kind.group}/${kind.plural}`} kind={kind} namespace={route.namespace} />
      ) : (
        <ObjectPage
          key={`${kind.group}/${kind.plural}/${route.namespace}/${route.name}`}
          kind={kind}
          route={route}
        />
      );
    }
  }
}

function Navigation({ route, kinds }: { readonly route: Route; readonly kinds: readonly Kind[] }) {
  const [filter, setFilter] = useState('');
  const namespace = 'namespace' in route ? route.namespace : '';
  const current = route.at === 'list' || route.at === 'object' ? `${route.group}/${route.plural}` : route.at;
  const link = (kind: Kind) => {
    const key = `${kind.group}/${kind.plural}`;
    return (
      <li key={key}>
        <a
          href={formatRoute({
            at: 'list',
            group: kind.group,
            version: kind.version,
            plural: kind.plural,
            namespace: kind.namespaced ? namespace : '',
          })}
          aria-current={current === key ? 'page' : undefined}
        >
          {kind.kind}
        </a>
      </li>
    );
  };
  const words = filter.trim().toLowerCase();
  const matches = (kind: Kind): boolean =>
    `${kind.kind} ${kind.plural} ${kind.group} ${kind.shortNames.join(' ')}`.toLowerCase().includes(words);
  const first = usual.flatMap((key) => kinds.filter((each) => `${each.group}/${each.plural}` === key));
  const groups = useMemo(() => {
    const found = new Map<string, Kind[]>();
    for (const kind of kinds) found.set(kind.group, [...(found.get(kind.group) ?? []), kind]);
    return [...found].sort(([a], [b]) => a.localeCompare(b));
  }, [kinds]);
  const place = (route: Route, title: string) => (
    <li>
      <a href={formatRoute(route)} aria-current={current === route.at ? 'page' : undefined}>
        {title}
      </a>
    </li>
  );
  return (
    <nav class="side" aria-label="Console">
      <ul>
        {place({ at: 'health' }, 'Health')}
        {place({ at: 'events', namespace }, 'Events')}
        {place({ at: 'drills', report: '' }, 'Drill reports')}
      </ul>
      <label class="field column">
        <span class="unseen">Find a kind</span>
        <input
          type="search"
          placeholder="Find a kind"
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      </label>
      {words !== '' ? (
        <ul>{kinds.filter(matches).map(link)}</ul>
      ) : (
        <>
          <ul>{first.map(link)}</ul>
          {groups.map(([group, members]) => (
            <details
              key={group}
              open={members.some(
                (each) => `${each.group}/${each.plural}` === current && !first.includes(each),
              )}
            >
              <summary title={group}>{group === '' ? 'core' : group}</summary>
              <ul>{members.map(link)}</ul>
            </details>
          ))}
        </>
      )}
    </nav>
  );
}
