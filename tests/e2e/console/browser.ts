import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';

/** Debian's Chromium, or the one that `CHROMIUM` names; undefined when there is none. */
export function findChromium(): string | undefined {
  const candidates = [
    process.env['CHROMIUM'],
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome',
  ];
  return candidates.find((each) => each !== undefined && existsSync(each));
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly help: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
  readonly passes: number;
}

/** A page of a browser, what it complained about, and where its pictures go. */
export class Tab {
  readonly page: Page;
  /** Errors of scripts and of the content security policy; answers that are no success are not among them. */
  readonly complaints: string[] = [];
  readonly #pictures: string;

  constructor(page: Page, pictures: string) {
    this.page = page;
    this.#pictures = pictures;
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        this.complaints.push(message.text());
    });
  }

  async picture(name: string): Promise<void> {
    await this.page.screenshot({ path: path.join(this.#pictures, `${name}.png`) });
  }

  /** Follows a link of the console without loading the page anew. */
  async go(route: string): Promise<void> {
    await this.page.evaluate(`location.hash = ${JSON.stringify(route)}`);
  }

  text(selector: string): Promise<string> {
    return this.page.locator(selector).first().innerText({ timeout: 3_000 });
  }

  /** What has the focus: its role or element, and its text or label. */
  focused(): Promise<string> {
    return this.page.evaluate(`(() => {
      const at = document.activeElement;
      const name = at.getAttribute('aria-label') ?? at.labels?.[0]?.innerText ?? at.innerText ?? '';
      return (at.getAttribute('role') ?? at.tagName.toLowerCase()) + ' ' + name.trim().split('\\n')[0];
    })()`) as Promise<string>;
  }

  /** Rules of WCAG 2.1 A and AA that the page breaks, each with the first place. */
  async inaccessible(
    tags: readonly string[] = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'],
  ): Promise<string[]> {
    const { page } = this;
    if (!(await page.evaluate('typeof axe === "object"'))) await page.evaluate(`${axeSource};0`);
    const result = (await page.evaluate(
      `axe.run(document, { runOnly: ${JSON.stringify(tags)} })
         .then(({ violations, passes }) => ({ violations, passes: passes.length }))`,
    )) as AxeResult;
    if (result.passes < (tags.length === 1 ? 1 : 10))
      throw new Error(`axe looked at too little: ${result.passes} rules passed`);
    return result.violations.map(
      ({ id, help, nodes }) => `${id}: ${help}\n${nodes[0]?.html}\n${nodes[0]?.failureSummary ?? ''}`,
    );
  }
}

/** One browser with a page of its own size; pictures go below `pictures`. */
export async function openTab(
  executablePath: string,
  pictures: string,
): Promise<{ browser: Browser; tab: Tab; another(): Promise<Tab> }> {
  mkdirSync(pictures, { recursive: true });
  const browser = await chromium.launch({
    executablePath,
    // Chromium's own sandbox does not run as root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  });
  const another = async (): Promise<Tab> => {
    const context = await browser.newContext({
      viewport: { width: 1280, height: 800 },
      colorScheme: 'light',
    });
    context.setDefaultTimeout(10_000);
    return new Tab(await context.newPage(), pictures);
  };
  return { browser, tab: await another(), another };
}
