/** Where the page is, kept in the fragment: it never reaches a server. */
export type Route =
  | { readonly at: 'health' }
  | {
      readonly at: 'list';
      readonly group: string;
      readonly version: string;
      readonly plural: string;
      readonly namespace: string;
    }
  | {
      readonly at: 'object';
      readonly group: string;
      readonly version: string;
      readonly plural: string;
      readonly namespace: string;
      readonly name: string;
      readonly tab: Tab;
    }
  | { readonly at: 'events'; readonly namespace: string }
  | { readonly at: 'drills'; readonly report: string };

export const tabs = ['yaml', 'history', 'events', 'log'] as const;
export type Tab = (typeof tabs)[number];

const part = (text: string): string => (text === '' ? '_' : encodeURIComponent(text));
const whole = (text: string | undefined): string =>
  text === undefined || text === '_' ? '' : decodeURIComponent(text);

export function formatRoute(route: Route): string {
  switch (route.at) {
    case 'health':
      return '#/';
    case 'list':
      return `#/list/${[route.group, route.version, route.plural, route.namespace].map(part).join('/')}`;
    case 'object':
      return `#/object/${[route.group, route.version, route.plural, route.namespace, route.name].map(part).join('/')}/${route.tab}`;
    case 'events':
      return `#/events/${part(route.namespace)}`;
    case 'drills':
      return `#/drills/${part(route.report)}`;
  }
}

/** Anything that is no route leads to the first page. */
export function parseRoute(fragment: string): Route {
  const parts = fragment.replace(/^#\/?/, '').split('/');
  try {
    const [at, group, version, plural, namespace, name, tab] = parts;
    if (at === 'list' && plural !== undefined)
      return {
        at,
        group: whole(group),
        version: whole(version),
        plural: whole(plural),
        namespace: whole(namespace),
      };
    if (at === 'object' && name !== undefined)
      return {
        at,
        group: whole(group),
        version: whole(version),
        plural: whole(plural),
        namespace: whole(namespace),
        name: whole(name),
        tab: tabs.find((each) => each === tab) ?? 'yaml',
      };
    if (at === 'events') return { at, namespace: whole(parts[1]) };
    if (at === 'drills') return { at, report: whole(parts[1]) };
  } catch {
    // A broken percent escape.
  }
  return { at: 'health' };
}
