import assert from 'node:assert/strict';
import type { Stage } from './console.ts';

const path = '/api/v1/namespaces/default/configmaps/settings';

/** YAML of an object: tried, written, in conflict with others. */
export async function editing({ checks, api, tab }: Stage): Promise<void> {
  const { page } = tab;
  const editor = page.getByRole('textbox', { name: 'ConfigMap settings as YAML' });
  const replace = async (from: string | RegExp, to: string): Promise<void> =>
    editor.fill((await editor.inputValue()).replace(from, to));
  const reads = async (pattern: RegExp): Promise<void> => {
    for (let turn = 0; turn < 80 && !pattern.test(await editor.inputValue()); turn++)
      await page.waitForTimeout(100);
    assert.match(await editor.inputValue(), pattern);
  };
  await checks.check('a text that nobody edits follows the server', async () => {
    await tab.go('#/object/_/v1/configmaps/default/settings/yaml');
    await reads(/colour: blue/);
    assert.doesNotMatch(await editor.inputValue(), /managedFields/);
    await api.patch(path, { data: { colour: 'green' } });
    await reads(/colour: green/);
  });
  await checks.check('a dry run shows what would change and writes nothing', async () => {
    await replace('colour: green', 'colour: red');
    await page.getByRole('button', { name: 'Dry run' }).click();
    await page.getByText('Dry run: the server would take this').waitFor();
    const diff = page.getByRole('region', { name: 'What would change' });
    assert.match(await diff.locator('.removed').first().innerText(), /colour: green/);
    assert.match(await diff.locator('.added').first().innerText(), /colour: red/);
    assert.equal((await api.send('GET', path)).data?.['colour'], 'green');
  });
  await checks.check('a text with a mistake says where, and is not sent', async () => {
    await replace('colour: red', 'colour: red: more');
    await page.getByRole('button', { name: 'Save' }).click();
    assert.match(await tab.text('.outcome'), /This cannot be sent\s+Line 3, column \d+/);
    await replace('colour: red: more', 'colour: red');
    await replace('data:', 'dta:');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText(/unknown field "dta"/).waitFor();
    await replace('dta:', 'data:');
  });
  await checks.check('somebody who was faster is shown, with both texts', async () => {
    await api.patch(path, { data: { size: 'large' } });
    const conflict = page.getByRole('region', { name: 'Conflict' });
    await conflict.waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Somebody else has changed this object').waitFor();
    assert.equal((await api.send('GET', path)).data?.['colour'], 'green');
    await conflict.getByText('What others changed').first().click();
    await conflict
      .getByRole('region', { name: 'What others changed' })
      .locator('.added', { hasText: 'size: large' })
      .waitFor();
    await tab.picture('conflict');
    await page.getByRole('button', { name: 'Keep mine, on their version' }).click();
    await replace('colour: red', 'colour: red\n  size: large');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText(/Written as version \d+/).waitFor();
    assert.deepEqual((await api.send('GET', path)).data, { colour: 'red', size: 'large' });
  });
  await checks.check(
    'server-side apply names the managers it is in conflict with, and can be forced',
    async () => {
      await api.send(
        'PATCH',
        `${path}?fieldManager=painter&force=true`,
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { colour: 'white' } },
        'application/apply-patch+yaml',
      );
      await reads(/colour: white/);
      await replace('colour: white', 'colour: black');
      await page.getByRole('button', { name: 'Apply' }).click();
      await page.getByText('Other managers own some of these fields').waitFor();
      assert.match(await tab.text('.outcome'), /\.data\.colour: conflict with "painter"/);
      await page.getByLabel('Force conflicts of apply').check();
      await page.getByRole('button', { name: 'Apply' }).click();
      await page.getByText(/Written as version \d+/).waitFor();
      assert.equal((await api.send('GET', path)).data?.['colour'], 'black');
    },
  );
}
