import { StatusError } from '@pilothouse/apimachinery';
import type { ServerMetrics } from '../metrics/server-metrics.ts';
import type { Exchange } from '../request/exchange.ts';
import type { EmulatedRelease } from '../emulated-release.ts';
import { buildVersion, versionInfo } from '../version.ts';
import type { ObjectCodec } from './codec.ts';
import { methodNotAllowed } from './dispatch.ts';
import { parseAccept } from '@pilothouse/serializer';
import type { PathTable } from './path-table.ts';
import { respondObject, respondText } from './respond.ts';

/** `/`, `/version`, `/metrics` and pages about the process. */
export function registerServerPaths(
  paths: PathTable,
  options: {
    readonly codec: ObjectCodec;
    readonly metrics: ServerMetrics;
    readonly release?: EmulatedRelease | undefined;
    /** Groups and versions that are served now. */
    apiPaths(): readonly string[];
  },
): void {
  const { codec, metrics } = options;
  const json = (exchange: Exchange, object: object): Promise<void> =>
    respondObject(exchange, codec, 200, object, { mediaType: 'application/json', pretty: true });
  const index = (exchange: Exchange): Promise<void> =>
    json(exchange, { paths: [...paths.paths(), ...options.apiPaths()].sort() });
  paths.handle('/', index, false);
  paths.handle('/index.html', index, false);
  const version = (exchange: Exchange): Promise<void> => {
    if (exchange.method !== 'GET') throw methodNotAllowed();
    return json(exchange, versionInfo(options.release));
  };
  paths.handle('/version', version);
  paths.handle('/version/', version);
  paths.handle('/metrics', async (exchange) => {
    respondText(exchange, 200, await metrics.text(), metrics.registry.contentType);
  });
  const page =
    (title: string, lines: () => string[]) =>
    (exchange: Exchange): void => {
      requireText(exchange);
      respondText(
        exchange,
        200,
        `\n${title}\nWarning: This endpoint is not meant to be machine parseable.\n\n${lines().join('\n')}\n`,
      );
    };
  paths.handle(
    '/statusz',
    page('kube-apiserver statusz', () => [
      `Up: ${Math.floor(process.uptime())}s`,
      `Node version: ${process.version}`,
      `Binary version: ${buildVersion.info.gitVersion}`,
      `Resident memory: ${process.memoryUsage.rss()} bytes`,
    ]),
  );
  paths.handle(
    '/flagz',
    page('kube-apiserver flagz', () => process.argv.slice(2).filter((argument) => argument.startsWith('--'))),
  );
  const profiles = (exchange: Exchange): void =>
    respondText(
      exchange,
      200,
      'Profiles are taken with the Node inspector: start the process with --inspect.\n',
    );
  paths.handle('/debug/pprof', profiles, false);
  paths.handle('/debug/pprof/', profiles);
}

/** These pages are text only. Throws 406. */
function requireText(exchange: Exchange): void {
  const accept = exchange.header('accept');
  const isText = parseAccept(accept).some(
    ({ type, subtype }) => (type === '*' || type === 'text') && (subtype === '*' || subtype === 'plain'),
  );
  if (accept !== '' && !isText) {
    throw new StatusError(406, 'NotAcceptable', 'only the following media types are accepted: text/plain');
  }
}
