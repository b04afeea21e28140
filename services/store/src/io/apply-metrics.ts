import type { Registry } from 'prom-client';
import type { Command, StoreStateMachine } from '../core/index.ts';
import { doubling, Durations, scrapedHistogram } from './durations.ts';

/** Bounds as etcd has them. */
const bounds = doubling(0.0001, 20);

/** etcd's durations of applied commands and of ranges. */
export class ApplyMetrics {
  readonly #applied = new Map<
    string,
    { readonly labels: Record<string, string>; readonly seconds: Durations }
  >();
  readonly #ranges = { true: new Durations(bounds), false: new Durations(bounds) };

  constructor(registry: Registry, machine: StoreStateMachine) {
    const apply = 'etcd_server_apply_duration_seconds';
    registry.registerMetric(
      scrapedHistogram(apply, 'How long commands of the log took to apply.', () =>
        [...this.#applied.values()].flatMap(({ labels, seconds }) => seconds.values(apply, labels)),
      ),
    );
    const range = 'etcd_server_range_duration_seconds';
    registry.registerMetric(
      scrapedHistogram(range, 'How long ranges took on this member.', () =>
        Object.entries(this.#ranges).flatMap(([success, seconds]) => seconds.values(range, { success })),
      ),
    );
    machine.timings = {
      onApplied: (command, isOk, ms) => this.#observe(operationOf(command), isOk, ms / 1000),
      onRange: (isOk, ms) => this.#ranges[isOk ? 'true' : 'false'].observe(ms / 1000),
    };
  }

  #observe(op: string, isOk: boolean, seconds: number): void {
    const id = isOk ? op : `${op}!`;
    let found = this.#applied.get(id);
    if (found === undefined) {
      found = { labels: { version: 'v3', op, success: String(isOk) }, seconds: new Durations(bounds) };
      this.#applied.set(id, found);
    }
    found.seconds.observe(seconds);
  }
}

/** What etcd does not count as an operation of its own. */
const unnamed = new Set([
  'clusterVersionSet',
  'clusterMemberAttrSet',
  'downgradeInfoSet',
  'downgradeVersionTest',
]);

/** The name of a command as etcd's metric has it. */
function operationOf(command: Command): string {
  if (command.put) return 'Put';
  if (command.txn) return 'Txn';
  for (const [name, value] of Object.entries(command)) {
    if (value === undefined || typeof value !== 'object' || name === 'header') continue;
    return unnamed.has(name) ? 'unknown' : `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  }
  return 'unknown';
}
