// Renders resources, operations and feature gates as typed data.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { header } from './render-schemas.ts';

interface ResourcesFile {
  groupVersions: Record<string, unknown>[];
  crdGroupPriority: number;
  crdVersionPriority: number;
  listedButNoResources: unknown[];
  watchCacheOff: [string, string][];
  resources: ({ resource: string } & Record<string, unknown>)[];
}

const rows = (items: readonly unknown[]): string =>
  `[\n${items.map((item) => `  ${JSON.stringify(item)},`).join('\n')}\n]`;

const members = (value: object): string =>
  `{\n${Object.entries(value)
    .map(([key, item]) => `  ${JSON.stringify(key)}: ${JSON.stringify(item)},`)
    .join('\n')}\n}`;

export function renderDiscovery(protoDir: string): Map<string, string> {
  const read = (name: string): unknown => JSON.parse(readFileSync(join(protoDir, name), 'utf8'));
  const data = read('resources.json') as ResourcesFile;
  const operations = read('operations.json') as Record<string, unknown>;
  const { gates } = read('featuregates.json') as { gates: object };
  const { kubernetes: _release, logOptions: _logOptions, ...facts } = operations;
  const resources = data.resources.map(({ resource, group, version, ...rest }) => ({
    group,
    version,
    plural: resource,
    ...rest,
  }));
  return new Map([
    [
      'resources.ts',
      `${header}
import type { BuiltinGroupVersion, BuiltinResource } from '../discovery-data.ts';

/** In the order of /apis and of aggregated discovery; core comes first. */
export const builtinGroupVersions: readonly BuiltinGroupVersion[] = ${rows(data.groupVersions)};

/** groupPriorityMinimum and versionPriority of the APIServices made for CRDs. */
export const crdGroupPriority = ${String(data.crdGroupPriority)};
export const crdVersionPriority = ${String(data.crdVersionPriority)};

/** Group-versions that the server knows and --runtime-config accepts, with nothing behind them. */
export const emptyGroupVersions: readonly (readonly [group: string, version: string])[] = ${JSON.stringify(data.listedButNoResources)};

/** [group, plural] of resources served without a watch cache. */
export const watchCacheOff: readonly (readonly [group: string, plural: string])[] = ${JSON.stringify(data.watchCacheOff)};

export const builtinResources: readonly BuiltinResource[] = ${rows(resources)};
`,
    ],
    [
      'feature-gates.ts',
      `${header}
import type { FeatureGate } from '../discovery-data.ts';

/** Feature gates known to the API server, with their state in 1.36. */
export const featureGates: Readonly<Record<string, FeatureGate>> = ${members(gates)};
`,
    ],
    [
      'operations.ts',
      `${header}
import type { OperationFacts } from '../discovery-data.ts';

/** Parameters, media types and codes of the REST operations. */
export const operationFacts: OperationFacts = ${members(facts)};
`,
    ],
  ]);
}
