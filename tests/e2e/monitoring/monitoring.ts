import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { writeLocalMonitoring } from '../../../deploy/monitoring/local.ts';
import type { Checks } from '../checks.ts';
import { expectResult, run } from '../checks.ts';
import { startPlane } from '../plane.ts';
import { repository } from '../tools.ts';
import { ApiTraffic } from './api-traffic.ts';
import { dashboardProblems, readDashboards } from './dashboards.ts';
import { stockQueries } from './stock-queries.ts';

const folder = path.join(repository, 'deploy', 'monitoring');
/** Long enough for rates over a few scrapes, and for the rules' longest interval. */
const trafficMs = 40_000;
const scrapeSeconds = 2;
/** Distance of Prometheus' port from the plane's. */
const portOffset = 90;

/** Of the console, likewise. */
const consoleOffset = 71;

/** The page and the question who is logged in, as a browser asks them. */
async function consoleTraffic(base: string, untilMs: number): Promise<void> {
  while (Date.now() < untilMs) {
    for (const path of ['/', '/session'])
      await fetch(`${base}${path}`, { headers: { 'x-pilothouse-console': '1' } }).then((answer) =>
        answer.text(),
      );
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** promtool on the configuration, then a real Prometheus on a running plane: every panel and every stock query has data, every rule evaluates. */
export async function monitoring(checks: Checks, port: number): Promise<void> {
  if ((await run('promtool', ['--version'])).code !== 0) {
    throw new Error(
      'This needs prometheus and promtool: apt-get install prometheus, or unpack a release into the PATH',
    );
  }
  await checks.check('promtool finds nothing in the rules', async () => {
    const files = readdirSync(path.join(folder, 'rules')).map((file) => path.join(folder, 'rules', file));
    expectResult('promtool check rules', await run('promtool', ['check', 'rules', ...files]), {
      matches: [/SUCCESS/],
    });
  });
  await checks.check('the rules fire when they should and not before', async () => {
    const file = path.join(folder, 'rules-test.yaml');
    expectResult('promtool test rules', await run('promtool', ['test', 'rules', file]), {
      matches: [/SUCCESS/],
    });
  });

  await checks.check('dashboards have everything in place', () => {
    const problems = dashboardProblems(readDashboards(path.join(folder, 'dashboards')));
    if (problems.length > 0) throw new Error(problems.join('\n'));
    return Promise.resolve();
  });

  const plane = await startPlane({ port, args: ['--console'] });
  const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-monitoring-'));
  const { configFile, targets } = writeLocalMonitoring(plane.dataDir, directory, { scrapeSeconds });
  await checks.check('promtool takes the configuration with its files', async () => {
    expectResult('promtool check config', await run('promtool', ['check', 'config', configFile]), {
      matches: [/SUCCESS/],
    });
  });
  const address = `127.0.0.1:${port + portOffset}`;
  const prometheus = spawn(
    'prometheus',
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=${address}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const traffic = new ApiTraffic(plane.server, plane.dataDir);
  try {
    const [requests] = await Promise.all([
      traffic.run(Date.now() + trafficMs),
      consoleTraffic(`http://127.0.0.1:${port + consoleOffset}`, Date.now() + trafficMs),
    ]);
    process.stdout.write(`      ${requests} requests in ${trafficMs / 1000} s\n`);
    await queryAll(checks, `http://${address}`, [...targets.values()].flat().length);
  } finally {
    traffic.close();
    prometheus.kill();
    await new Promise((resolve) => prometheus.once('exit', resolve));
    await plane.stop();
    if (process.env['KEEP'] === undefined) rmSync(directory, { recursive: true, force: true });
  }
}

async function queryAll(checks: Checks, base: string, targetCount: number): Promise<void> {
  const ask = async (query: string): Promise<{ data: Record<string, unknown> }> => {
    const response = await fetch(`${base}/api/v1/${query}`, { signal: AbortSignal.timeout(20_000) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${query}: ${response.status} ${text}`);
    return JSON.parse(text) as { data: Record<string, unknown> };
  };
  const expectData = async (expression: string): Promise<void> => {
    const { data } = await ask(`query?query=${encodeURIComponent(expression)}`);
    const result = data['result'] as { value: [number, string] }[];
    if (!result.some(({ value }) => Number.isFinite(Number(value[1]))))
      throw new Error(`No data (${result.length} series): ${expression}`);
  };

  await checks.check(`all ${targetCount} targets are up`, async () => {
    const { data } = await ask('targets?state=active');
    const active = data['activeTargets'] as { health: string; scrapeUrl: string; lastError: string }[];
    const down = active.filter(({ health }) => health !== 'up');
    if (active.length !== targetCount || down.length > 0)
      throw new Error(
        `${active.length} targets, ${down.map(({ scrapeUrl, lastError }) => `${scrapeUrl}: ${lastError}`).join('\n')}`,
      );
  });
  await checks.check(
    'every rule evaluates',
    async () => {
      const { data } = await ask('rules');
      const groups = data['groups'] as { rules: { name: string; health: string; lastError?: string }[] }[];
      const rules = groups.flatMap((group) => group.rules);
      const bad = rules.filter(({ health }) => health !== 'ok');
      if (rules.length === 0 || bad.length > 0)
        throw new Error(
          bad.map(({ name, health, lastError }) => `${name}: ${health} ${lastError ?? ''}`).join('\n'),
        );
    },
    35_000,
  );
  await checks.check('a plane that is well raises no critical alert', async () => {
    const { data } = await ask('alerts');
    const alerts = data['alerts'] as { labels: Record<string, string>; state: string }[];
    const critical = alerts.filter(
      ({ labels, state }) => state === 'firing' && labels['severity'] === 'critical',
    );
    if (critical.length > 0) throw new Error(JSON.stringify(critical, null, 2));
  });
  for (const dashboard of readDashboards(path.join(folder, 'dashboards')))
    for (const { title, targets = [] } of dashboard.panels)
      for (const { expr } of targets)
        await checks.check(`${dashboard.title}: ${title}`, () =>
          expectData(expr.replaceAll('$__rate_interval', '30s').replaceAll('$instance', '.*')),
        );
  for (const query of stockQueries) await checks.check(query, () => expectData(query));
}
