import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Checks } from '../checks.ts';
import { startPlane, type Plane } from '../plane.ts';
import { Api, configMap, deployment } from './api.ts';
import { findChromium, openTab, type Tab } from './browser.ts';
import { editing } from './editing.ts';
import { keyboardOnly } from './keyboard.ts';
import { history } from './history.ts';
import { lists } from './lists.ts';
import { looks } from './looks.ts';

export interface Stage {
  readonly checks: Checks;
  readonly plane: Plane;
  readonly api: Api;
  /** Logged in as the administrator. */
  readonly tab: Tab;
  readonly url: string;
}

/** A whole plane with its console in a real browser: every page, by mouse and by keyboard, in both colours. */
export async function consoleInBrowser(checks: Checks, port: number): Promise<void> {
  const executable = findChromium();
  if (executable === undefined) {
    process.stdout.write('SKIP  console: no Chromium; apt-get install chromium, or name one by CHROMIUM\n');
    return;
  }
  const pictures =
    process.env['PICTURES'] ?? mkdtempSync(path.join(os.tmpdir(), 'pilothouse-console-pictures-'));
  const plane = await startPlane({
    port,
    args: ['--console', '--replicas=1', '--schedulers=1', '--controller-managers=1', '--nodes=2'],
  });
  process.stdout.write(`The plane was ready after ${plane.readySeconds.toFixed(1)} s\n`);
  const api = new Api(plane.kubeconfig);
  const { browser, tab, another } = await openTab(executable, pictures);
  try {
    const drills = path.join(plane.dataDir, 'drills');
    mkdirSync(drills, { recursive: true });
    writeFileSync(
      path.join(drills, 'drill-kill-leader-7.html'),
      '<!doctype html><html lang="en"><title>r</title><style>h1{color:teal}</style><h1>Failover drills</h1><script>document.body.append("ran")</script>',
    );
    await api.send('POST', '/apis/apps/v1/namespaces/default/deployments', deployment('web', 2));
    await api.send(
      'POST',
      '/api/v1/namespaces/default/configmaps',
      configMap('settings', { colour: 'blue' }),
    );
    const url = await logIn(checks, plane, tab);
    const stage: Stage = { checks, plane, api, tab, url };
    const parts: readonly (readonly [string, () => Promise<void>])[] = [
      ['lists', () => lists(stage)],
      ['editing', () => editing(stage)],
      ['history', () => history(stage)],
      ['keyboard', () => keyboardOnly(stage)],
      ['looks', () => looks(stage)],
      ['reports', () => reports(stage)],
      ['rights', async () => asSomebodyElse(stage, await another())],
      ['raft', () => raft(stage)],
    ];
    for (const [name, part] of parts) {
      const started = Date.now();
      await part();
      process.stdout.write(`      ${name}: ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
    }
    await checks.check('no script failed and nothing broke the content security policy', async () => {
      assert.deepEqual(tab.complaints, []);
    });
    process.stdout.write(`Pictures: ${pictures}\n`);
    if (process.env['PICTURES'] === undefined && process.env['KEEP'] === undefined)
      rmSync(pictures, { recursive: true });
  } finally {
    await browser.close();
    api.close();
    await plane.stop();
  }
}

/** The one-time link, and that it is one. */
async function logIn(checks: Checks, plane: Plane, tab: Tab): Promise<string> {
  const linkFile = path.join(plane.dataDir, 'run', 'console-link');
  const link = readFileSync(linkFile, 'utf8').trim();
  const { page } = tab;
  await checks.check('the link logs the administrator in and leaves the address', async () => {
    await page.goto(link);
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    assert.equal(new URL(page.url()).hash, '#/');
    assert.match(await tab.text('.top'), /kubernetes-admin/);
  });
  await checks.check('it does so once; the console has another one then', async () => {
    assert.notEqual(readFileSync(linkFile, 'utf8').trim(), link);
    const code = new URL(link).hash.slice('#link='.length);
    const status = await page.evaluate(
      `fetch('/session', { method: 'POST', headers: { 'x-pilothouse-console': '1' }, body: ${JSON.stringify(JSON.stringify({ link: code }))} }).then((answer) => answer.status)`,
    );
    assert.equal(status, 401);
  });
  await checks.check('loading the page again keeps the session, scripts cannot read the cookie', async () => {
    await page.reload();
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    assert.equal(await page.evaluate('document.cookie'), '');
    assert.deepEqual(await page.evaluate('Object.keys({ ...sessionStorage, ...localStorage })'), [
      'pilothouse-theme',
    ]);
  });
  return link.split('#')[0] as string;
}

async function reports({ checks, tab }: Stage): Promise<void> {
  await checks.check('a drill report is shown, its scripts do not run', async () => {
    await tab.go('#/drills/_');
    const frame = tab.page.frameLocator('iframe');
    assert.equal(await frame.locator('h1').innerText(), 'Failover drills');
    assert.doesNotMatch(await frame.locator('body').innerText(), /ran/);
    // The browser tells that it stopped them.
    tab.complaints.splice(
      0,
      tab.complaints.length,
      ...tab.complaints.filter((each) => !/sandboxed/.test(each)),
    );
    await tab.picture('drills');
  });
}

/** A user who may look at most things, not at secrets and not at the store. */
async function asSomebodyElse({ checks, api, url }: Stage, tab: Tab): Promise<void> {
  const { page } = tab;
  const namespace = '/api/v1/namespaces/default';
  await api.send('POST', `${namespace}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'viewer' },
  });
  await api.send('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'viewer' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ kind: 'ServiceAccount', name: 'viewer', namespace: 'default' }],
  });
  await api.send('POST', `${namespace}/secrets`, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'hidden' },
    stringData: { word: 'abracadabra' },
  });
  const issued = await api.send('POST', `${namespace}/serviceaccounts/viewer/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  });
  const token = String(issued.status?.['token']);
  await checks.check('a wrong token is refused with the reason', async () => {
    await page.goto(url);
    await page.getByLabel('Bearer token').fill(`${token}x`);
    await page.getByRole('button', { name: 'Log in' }).click();
    assert.match(await tab.text('[role=alert]'), /does not accept these credentials/);
    assert.deepEqual(await tab.inaccessible(), []);
    await tab.picture('login');
  });
  await checks.check('a token logs its owner in', async () => {
    await page.getByLabel('Bearer token').fill(token);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    assert.match(await tab.text('.top'), /system:serviceaccount:default:viewer/);
  });
  await checks.check('who may not read metrics does not see the store', async () => {
    await page.getByText('This needs the right to get /metrics').waitFor();
  });
  await checks.check('who may not list secrets is told so', async () => {
    await tab.go('#/list/_/v1/secrets/default');
    await page
      .getByText(/secrets is forbidden/)
      .first()
      .waitFor();
  });
  await checks.check(
    'the past of what one may not see is not shown either, that of the rest is',
    async () => {
      const status = (query: string) =>
        page.evaluate(
          `fetch('/store/history?${query}', { headers: { 'x-pilothouse-console': '1' } }).then((answer) => answer.status)`,
        );
      assert.equal(await status('group=&resource=secrets&namespace=default&name=hidden'), 403);
      assert.equal(await status('group=secrets&resource=default&namespace=&name=hidden'), 400);
      assert.equal(await status('group=&resource=configmaps&namespace=default&name=settings'), 200);
    },
  );
  await checks.check('after logging out the session is over', async () => {
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('Bearer token').waitFor();
    await page.reload();
    await page.getByLabel('Bearer token').waitFor();
  });
}

/** The store's own view, and that it follows an election. */
async function raft({ checks, plane, tab }: Stage): Promise<void> {
  const { page } = tab;
  const leader = () => page.locator('.facts dd').first().innerText();
  await tab.go('#/');
  await checks.check(
    'three members, one of them leads, none lags',
    async () => {
      assert.equal(await page.locator('tbody tr').count(), 3);
      assert.equal(await page.locator('.badge.lead').count(), 1);
      assert.equal(await tab.text('.card .badge'), 'Has a majority');
      const { store } = await plane.status();
      assert.equal(await leader(), store.leader);
    },
    10_000,
  );
  await tab.picture('health');
  const { processes, store } = await plane.status();
  const killed = processes.find((each) => each.name === store.leader);
  assert.ok(killed);
  process.kill(killed.pid, 'SIGKILL');
  await checks.check(
    'when the leader is killed another one is shown, in a later term',
    async () => {
      assert.notEqual(await leader(), store.leader);
      assert.notEqual(await leader(), 'none');
      const term = Number((await page.locator('.facts dd').nth(1).innerText()).replaceAll(',', ''));
      assert.ok(term > store.term, `${term} > ${store.term}`);
    },
    90_000,
  );
  await checks.check('the log of the console holds no codes and no tokens', async () => {
    const log = readFileSync(path.join(plane.dataDir, 'logs', 'console.log'), 'utf8');
    assert.match(log, /Logged in/);
    assert.doesNotMatch(log, /link=|Bearer|eyJ/);
  });
}
