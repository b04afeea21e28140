import { etcdserverpb } from '@pilothouse/proto';
import { errorMessage } from '@pilothouse/base';
import type { StoreMetrics } from '../metrics.ts';
import { versions, type StoreService } from './store-service.ts';

export interface HttpReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const reply = (status: number, body: string, contentType = 'text/plain; charset=utf-8'): HttpReply => ({
  status,
  contentType,
  body,
});
const json = (status: number, value: unknown): HttpReply =>
  reply(status, JSON.stringify(value), 'application/json');

interface Check {
  readonly name: string;
  /** Resolves with why it failed, or undefined. */
  run(): Promise<string | undefined>;
}

/** /health, /livez, /readyz, /version and /metrics; undefined for any other path. `service` is undefined until consensus runs. */
export async function routeHttp(
  method: string,
  target: string,
  service: StoreService | undefined,
  metrics: StoreMetrics,
): Promise<HttpReply | undefined> {
  const { pathname, searchParams } = new URL(target, 'http://localhost');
  const isGet = method === 'GET' || method === 'HEAD';
  if (pathname === '/metrics') return reply(200, await metrics.scrape(), metrics.registry.contentType);
  if (pathname === '/version') {
    return isGet
      ? json(200, {
          etcdserver: versions.server,
          etcdcluster: service?.machine.clusterVersion ?? 'not_decided',
          storage: service?.machine.clusterVersion === undefined ? 'unknown' : versions.storage,
        })
      : reply(405, 'Method Not Allowed\n');
  }
  if (pathname === '/health') {
    if (!isGet) return { ...reply(405, 'Method Not Allowed\n'), headers: { allow: 'GET' } };
    const reason = await healthReason(
      service,
      new Set(searchParams.getAll('exclude')),
      searchParams.get('serializable') === 'true',
    );
    (reason === '' ? metrics.healthSuccess : metrics.healthFailure).inc();
    return json(reason === '' ? 200 : 503, { health: reason === '' ? 'true' : 'false', reason });
  }
  const probe = /^\/(livez|readyz)(?:\/([a-z_]+))?$/.exec(pathname);
  if (probe === null) return undefined;
  if (!isGet) return { ...reply(405, 'Method Not Allowed\n'), headers: { allow: 'GET' } };
  const all = checks(service, probe[1] as string);
  const chosen =
    probe[2] === undefined
      ? all.filter(({ name }) => !searchParams.getAll('exclude').includes(name))
      : all.filter(({ name }) => name === probe[2]);
  if (probe[2] !== undefined && chosen.length === 0) return reply(404, '404 page not found\n');
  const lines: string[] = [];
  let failed = false;
  for (const check of chosen) {
    const why = await check.run();
    failed ||= why !== undefined;
    metrics.checked(probe[1] as string, check.name, why === undefined);
    lines.push(why === undefined ? `[+]${check.name} ok` : `[-]${check.name} failed: ${why}`);
  }
  if (failed) return reply(503, `${lines.join('\n')}\n${probe[1] as string} check failed\n`);
  return reply(200, searchParams.has('verbose') ? `${lines.join('\n')}\nok\n` : 'ok\n');
}

async function healthReason(
  service: StoreService | undefined,
  excluded: ReadonlySet<string>,
  serializable: boolean,
): Promise<string> {
  if (service === undefined) return 'RAFT NO LEADER';
  const { NOSPACE, CORRUPT } = etcdserverpb.AlarmType;
  const { machine } = service;
  if (machine.hasAlarm(NOSPACE) && !excluded.has('NOSPACE')) return 'ALARM NOSPACE';
  if (machine.hasAlarm(CORRUPT) && !excluded.has('CORRUPT')) return 'ALARM CORRUPT';
  if (serializable) return '';
  if (!service.hasLeader) return 'RAFT NO LEADER';
  try {
    await service.readBarrier();
    return '';
  } catch (error) {
    return `RANGE ERROR:${errorMessage(error)}`;
  }
}

function checks(service: StoreService | undefined, probe: string): Check[] {
  const serializable: Check = {
    name: 'serializable_read',
    run: () => Promise.resolve(service === undefined ? 'etcdserver: server is not started' : undefined),
  };
  if (probe === 'livez') return [serializable];
  return [
    {
      name: 'data_corruption',
      run: () =>
        Promise.resolve(
          service?.machine.hasAlarm(etcdserverpb.AlarmType.CORRUPT) ? 'alarm activated: CORRUPT' : undefined,
        ),
    },
    serializable,
    {
      name: 'linearizable_read',
      run: async () => {
        if (service === undefined) return 'etcdserver: no leader';
        if (service.replication.status().role === 'learner')
          return 'etcdserver: rpc not supported for learner';
        try {
          await service.readBarrier();
          return undefined;
        } catch (error) {
          return errorMessage(error);
        }
      },
    },
    {
      name: 'non_learner',
      run: () =>
        Promise.resolve(
          service?.replication.status().role === 'learner' ? 'not supported for learner' : undefined,
        ),
    },
  ];
}
