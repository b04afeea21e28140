import assert from 'node:assert/strict';
import { configMap } from './api.ts';
import type { Stage } from './console.ts';

/** The past of objects: what each revision changed, and of those that are gone. */
export async function history({ checks, api, tab }: Stage): Promise<void> {
  const { page } = tab;
  const revisions = page.getByRole('radio');
  await checks.check('every revision since the creation is there, and who wrote it', async () => {
    await tab.go('#/object/_/v1/configmaps/default/settings/history');
    await revisions.first().waitFor();
    assert.equal(await revisions.count(), 6);
    const text = await tab.text('.revisions');
    assert.match(text, /pilothouse-console \(Apply\)/);
    assert.match(text, /painter \(Apply\)/);
    assert.match(text, /created/);
    assert.match(text, /created with the last one shown/);
  });
  await checks.check('a revision shows what it changed, and what changed since', async () => {
    await revisions.nth(4).check();
    const view = page.locator('.revision-view');
    assert.match(await view.locator('.removed').first().innerText(), /colour: blue/);
    assert.match(await view.locator('.added').first().innerText(), /colour: green/);
    await tab.picture('history');
    await page.getByRole('button', { name: 'What changed since' }).click();
    assert.match(await view.locator('.removed').first().innerText(), /colour: green/);
    assert.match(await view.locator('.added').first().innerText(), /colour: black/);
    await page.getByRole('button', { name: 'Whole text' }).click();
    assert.match(await view.locator('pre').innerText(), /colour: green[\s\S]*kind: ConfigMap/);
  });
  await checks.check('an old text can be brought back', async () => {
    await page.getByRole('button', { name: 'Edit from here' }).click();
    const editor = page.getByRole('textbox', { name: 'ConfigMap settings as YAML' });
    await editor.waitFor();
    assert.match(await editor.inputValue(), /colour: green/);
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText(/Written as version \d+/).waitFor();
    assert.deepEqual((await api.send('GET', '/api/v1/namespaces/default/configmaps/settings')).data, {
      colour: 'green',
    });
  });
  await checks.check('stored protobuf is read: a Deployment by its status', async () => {
    await tab.go('#/object/apps/v1/deployments/default/web/history');
    await page.locator('.revisions').getByText('Update of status').first().waitFor();
    await page.getByRole('button', { name: 'What it changed' }).click();
    assert.match(await tab.text('.revision-view .diff'), /status|replicas|condition/i);
  });
  await checks.check('an object that is gone still has its past', async () => {
    const collection = '/api/v1/namespaces/default/configmaps';
    await api.send('POST', collection, configMap('gone', { word: 'farewell' }));
    await api.send('DELETE', `${collection}/gone`);
    await tab.go('#/object/_/v1/configmaps/default/gone/history');
    await page.getByText('There is no such object now.').waitFor();
    await revisions.first().waitFor({ timeout: 15_000 });
    assert.match(await tab.text('.revisions'), /deleted[\s\S]*created/);
    await revisions.nth(1).check();
    assert.match(await tab.text('.revision-view .diff'), /word: farewell/);
  });
}
