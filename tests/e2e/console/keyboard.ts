import assert from 'node:assert/strict';
import type { Stage } from './console.ts';

/** A walk without a mouse: in, to a kind, to an object, to its tabs, to a question and back. */
export async function keyboardOnly({ checks, tab, url }: Stage): Promise<void> {
  const { page } = tab;
  const press = (key: string): Promise<void> => page.keyboard.press(key);
  /** Presses Tab until something has the focus; fails when it comes round without. */
  const tabTo = async (pattern: RegExp): Promise<void> => {
    const passed: string[] = [];
    for (let turn = 0; turn < 80; turn++) {
      await press('Tab');
      const now = await tab.focused();
      if (pattern.test(now)) return;
      passed.push(now);
    }
    throw new Error(`No ${pattern} among ${passed.join(', ')}`);
  };
  /** A page moves the focus once it is drawn: a moment after what it shows is there. */
  const focusIs = async (wanted: RegExp | string): Promise<void> => {
    let now = '';
    for (let turn = 0; turn < 40; turn++) {
      now = await tab.focused();
      if (typeof wanted === 'string' ? now === wanted : wanted.test(now)) return;
      await page.waitForTimeout(50);
    }
    assert.fail(`The focus is on "${now}", not on ${wanted}`);
  };
  await checks.check('the first stop skips to the content', async () => {
    await page.goto(`${url}#/`);
    await page.reload();
    await page.getByRole('heading', { name: 'Health' }).waitFor();
    await press('Tab');
    await focusIs(/^a Skip to the content/);
    await press('Enter');
    await focusIs(/^main/);
  });
  await checks.check('a link leads to a kind, whose title is read first', async () => {
    await page.reload();
    await page.getByRole('link', { name: 'Pod', exact: true }).waitFor();
    await tabTo(/^a Pod$/);
    await press('Enter');
    await page.getByRole('grid', { name: 'Pod objects' }).waitFor();
    await focusIs(/^h1 Pod/);
  });
  await checks.check('slash leads to the filter; arrows move in the table, Enter opens', async () => {
    await page.locator('.grid-row').first().waitFor();
    await press('/');
    await focusIs(/^input Filter/);
    await page.keyboard.type('web');
    await tabTo(/^rowgroup Pod objects, rows/);
    await press('ArrowDown');
    await press('ArrowDown');
    await press('ArrowUp');
    const active = (await page.evaluate(
      `document.getElementById(document.activeElement.getAttribute('aria-activedescendant')).innerText`,
    )) as string;
    const name = active.split('\n')[0] as string;
    assert.equal(await page.locator('[aria-selected=true][role=row]').count(), 1);
    await press('Enter');
    await page.getByRole('heading', { name }).waitFor();
    await page.getByRole('tab').first().waitFor();
    await focusIs(`h1 ${name}`);
  });
  await checks.check('arrows change tabs, the focus goes with them', async () => {
    await tabTo(/^tab YAML/);
    await press('ArrowRight');
    await focusIs(/^tab History/);
    assert.equal(await page.getByRole('tab', { name: 'History' }).getAttribute('aria-selected'), 'true');
    await press('ArrowRight');
    await press('ArrowRight');
    await focusIs(/^tab Log/);
    await page.getByLabel('Container').waitFor();
    await press('ArrowRight');
    await focusIs(/^tab YAML/);
  });
  await checks.check('the text takes the focus and gives it back with Tab', async () => {
    await tabTo(/^textarea Pod .* as YAML/);
    await press('Tab');
    assert.doesNotMatch(await tab.focused(), /^textarea/);
  });
  await checks.check('a question keeps the focus; Escape takes it back to where it was', async () => {
    await page.reload();
    await page.getByRole('button', { name: 'Delete …' }).waitFor();
    await tabTo(/^button Delete …/);
    await press('Enter');
    await page.getByRole('dialog').waitFor();
    for (const _ of [1, 2, 3, 4]) {
      await press('Tab');
      assert.doesNotMatch(await tab.focused(), /^(a|tab|textarea|input) /);
    }
    await press('Escape');
    assert.equal(await page.getByRole('dialog').count(), 0);
    await focusIs(/^button Delete …/);
  });
}
