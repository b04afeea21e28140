import type { FileWatcher } from '@pilothouse/host';
import { fileMetric, fileMetricHelp } from '@pilothouse/host';
import type { Registry } from 'prom-client';
import { Gauge } from 'prom-client';

/** Which contents of followed files are in force, by the flag that names them. */
export function registerFileMetric(registry: Registry, watcher: FileWatcher): void {
  const gauge: Gauge<'file' | 'hash'> = new Gauge({
    name: fileMetric,
    help: fileMetricHelp,
    labelNames: ['file', 'hash'],
    registers: [registry],
    collect() {
      gauge.reset();
      for (const [file, hash] of watcher.inForce) gauge.set({ file, hash: `sha256:${hash}` }, 1);
    },
  });
}
