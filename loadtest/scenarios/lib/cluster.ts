import http from 'k6/http';
import type { RefinedResponse, ResponseType } from 'k6/http';
import type { Options } from 'k6/options';

/** What the runner tells a scenario; all texts. */
export const settings = {
  server: __ENV['SERVER'] ?? '',
  durationSeconds: Number(__ENV['DURATION_SECONDS'] ?? 30),
  /** Scales virtual users and objects. */
  scale: Number(__ENV['SCALE'] ?? 1),
  runId: __ENV['RUN_ID'] ?? 'manual',
};

const token = __ENV['TOKEN_FILE'] === undefined ? '' : open(__ENV['TOKEN_FILE']);
const certificate = __ENV['CERT_FILE'] === undefined ? '' : open(__ENV['CERT_FILE']);
const key = __ENV['KEY_FILE'] === undefined ? '' : open(__ENV['KEY_FILE']);

/** Virtual users of a scenario: at least one. */
export const scaled = (count: number): number => Math.max(1, Math.round(count * settings.scale));

export const duration = `${settings.durationSeconds}s`;

/** Options that every scenario has: how to reach the cluster, and what is told at the end. */
export const connection: Options = {
  ...(certificate === '' ? {} : { tlsAuth: [{ domains: [], cert: certificate, key }] }),
  insecureSkipTLSVerify: __ENV['INSECURE'] === '1',
  setupTimeout: '120s',
  teardownTimeout: '60s',
  summaryTrendStats: ['count', 'avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'],
};

/** Labels of a request, as the server's own metrics have them. */
export interface Labels {
  readonly verb: string;
  readonly resource: string;
  readonly group?: string;
  readonly scope: 'resource' | 'namespace' | 'cluster';
  /** Who asks, where that matters. */
  readonly user?: string;
}

const objectives = { resource: 1000, namespace: 5000, cluster: 30_000 } as const;

/** The objectives of the scopes that a scenario asks in: one object within 1 s, those of a namespace within 5 s, all within 30 s. */
export function thresholds(...scopes: readonly (keyof typeof objectives)[]): Record<string, string[]> {
  return {
    ...Object.fromEntries(
      scopes.map((scope) => [`http_req_duration{scope:${scope}}`, [`p(99)<${objectives[scope]}`]]),
    ),
    http_req_failed: ['rate<0.001'],
  };
}

export function headers(extra: Record<string, string> = {}): Record<string, string> {
  return {
    accept: 'application/json',
    'content-type': 'application/json',
    ...(token === '' ? {} : { authorization: `Bearer ${token.trim()}` }),
    ...extra,
  };
}

export interface CallOptions {
  readonly headers?: Record<string, string>;
  /** Codes that are no failures; default 200 to 399. */
  readonly expected?: ReturnType<typeof http.expectedStatuses>;
  readonly keepBody?: boolean;
}

/** One request to the cluster, with its labels as tags. The name of an object never becomes a tag. */
export function call(
  method: string,
  path: string,
  body: object | undefined,
  labels: Labels,
  options: CallOptions = {},
): RefinedResponse<ResponseType> {
  return http.request(method, settings.server + path, body === undefined ? null : JSON.stringify(body), {
    headers: headers(options.headers),
    tags: { name: `${labels.verb} ${labels.resource}`, group: '', ...labels },
    responseType: options.keepBody === true ? 'text' : 'none',
    ...(options.expected === undefined ? {} : { responseCallback: options.expected }),
  });
}

const quiet: Labels = { verb: 'SETUP', resource: 'setup', scope: 'resource' };

/** Requests that prepare or clear up: not measured against the objectives. Fails the run for another code than these. */
export function prepare(
  method: string,
  path: string,
  body: object | undefined,
  allowed: readonly number[] = [],
): RefinedResponse<ResponseType> {
  const response = http.request(
    method,
    settings.server + path,
    body === undefined ? null : JSON.stringify(body),
    {
      headers: headers(),
      tags: { name: 'setup', verb: quiet.verb, resource: quiet.resource },
      responseType: 'text',
      responseCallback: http.expectedStatuses({ min: 200, max: 299 }, ...allowed),
    },
  );
  if (response.status < 300 || allowed.includes(response.status)) return response;
  throw new Error(`${method} ${path}: ${response.status} ${String(response.error)} ${String(response.body)}`);
}

/** Makes the run's namespace; its name. */
export function makeNamespace(scenario: string): string {
  const name = `load-${scenario}-${settings.runId}`;
  prepare('POST', '/api/v1/namespaces', { metadata: { name, labels: { 'load-test': scenario } } }, [409]);
  return name;
}

/** Takes the namespace and, by the namespace controller, all in it away. */
export function removeNamespace(name: string): void {
  prepare('DELETE', `/api/v1/namespaces/${name}`, undefined, [404, 409]);
}

/** Text of so many bytes. */
export const filler = (bytes: number): string => 'x'.repeat(bytes);

/** Where the end-of-run summary goes; the runner makes the report of it. */
export function handleSummary(data: object): Record<string, string> {
  return { [__ENV['SUMMARY_FILE'] ?? 'summary.json']: JSON.stringify(data) };
}
