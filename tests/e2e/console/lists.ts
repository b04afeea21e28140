import assert from 'node:assert/strict';
import type { Stage } from './console.ts';

const rowsMany = 5_000;

/** Tables of the server: live, filtered, sorted, and long ones. */
export async function lists({ checks, api, tab }: Stage): Promise<void> {
  const { page } = tab;
  const count = async (): Promise<number> =>
    Number(await page.getByRole('grid').getAttribute('aria-rowcount')) - 1;
  await checks.check(
    'pods of a Deployment are listed as kubectl does',
    async () => {
      await tab.go('#/list/_/v1/pods/default');
      assert.equal(await tab.text('h1'), 'Pod');
      assert.equal(await count(), 2);
      const head = await page.getByRole('columnheader').allInnerTexts();
      assert.deepEqual(head, ['Name', 'Ready', 'Status', 'Restarts', 'Age']);
      assert.match(await tab.text('[role=row][aria-rowindex="2"]'), /1\/1\s+Running\s+0/);
    },
    90_000,
  );
  await checks.check('pods come while the Deployment grows, and go when it shrinks', async () => {
    const scale = (replicas: number) =>
      api.patch('/apis/apps/v1/namespaces/default/deployments/web', { spec: { replicas } });
    const reach = async (wanted: number): Promise<void> => {
      for (let turn = 0; turn < 900 && (await count()) !== wanted; turn++) await page.waitForTimeout(100);
      assert.equal(await count(), wanted);
    };
    await page.locator('.live.live').waitFor();
    await scale(6);
    await reach(6);
    await page.locator('.grid-row', { hasText: 'Running' }).nth(5).waitFor({ timeout: 90_000 });
    await tab.picture('pods');
    await scale(3);
    await reach(3);
  });
  await checks.check('the filter narrows, headers sort', async () => {
    await tab.go('#/list/rbac.authorization.k8s.io/v1/clusterroles/_');
    await page.getByRole('row', { name: /cluster-admin/ }).waitFor();
    const all = await count();
    await page.getByLabel('Filter').fill('system: controller');
    await page.waitForTimeout(100);
    const some = await count();
    assert.ok(some > 5 && some < all, `${some} of ${all}`);
    const first = (): Promise<string> => tab.text('[role=row][aria-rowindex="2"] [role=gridcell]');
    const before = await first();
    await page.getByRole('button', { name: /^Name/ }).click();
    await page.getByRole('button', { name: /^Name/ }).click();
    assert.equal(await page.getByRole('columnheader').first().getAttribute('aria-sort'), 'descending');
    assert.notEqual(await first(), before);
  });
  await checks.check(`${rowsMany} rows: all there, few of them drawn, quick to scroll`, async () => {
    const row = (index: number): unknown => ({
      cells: [`item-${String(index).padStart(5, '0')}`, index % 7, '1s'],
      object: { metadata: { name: `item-${String(index).padStart(5, '0')}`, namespace: 'default' } },
    });
    await page.route('**/k8s/api/v1/namespaces/many/configmaps?**', async (route) => {
      const query = new URL(route.request().url()).searchParams;
      if (query.get('watch') !== null) return route.fulfill({ status: 200, body: '' });
      const from = Number(query.get('continue') ?? 0);
      const size = Number(query.get('limit'));
      return route.fulfill({
        json: {
          kind: 'Table',
          metadata: {
            resourceVersion: '1',
            ...(from + size < rowsMany ? { continue: String(from + size) } : {}),
          },
          columnDefinitions: ['Name', 'Data', 'Age'].map((name) => ({ name, type: 'string', priority: 0 })),
          rows: Array.from({ length: size }, (_, index) => row(from + index)),
        },
      });
    });
    await tab.go('#/list/_/v1/configmaps/many');
    for (let turn = 0; turn < 100 && (await count()) !== rowsMany; turn++) await page.waitForTimeout(100);
    assert.equal(await count(), rowsMany);
    assert.ok((await page.locator('.grid-row').count()) < 80);
    const started = Date.now();
    await page.locator('.grid-body').focus();
    await page.keyboard.press('End');
    await page.getByRole('row', { name: /item-04999/ }).waitFor();
    await page.getByLabel('Filter').fill('4321');
    await page.getByRole('row', { name: /item-04321/ }).waitFor();
    process.stdout.write(`      to the end and to one of them: ${Date.now() - started} ms\n`);
    await page.unroute('**/k8s/api/v1/namespaces/many/configmaps?**');
  });
}
