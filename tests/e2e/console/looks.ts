import assert from 'node:assert/strict';
import type { Stage } from './console.ts';

const places: readonly (readonly [name: string, route: string, ready: string])[] = [
  ['health', '#/', '.badge.lead'],
  ['pods', '#/list/_/v1/pods/_', '.grid-row'],
  ['yaml', '#/object/_/v1/configmaps/default/settings/yaml', 'textarea'],
  ['history', '#/object/_/v1/configmaps/default/settings/history', '.diff-line'],
  ['object-events', '#/object/apps/v1/deployments/default/web/events', '.grid-row'],
  ['events', '#/events/_', '.grid-row'],
  ['drills', '#/drills/_', 'iframe'],
];

/** Light and dark, as the system has it and as chosen; each page with nothing that axe objects to. */
export async function looks({ checks, tab }: Stage): Promise<void> {
  const { page } = tab;
  const back = (): Promise<string> =>
    page.evaluate('getComputedStyle(document.body).backgroundColor') as Promise<string>;
  await checks.check('colours follow the system until one is chosen, and stay chosen', async () => {
    await tab.go('#/');
    assert.equal(await back(), 'rgb(255, 255, 255)');
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.equal(await back(), 'rgb(21, 24, 28)');
    await page.getByLabel('Colours').selectOption('light');
    assert.equal(await back(), 'rgb(255, 255, 255)');
    await page.getByLabel('Colours').selectOption('dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.reload();
    assert.equal(await back(), 'rgb(21, 24, 28)');
  });
  for (const theme of ['dark', 'light'] as const) {
    await page.getByLabel('Colours').selectOption(theme);
    for (const [name, route, ready] of places) {
      // What is not about colours is the same in both.
      await checks.check(`axe: ${name}, ${theme}`, async () => {
        await tab.go(route);
        await page.locator(ready).first().waitFor();
        await tab.picture(`${name}-${theme}`);
        assert.deepEqual(await tab.inaccessible(theme === 'light' ? ['wcag2aa'] : undefined), []);
      });
    }
  }
  await checks.check('a narrow window has no sideways scrolling', async () => {
    await page.setViewportSize({ width: 640, height: 800 });
    for (const route of ['#/', '#/list/_/v1/pods/_', '#/object/_/v1/configmaps/default/settings/history']) {
      await tab.go(route);
      await page.waitForTimeout(300);
      assert.equal(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true, route);
    }
    await tab.picture('narrow');
    await page.setViewportSize({ width: 1280, height: 800 });
  });
}
