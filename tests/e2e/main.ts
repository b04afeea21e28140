import { auth } from './auth/auth.ts';
import { rbacCost } from './auth/rbac-cost.ts';
import { badStart } from './bad-start.ts';
import { Checks } from './checks.ts';
import { clientSuite, clientSuitesHelp } from './clients/index.ts';
import { findProgram } from './clients/suite.ts';
import { consoleInBrowser } from './console/console.ts';
import { connect } from './connect/connect.ts';
import { backups } from './deploy/backups.ts';
import { composePlane } from './deploy/compose.ts';
import { helmChart } from './deploy/helm-chart.ts';
import { killDrill } from './drill/kill.ts';
import { drillSmoke } from './drill/smoke.ts';
import { etcdClients } from './etcd/clients.ts';
import { etcdctlBattery } from './etcd/etcdctl.ts';
import { gatewayBattery } from './etcd/gateway.ts';
import { idleWatchers } from './etcd/watchers.ts';
import { swaps } from './etcd/swaps.ts';
import { golden } from './golden.ts';
import { monitoring } from './monitoring/monitoring.ts';
import { traces } from './monitoring/traces.ts';
import { neighbours } from './neighbours.ts';
import { startPlane } from './plane.ts';
import { security } from './security/security.ts';
import { prepareTools } from './tools.ts';
import { tour } from './tour/tour.ts';

const usage = `npm run e2e -- tour [--kubeconfig FILE]   every command of the README with real clients
npm run e2e -- kill                       kills each process in turn under load and counts what was lost
npm run e2e -- drills [NAME…]              pilothouse drill on a small plane (default: kill-leader, kill-apiserver)
npm run e2e -- golden [--areas a,b] [-v]   recorded answers of a stock API server (needs ../shared)
npm run e2e -- etcdctl [AREA…]            etcdctl command by command, a real etcd beside our store; writes docs/etcdctl.md
npm run e2e -- gateway                    the JSON gateway request by request, a real etcd beside our store; writes docs/gateway.md
npm run e2e -- etcd-clients               the Python, npm and Go clients of etcd on a real etcd and on our store
npm run e2e -- swaps [etcd|stock]         our plane on a real etcd; a stock Kubernetes control plane on our store
npm run e2e -- watchers [N]               N (100,000) idle watchers on a real etcd and on our store: their memory
npm run e2e -- connect [--quick]          logs, exec, attach, cp, port-forward and proxy through every API server
npm run e2e -- console                    the web console of a plane in a real Chromium: every page, keyboard, both colours
npm run e2e -- security [PART]             encryption, plugins (beside a stock server), bootstrap, kubelet, rotation, attacks, rights, breaker, signer, kubectl-rights
npm run e2e -- monitoring                 a real Prometheus on a plane: rules, every panel, what stock dashboards read
npm run e2e -- traces                     a collector of spans: one write from the API server to Raft
npm run e2e -- auth [cost]                a real OpenID provider, webhooks, kubectl about rights, attackers
npm run e2e -- compose [--twice]           images, the compose plane, the tour through HAProxy, a drill (needs Docker)
npm run e2e -- backups                    scheduled backups to a directory and to an S3 server, and back (S3 needs moto[server])
npm run e2e -- helm-chart                  our chart on our plane: install, test, upgrade, refusals, rollback
npm run e2e -- neighbours                 one user floods the server with lists, another keeps its latency
npm run e2e -- bad-start                  starts that cannot work, damaged data, requests that make no sense
${clientSuitesHelp}
KUBECTL and PYTHON name the programs to use; KEEP=1 leaves the plane's data behind.
`;

const [command, ...rest] = process.argv.slice(2);
const port = Number(process.env['E2E_PORT'] ?? 16443);

switch (command) {
  case 'tour': {
    const checks = new Checks();
    const tools = await prepareTools();
    const given = rest[0] === '--kubeconfig' ? rest[1] : undefined;
    const plane = given === undefined ? await startPlane({ port }) : undefined;
    if (plane) process.stdout.write(`The plane was ready after ${plane.readySeconds.toFixed(1)} s\n`);
    try {
      await tour(checks, tools, given ?? plane?.kubeconfig ?? '', plane);
    } finally {
      await plane?.stop();
    }
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'kill':
    process.exit((await killDrill(port)) ? 0 : 1);
    break;
  case 'drills': {
    const checks = new Checks();
    await drillSmoke(checks, port, rest.length > 0 ? rest : ['kill-leader', 'kill-apiserver']);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'golden': {
    const areas = rest[0] === '--areas' ? (rest[1] ?? '').split(',') : [];
    process.exit((await golden(port, areas, rest.includes('-v'))) ? 0 : 1);
    break;
  }
  case 'etcdctl':
    process.exit((await etcdctlBattery(port, rest)) ? 0 : 1);
    break;
  case 'gateway':
    process.exit((await gatewayBattery(port)) ? 0 : 1);
    break;
  case 'etcd-clients': {
    const checks = new Checks();
    await etcdClients(checks, port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'swaps': {
    const checks = new Checks();
    await swaps(checks, port, rest[0]);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'watchers': {
    const checks = new Checks();
    await idleWatchers(checks, port, Number(rest[0] ?? 100_000));
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'security': {
    const checks = new Checks();
    await security(checks, port, rest[0]);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'connect': {
    const checks = new Checks();
    await connect(checks, await prepareTools(), port, rest.includes('--quick'));
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'console': {
    const checks = new Checks();
    await consoleInBrowser(checks, port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'monitoring': {
    const checks = new Checks();
    await monitoring(checks, port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'traces': {
    const checks = new Checks();
    await traces(checks, port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'auth': {
    if (rest[0] === 'cost') process.exit((await rbacCost(port)) ? 0 : 1);
    const checks = new Checks();
    await auth(checks, findProgram('kubectl'), port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'neighbours': {
    const checks = new Checks();
    await neighbours(checks, port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'bad-start': {
    const checks = new Checks();
    await badStart(checks, port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'compose': {
    const checks = new Checks();
    await composePlane(checks, await prepareTools(), port, { twice: rest.includes('--twice') });
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'backups': {
    const checks = new Checks();
    await backups(checks, port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  case 'helm-chart': {
    const checks = new Checks();
    await helmChart(checks, port);
    process.exit(checks.finish() ? 0 : 1);
    break;
  }
  default: {
    const suite = clientSuite(command ?? '', {
      port,
      ...(rest[0] === '--kubeconfig' && rest[1] !== undefined ? { kubeconfig: rest[1] } : {}),
    });
    if (suite) process.exit(await suite);
    process.stdout.write(usage);
    process.exit(command === undefined || command === 'help' ? 0 : 2);
  }
}
