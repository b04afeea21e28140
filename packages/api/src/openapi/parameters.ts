import { operationFacts } from '../generated/operations.ts';

const descriptions: Readonly<Record<string, string>> = {
  allowWatchBookmarks:
    'Whether a watch may send events of type BOOKMARK, which carry only a resourceVersion.',
  command: 'The command to run and its arguments; not run inside a shell.',
  container: 'The container; may be left out when the pod has only one.',
  continue: 'Token of the previous answer, for the next part of a list.',
  dryRun: 'All: do everything but store the result.',
  fieldManager: 'Name of who makes this change, for managedFields. At most 128 printable characters.',
  fieldSelector: 'Selects objects by their fields.',
  fieldValidation: 'What to do about unknown and duplicate fields: Ignore, Warn (default) or Strict.',
  follow: 'Whether to keep the stream open for new lines.',
  force: 'Takes over fields that other managers own. Only for apply.',
  gracePeriodSeconds: 'Seconds before the object is deleted; zero deletes at once.',
  ignoreStoreReadErrorWithClusterBreakingPotential:
    'Deletes an object that cannot be read any more, without finalizers and checks.',
  insecureSkipTLSVerifyBackend: "Whether to accept any certificate of the node's server.",
  labelSelector: 'Selects objects by their labels.',
  limit: 'Largest number of items in one answer; more come with the continue token.',
  limitBytes: 'Number of bytes after which the log ends.',
  name: 'Name of the object.',
  namespace: 'Namespace of the object.',
  orphanDependents: 'Deprecated: use propagationPolicy.',
  path: 'Path of the request that is passed on.',
  ports: 'Ports to forward.',
  pretty: 'Whether JSON is indented.',
  previous: 'Whether to give the log of the container before its last restart.',
  propagationPolicy: 'What happens to dependents: Orphan, Background or Foreground.',
  resourceVersion: 'How old the answer may be.',
  resourceVersionMatch: 'How resourceVersion is meant: NotOlderThan or Exact.',
  sendInitialEvents: 'Whether a watch begins with the present objects, followed by a bookmark.',
  shardSelector: 'Restricts a list to a part of the objects. Alpha.',
  sinceSeconds: 'Age in seconds of the oldest line to give.',
  stderr: 'Whether to pass on the error output.',
  stdin: 'Whether to pass on the input.',
  stdout: 'Whether to pass on the output.',
  stream: 'Which log stream to give: All, Stdout or Stderr.',
  tailLines: 'Number of lines from the end of the log.',
  timeoutSeconds: 'Seconds after which the call ends.',
  timestamps: 'Whether each line begins with its time.',
  tty: 'Whether to allocate a terminal.',
  watch: 'Watch for changes instead of listing.',
};

export interface ParameterFacts {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly description: string;
  readonly type: string;
}

export function parameterFacts(name: string, place: 'path' | 'query'): ParameterFacts {
  const type = place === 'path' ? 'string' : (operationFacts.queryTypes[name] ?? 'string');
  return { name, in: place, description: descriptions[name] ?? '', type };
}

/** Parameters of a path's operations, split into those that all have and the rest, each sorted by name. */
export function splitParameters(
  pathParameters: readonly string[],
  queries: readonly (readonly string[])[],
): { common: ParameterFacts[]; rest: ParameterFacts[][] } {
  const [first = []] = queries;
  const shared = new Set(first.filter((name) => queries.every((query) => query.includes(name))));
  const byName = (a: ParameterFacts, b: ParameterFacts): number =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
  const common = [
    ...pathParameters.map((name) => parameterFacts(name, 'path')),
    ...[...shared].map((name) => parameterFacts(name, 'query')),
  ].sort(byName);
  const rest = queries.map((query) =>
    query
      .filter((name) => !shared.has(name))
      .map((name) => parameterFacts(name, 'query'))
      .sort(byName),
  );
  return { common, rest };
}
