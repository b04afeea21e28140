import type { Clock } from '@pilothouse/base';
import type { Registry } from 'prom-client';
import { Counter, Gauge, Histogram } from 'prom-client';
import { doubling } from './durations.ts';
import type { SnapshotObserver, SnapshotWork } from './replica/snapshot-observer.ts';

/** etcd's metrics of snapshots; bounds as etcd has them. */
export function snapshotMetrics(registry: Registry, clock: Clock): SnapshotObserver {
  const registers = [registry];
  const histogram = (name: string, help: string, buckets: number[]): Histogram =>
    new Histogram({ name, help, buckets, registers });
  const durations: Partial<Record<SnapshotWork, Histogram>> = {
    save: histogram(
      'etcd_debugging_snap_save_total_duration_seconds',
      'How long it took to make the state of this member a snapshot.',
      doubling(0.001, 14),
    ),
    flush: histogram(
      'etcd_snap_fsync_duration_seconds',
      'How long the state took to become durable for a snapshot.',
      doubling(0.001, 14),
    ),
    receive: histogram(
      'etcd_snap_db_save_total_duration_seconds',
      'How long received snapshots took to be stored.',
      doubling(0.1, 10),
    ),
    sync: histogram(
      'etcd_snap_db_fsync_duration_seconds',
      'How long pieces of received snapshots took to become durable.',
      doubling(0.001, 14),
    ),
  };
  const installing = new Gauge({
    name: 'etcd_server_snapshot_apply_in_progress_total',
    help: '1 while a received snapshot takes the place of the state.',
    registers,
  });
  const travel = (way: 'send' | 'receive', label: string, words: string): Travel => {
    const name = `etcd_network_snapshot_${way}`;
    const labelNames = [label];
    return {
      label,
      inflight: new Gauge({
        name: `${name}_inflights_total`,
        help: `Snapshots that are being ${words} now.`,
        labelNames,
        registers,
      }),
      success: new Counter({ name: `${name}_success`, help: `Snapshots ${words}.`, labelNames, registers }),
      failures: new Counter({
        name: `${name}_failures`,
        help: `Snapshots that could not be ${words}.`,
        labelNames,
        registers,
      }),
      seconds: new Histogram({
        name: `${name}_total_duration_seconds`,
        help: `How long snapshots took to be ${words}.`,
        labelNames,
        buckets: doubling(0.1, 10),
        registers,
      }),
    };
  };
  const ways: Partial<Record<SnapshotWork, Travel>> = {
    send: travel('send', 'To', 'sent'),
    receive: travel('receive', 'From', 'received'),
  };
  return (work, peer) => {
    const began = clock.monotonic();
    const way = ways[work];
    const labels = way && peer !== undefined ? { [way.label]: peer.toString(16) } : undefined;
    if (labels) way?.inflight.inc(labels);
    if (work === 'install') installing.inc();
    return (isDone) => {
      const seconds = (clock.monotonic() - began) / 1000;
      durations[work]?.observe(seconds);
      if (work === 'install') installing.dec();
      if (way === undefined || labels === undefined) return;
      way.inflight.dec(labels);
      (isDone ? way.success : way.failures).inc(labels);
      way.seconds.observe(labels, seconds);
    };
  };
}

interface Travel {
  readonly label: string;
  readonly inflight: Gauge;
  readonly success: Counter;
  readonly failures: Counter;
  readonly seconds: Histogram;
}
