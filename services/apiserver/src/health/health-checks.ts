import { goQuote } from '@pilothouse/apimachinery';
import type { Exchange } from '../request/exchange.ts';
import type { PathTable } from '../endpoints/path-table.ts';
import { respondPathNotFound } from '../endpoints/path-table.ts';
import { respondText } from '../endpoints/respond.ts';
import type { Logger } from '@pilothouse/base';

/** One named condition. `check` throws (or rejects) with the reason while it does not hold. */
export interface HealthCheck {
  readonly name: string;
  check(): void | Promise<void>;
}

export type HealthPath = 'healthz' | 'livez' | 'readyz';

/** The checks behind `/healthz`, `/livez` and `/readyz`, in the order they are reported. */
export class HealthChecks {
  readonly #checks: Record<HealthPath, HealthCheck[]> = { healthz: [], livez: [], readyz: [] };
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(check: HealthCheck, paths: readonly HealthPath[] = ['healthz', 'livez', 'readyz']): void {
    for (const path of paths) this.#checks[path].push(check);
  }

  /** Serves the three paths, each also as `/path/check`. */
  register(paths: PathTable): void {
    for (const path of ['healthz', 'livez', 'readyz'] as const) {
      paths.handle(`/${path}`, (exchange) => this.#all(exchange, path));
      for (const check of this.#checks[path]) {
        paths.handle(`/${path}/${check.name}`, (exchange) => this.#one(exchange, path, check.name));
      }
      paths.handlePrefix(`/${path}/`, (exchange) =>
        this.#one(exchange, path, exchange.path.slice(path.length + 2)),
      );
    }
  }

  async #one(exchange: Exchange, path: HealthPath, name: string): Promise<void> {
    const check = this.#checks[path].find((each) => each.name === name);
    if (!check) {
      respondPathNotFound(exchange);
      return;
    }
    const failure = await run(check);
    if (failure === undefined) respondHealth(exchange, 200, 'ok');
    else respondHealth(exchange, 500, `internal server error: ${failure}\n`);
  }

  async #all(exchange: Exchange, path: HealthPath): Promise<void> {
    const excluded = new Set(exchange.query.getAll('exclude'));
    const lines: string[] = [];
    const failed: string[] = [];
    for (const check of this.#checks[path]) {
      if (excluded.delete(check.name)) {
        lines.push(`[+]${check.name} excluded: ok\n`);
        continue;
      }
      const failure = await run(check);
      if (failure === undefined) {
        lines.push(`[+]${check.name} ok\n`);
      } else {
        failed.push(`[-]${check.name} failed: ${failure}`);
        // The reason stays in the log: the answer may go to anonymous clients.
        lines.push(`[-]${check.name} failed: reason withheld\n`);
      }
    }
    if (excluded.size > 0) {
      const names = [...excluded].map((name) => goQuote(name)).join(', ');
      lines.push(`warn: some health checks cannot be excluded: no matches for ${names}\n`);
    }
    if (failed.length > 0) {
      this.#logger.warn('Health check failed', { path, failed });
      respondHealth(exchange, 500, `${lines.join('')}${path} check failed\n`);
    } else if (exchange.query.has('verbose')) {
      respondHealth(exchange, 200, `${lines.join('')}${path} check passed\n`);
    } else {
      respondHealth(exchange, 200, 'ok');
    }
  }
}

async function run(check: HealthCheck): Promise<string | undefined> {
  try {
    await check.check();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function respondHealth(exchange: Exchange, status: number, text: string): void {
  exchange.response.setHeader('X-Content-Type-Options', 'nosniff');
  respondText(exchange, status, text);
}
