import type { Exchange } from '../request/exchange.ts';
import { respondText } from './respond.ts';

export type PathHandler = (exchange: Exchange) => void | Promise<void>;

/** Handlers of paths that are not resources. Paths may be added and removed while the server runs. */
export class PathTable {
  readonly #exact = new Map<string, PathHandler>();
  readonly #prefixes: { prefix: string; handler: PathHandler }[] = [];
  readonly #unlisted = new Set<string>();

  /** `listed` false keeps the path out of `/`. */
  handle(path: string, handler: PathHandler, listed = true): void {
    this.#exact.set(path, handler);
    if (!listed) this.#unlisted.add(path);
  }

  /** Everything below `prefix`, which ends with a slash; the longest prefix wins. */
  handlePrefix(prefix: string, handler: PathHandler): void {
    this.#prefixes.push({ prefix, handler });
    this.#prefixes.sort((a, b) => b.prefix.length - a.prefix.length);
  }

  remove(path: string): void {
    this.#exact.delete(path);
  }

  find(path: string): PathHandler | undefined {
    return this.#exact.get(path) ?? this.#prefixes.find(({ prefix }) => path.startsWith(prefix))?.handler;
  }

  /** Sorted, for `/`. */
  paths(): string[] {
    const prefixes = this.#prefixes.map(({ prefix }) => prefix).filter((prefix) => prefix !== '/');
    return [...this.#exact.keys(), ...prefixes].filter((path) => !this.#unlisted.has(path)).sort();
  }
}

/** What an unknown path gets, in the words of Go's file server. */
export function respondPathNotFound(exchange: Exchange): void {
  exchange.response.setHeader('X-Content-Type-Options', 'nosniff');
  respondText(exchange, 404, '404 page not found\n');
}
