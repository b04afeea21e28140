import { timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock, Logger, Random } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { ClusterAccess } from '@pilothouse/client';
import type { FileWatcher } from '@pilothouse/host';
import { followServedCertificate, Metrics, readServedCertificate } from '@pilothouse/host';
import type { Credentials } from '../core/credentials.ts';
import { kubeconfigCredentials, tokenCredentials } from '../core/credentials.ts';
import { objectKey } from '../core/object-key.ts';
import type { RequestKind } from '../core/request-gate.ts';
import { acceptedHosts, markHeader, refusal } from '../core/request-gate.ts';
import { cookieValue, SessionBook } from '../core/session-book.ts';
import { ConsoleError } from '../errors.ts';
import { limits } from '../limits.ts';
import { ApiAccess } from './api-access.ts';
import { passOn } from './api-proxy.ts';
import { readBody, sendJson } from './answers.ts';
import { ConsoleMetrics } from './console-metrics.ts';
import type { Asset } from './assets.ts';
import { listReports, readReport } from './drill-reports.ts';
import { objectHistory } from './object-history.ts';
import type { StoreAccess } from './store-access.ts';

export interface ConsoleOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly allowedHosts: readonly string[];
  /** The API server; who asks is not part of it. */
  readonly cluster: ClusterAccess;
  /** Whom the one-time link logs in as; without it there is no link. */
  readonly linkCredentials?: Credentials;
  /** Gets each new one-time link: the first one, and another one when one was used. */
  readonly onLink?: (url: string) => void;
  readonly store?: StoreAccess;
  readonly drillsDirectory?: string;
  readonly assets: ReadonlyMap<string, Asset>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Gets what the console tells of itself. */
  readonly metrics?: Metrics;
  /** Follows the serving certificate; default: one of this server alone. */
  readonly watcher?: FileWatcher;
}

export interface ConsoleServer {
  readonly url: string;
  /** The API server is known by another authority, or the link logs in somebody else, from now on; sessions stay. */
  follow(cluster: ClusterAccess, linkCredentials?: Credentials): void;
  close(): Promise<void>;
}

interface Session {
  readonly user: string;
  readonly access: ApiAccess;
}

/** What the page may do: load its own parts, call its own origin, show reports in a frame. Nothing of others, nothing inline. */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "frame-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');
/** A report has its styles inside and no scripts; it gets an origin of its own. */
const reportPolicy =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";
const callPolicy = "sandbox; default-src 'none'; frame-ancestors 'none'";

const sameText = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

/** Serves the console until it is closed. Rejects when the port is taken. */
export async function startConsole(options: ConsoleOptions): Promise<ConsoleServer> {
  const { clock, random, logger, assets, store, drillsDirectory } = options;
  let { cluster, linkCredentials } = options;
  /** Of open sessions, and of those that log in. */
  const open = new Set<ApiAccess>();
  const scheme = options.certFile === undefined ? 'http' : 'https';
  const sessions = new SessionBook<Session>(
    {
      clock,
      random,
      idleMs: limits.sessionIdleMs,
      lifetimeMs: limits.sessionLifetimeMs,
      sessionsMax: limits.sessionsMax,
      secretBytes: limits.secretBytes,
    },
    (session) => close(session.access),
  );
  const close = (access: ApiAccess): void => {
    open.delete(access);
    access.close();
  };
  const counted = new ConsoleMetrics(options.metrics ?? new Metrics(), clock, () => sessions.size);
  let hosts: string[] = [];
  let cookieName = '';
  let url = '';
  let code = '';
  const newLink = (): void => {
    if (linkCredentials === undefined) return;
    code = Buffer.from(random.bytes(limits.secretBytes)).toString('base64url');
    // In the fragment: browsers send it to nobody, also not as a referrer.
    options.onLink?.(`${url}#link=${code}`);
  };

  const requireSession = (request: IncomingMessage): Session => {
    const session = sessions.find(cookieValue(request.headers.cookie, cookieName));
    if (session === undefined) throw new ConsoleError(401, 'Log in first');
    return session;
  };

  async function logIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let given: Record<string, unknown>;
    try {
      given = JSON.parse((await readBody(request, limits.loginBytesMax)).toString('utf8')) as typeof given;
    } catch (error) {
      if (error instanceof ConsoleError) throw error;
      throw new ConsoleError(400, 'Want a JSON object with token, kubeconfig or link');
    }
    const linked = typeof given['link'] === 'string';
    let credentials: Credentials;
    if (linked) {
      if (linkCredentials === undefined || code === '' || !sameText(String(given['link']), code))
        throw new ConsoleError(
          401,
          'This link was used already or is not of this console: the console has printed a new one',
        );
      credentials = linkCredentials;
      newLink();
    } else if (given['kubeconfig'] !== undefined) credentials = kubeconfigCredentials(given['kubeconfig']);
    else credentials = tokenCredentials(given['token']);
    let access: ApiAccess;
    try {
      access = new ApiAccess(cluster, credentials, clock);
      open.add(access);
    } catch (error) {
      throw new ConsoleError(400, `The credentials cannot be used: ${errorMessage(error)}`);
    }
    try {
      const user = await access.whoAmI();
      const old = cookieValue(request.headers.cookie, cookieName);
      if (old !== undefined) sessions.end(old);
      const id = sessions.start({ user, access });
      logger.info('Logged in', {
        user,
        by: linked ? 'link' : credentials.token === undefined ? 'certificate' : 'token',
      });
      response.setHeader(
        'set-cookie',
        `${cookieName}=${id}; Path=/; HttpOnly; SameSite=Strict${scheme === 'https' ? '; Secure' : ''}`,
      );
      sendJson(response, 200, describeSession(user));
    } catch (error) {
      close(access);
      throw error;
    }
  }

  const describeSession = (user: string): unknown => ({
    user,
    server: cluster.server,
    store: store !== undefined,
    drills: drillsDirectory !== undefined,
  });

  async function history(
    request: IncomingMessage,
    response: ServerResponse,
    query: URLSearchParams,
  ): Promise<void> {
    const { access } = requireSession(request);
    if (store === undefined)
      throw new ConsoleError(501, 'This console was not given the store: start it with --etcd-servers');
    const text = (name: string): string => query.get(name) ?? '';
    const object = {
      group: text('group'),
      resource: text('resource'),
      namespace: text('namespace'),
      name: text('name'),
    };
    const key = objectKey(object);
    // The store asks nobody: the API server decides whether this user may see the object, as it is now and as it was.
    await access.require({ kind: 'object', verb: 'get', object });
    const asked = Number(text('limit') || limits.historyRevisionsMax);
    const revisionsMax = Math.min(
      limits.historyRevisionsMax,
      Number.isInteger(asked) && asked > 0 ? asked : 1,
    );
    sendJson(
      response,
      200,
      await objectHistory(store.client, `${store.prefix}/${key}`, { clock, revisionsMax }),
    );
  }

  /** Whoever may read metrics may see how the store and the plane are. */
  const requireOperator = async (request: IncomingMessage): Promise<void> =>
    requireSession(request).access.require({ kind: 'path', verb: 'get', path: '/metrics' });

  async function call(request: IncomingMessage, response: ServerResponse, target: URL): Promise<void> {
    const { pathname, searchParams } = target;
    response.setHeader('content-security-policy', callPolicy);
    if (pathname === '/session') {
      if (request.method === 'POST') {
        try {
          await logIn(request, response);
          counted.countLogin({ result: 'accepted' });
        } catch (error) {
          const isRefused = error instanceof ConsoleError && error.status < 500;
          counted.countLogin({ result: isRefused ? 'refused' : 'failed' });
          throw error;
        }
        return undefined;
      }
      if (request.method === 'DELETE') {
        const id = cookieValue(request.headers.cookie, cookieName);
        if (id !== undefined) sessions.end(id);
        response.setHeader('set-cookie', `${cookieName}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`);
        return sendJson(response, 200, {});
      }
      // Not being logged in is an answer here, not a failure.
      const session = sessions.find(cookieValue(request.headers.cookie, cookieName));
      return sendJson(response, 200, session === undefined ? {} : describeSession(session.user));
    }
    if (pathname.startsWith('/k8s/')) {
      const { access } = requireSession(request);
      return passOn(request, response, access, (request.url ?? '').slice('/k8s'.length));
    }
    if (request.method !== 'GET') throw new ConsoleError(405, `Method ${request.method} is not allowed here`);
    if (pathname === '/store/history') return history(request, response, searchParams);
    if (pathname === '/store/status') {
      await requireOperator(request);
      if (store === undefined)
        throw new ConsoleError(501, 'This console was not given the store: start it with --etcd-servers');
      return sendJson(response, 200, await store.view());
    }
    if (pathname === '/drills') {
      await requireOperator(request);
      if (drillsDirectory === undefined)
        throw new ConsoleError(501, 'This console was given no reports: start it with --drills-dir');
      return sendJson(response, 200, { reports: await listReports(drillsDirectory) });
    }
    throw new ConsoleError(404, `There is nothing at ${pathname}`);
  }

  async function report(request: IncomingMessage, response: ServerResponse, target: URL): Promise<void> {
    await requireOperator(request);
    const { type, body } = await readReport(
      drillsDirectory ?? '/nonexistent',
      target.searchParams.get('name') ?? '',
    );
    response
      .writeHead(200, {
        'content-type': type,
        'content-security-policy': reportPolicy,
        'cache-control': 'no-store',
      })
      .end(body);
  }

  async function page(request: IncomingMessage, response: ServerResponse, pathname: string): Promise<void> {
    if (pathname === '/healthz' || pathname === '/livez' || pathname === '/readyz') {
      response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
      return;
    }
    const asset = assets.get(pathname);
    if (asset === undefined) throw new ConsoleError(404, `There is nothing at ${pathname}`);
    response.writeHead(200, {
      'content-type': asset.type,
      'content-security-policy': pagePolicy,
      'cache-control': asset.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
      'content-length': asset.body.length,
    });
    response.end(request.method === 'HEAD' ? undefined : asset.body);
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of [
      ['x-content-type-options', 'nosniff'],
      ['referrer-policy', 'no-referrer'],
      ['cross-origin-opener-policy', 'same-origin'],
      ['cross-origin-resource-policy', 'same-origin'],
      ['permissions-policy', 'camera=(), microphone=(), geolocation=()'],
    ] as const)
      response.setHeader(name, value);
    try {
      const target = new URL(request.url ?? '/', 'http://console');
      const kind: RequestKind =
        target.pathname === '/drills/file'
          ? 'frame'
          : assets.has(target.pathname) || /^\/(healthz|livez|readyz)$/.test(target.pathname)
            ? 'page'
            : 'call';
      const header = (name: string): string | undefined => {
        const value = request.headers[name];
        return Array.isArray(value) ? value[0] : value;
      };
      const refused = refusal(
        {
          method: request.method ?? 'GET',
          host: request.headers.host,
          origin: header('origin'),
          fetchSite: header('sec-fetch-site'),
          marked: header(markHeader) !== undefined,
        },
        kind,
        { hosts, scheme },
      );
      // Probes of an orchestrator call by address.
      if (refused !== undefined && !/^\/(healthz|livez|readyz)$/.test(target.pathname))
        throw new ConsoleError(refused.status, refused.message);
      if (kind === 'page') await page(request, response, target.pathname);
      else if (kind === 'frame') await report(request, response, target);
      else await call(request, response, target);
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      const status = error instanceof ConsoleError ? error.status : 500;
      // Paths and reasons only: headers, bodies and queries may hold what is nobody else's.
      if (status === 500) logger.error('Request failed', { error: errorMessage(error) });
      // What was not read of a refused body must not be taken for the next request.
      if (!request.complete) response.setHeader('connection', 'close');
      sendJson(response, status, {
        message: error instanceof ConsoleError ? error.message : 'The console failed; its log says why',
      });
    }
  }

  const isAsset = (path: string): boolean => assets.has(path);
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    counted.follow(request, response, isAsset);
    void handle(request, response);
  };
  const settings = { maxHeaderSize: limits.headerBytesMax };
  let server: Server;
  let unfollow: (() => void) | undefined;
  if (options.certFile !== undefined && options.keyFile !== undefined) {
    const files = { certFile: options.certFile, keyFile: options.keyFile };
    const secure = https.createServer({ ...settings, ...readServedCertificate(files) }, listener);
    unfollow = followServedCertificate(secure, files, options.watcher);
    server = secure;
  } else server = http.createServer(settings, listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.address, resolve);
  });
  const { port } = server.address() as AddressInfo;
  hosts = acceptedHosts(options.address, port, options.allowedHosts);
  cookieName = `pilothouse-console-${port}`;
  const named = options.address.includes(':') ? `[${options.address}]` : options.address;
  url = `${scheme}://${hosts.includes(`${named}:${port}`) ? `${named}:${port}` : (hosts[0] ?? `${named}:${port}`)}/`;
  const sweep = clock.setInterval(() => sessions.sweep(), limits.sessionSweepMs);
  newLink();
  return {
    url,
    follow(nextCluster, nextLink) {
      cluster = nextCluster;
      if (linkCredentials !== undefined && nextLink !== undefined) linkCredentials = nextLink;
      for (const access of open) access.follow(cluster);
    },
    close: () =>
      new Promise((done) => {
        sweep.cancel();
        unfollow?.();
        sessions.endAll();
        server.closeAllConnections();
        server.close(() => done());
      }),
  };
}
