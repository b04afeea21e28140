import { goQuote } from '@pilothouse/apimachinery';
import type { Plugin } from './framework.ts';
import type { ExtensionPoint, PluginOptions } from './plugin-catalog.ts';
import { defaultPluginSet, extensionPoints, pluginCatalog } from './plugin-catalog.ts';
import type { Profile } from './profile.ts';

/** A plugin as a configuration names it. Weights are those of the extension point `score`. */
export interface NamedPlugin {
  readonly name: string;
  readonly weight?: number;
}

/** Changes of what runs by default. `*` disables all. */
export interface PluginSet {
  readonly enabled?: readonly NamedPlugin[];
  readonly disabled?: readonly NamedPlugin[];
}

export type PluginSets = Readonly<Partial<Record<ExtensionPoint | 'multiPoint', PluginSet>>>;

export interface ProfileSettings {
  readonly schedulerName: string;
  readonly percentageOfNodesToScore: number;
  readonly plugins: PluginSets;
  readonly options: PluginOptions;
}

/** Upstream's names of the extension points' interfaces, as its errors tell them. */
const interfaceName = (point: ExtensionPoint): string => `${point[0]?.toUpperCase()}${point.slice(1)}Plugin`;

/** What must run before, for it leaves what the other one reads. */
const preparedBy: readonly (readonly [ExtensionPoint, ExtensionPoint])[] = [
  ['filter', 'preFilter'],
  ['score', 'preScore'],
];

/** Works out which plugins run where (KubeSchedulerProfile.plugins). Throws an Error on plugins that do not exist or do not fit. */
export function buildProfile(settings: ProfileSettings): Profile {
  const { schedulerName, options } = settings;
  const multiPoint = merged(settings.plugins.multiPoint ?? {});
  const at = Object.fromEntries(
    extensionPoints.map((point) => [point, pluginsAt(point, settings.plugins[point] ?? {}, multiPoint)]),
  ) as Record<ExtensionPoint, readonly NamedPlugin[]>;
  if (at.queueSort.length !== 1)
    throw new Error(
      at.queueSort.length === 0
        ? `no queue sort plugin is enabled`
        : `only one queue sort plugin required for profile with scheduler name ${goQuote(schedulerName)}, but got ${at.queueSort.length}`,
    );
  if (at.bind.length === 0)
    throw new Error(
      `at least one bind plugin is needed for profile with scheduler name ${goQuote(schedulerName)}`,
    );
  const has = (point: ExtensionPoint, name: string): boolean => at[point].some((each) => each.name === name);
  for (const [point, before] of preparedBy) {
    const bare = at[point].find(
      ({ name }) => pluginCatalog[name]?.points.includes(before) === true && !has(before, name),
    );
    if (bare !== undefined)
      throw new Error(
        `plugin ${goQuote(bare.name)} is enabled for ${point} and disabled for ${before}, which it needs`,
      );
  }
  const made = new Map<string, Plugin>();
  for (const point of extensionPoints) {
    for (const { name } of at[point]) {
      const plugin = made.has(name) ? undefined : pluginCatalog[name]?.make?.(options);
      if (plugin !== undefined) made.set(name, plugin);
    }
  }
  const pluginsOf = (point: 'preEnqueue' | 'preFilter' | 'filter'): Plugin[] =>
    at[point].flatMap(({ name }) => {
      const plugin = made.get(name);
      return plugin?.[point] === undefined ? [] : [plugin];
    });
  return {
    schedulerName,
    plugins: [...made.values()],
    preEnqueue: pluginsOf('preEnqueue'),
    preFilter: pluginsOf('preFilter'),
    filter: pluginsOf('filter'),
    score: at.score.flatMap(({ name, weight }) => {
      const plugin = made.get(name);
      // A weight of 0 is none: plugins are disabled by name.
      return plugin?.score === undefined
        ? []
        : [{ plugin, weight: weight === undefined || weight === 0 ? 1 : weight }];
    }),
    preemption: has('postFilter', 'DefaultPreemption') ? options.preemption : undefined,
    mindsClaims: has('postFilter', 'DynamicResources'),
    percentageOfNodesToScore: settings.percentageOfNodesToScore,
    volumeBindTimeoutMs: options.volumeBindTimeoutMs,
  };
}

/** The default plugins with the changes: one that is enabled again keeps its place and takes the new weight, others follow. */
function merged({ enabled = [], disabled = [] }: PluginSet): readonly NamedPlugin[] {
  const isOff = (name: string): boolean => disabled.some((each) => each.name === name || each.name === '*');
  const again = new Map(enabled.map((each) => [each.name, each]));
  const kept = defaultPluginSet.flatMap((plugin) => {
    if (isOff(plugin.name)) return [];
    const replacement = again.get(plugin.name);
    again.delete(plugin.name);
    return [replacement ?? plugin];
  });
  return [...kept, ...enabled.filter((each) => !kept.includes(each))];
}

function pluginsAt(
  point: ExtensionPoint,
  { enabled = [], disabled = [] }: PluginSet,
  multiPoint: readonly NamedPlugin[],
): readonly NamedPlugin[] {
  for (const { name } of [...enabled, ...multiPoint]) {
    if (pluginCatalog[name] === undefined)
      throw new Error(`${interfaceName(point)} ${goQuote(name)} does not exist`);
  }
  const isOff = (name: string): boolean => disabled.some((each) => each.name === name || each.name === '*');
  const own = new Set<string>();
  for (const { name } of enabled) {
    if (pluginCatalog[name]?.points.includes(point) !== true)
      throw new Error(`plugin ${goQuote(name)} does not extend ${interfaceName(point)} plugin`);
    if (own.has(name)) throw twice(name, point);
    own.add(name);
  }
  const overridden: NamedPlugin[] = [];
  const rest: NamedPlugin[] = [];
  const seen = new Set<string>();
  for (const plugin of multiPoint) {
    const { name } = plugin;
    if (pluginCatalog[name]?.points.includes(point) !== true || isOff(name)) continue;
    if (own.has(name)) {
      overridden.push(enabled.find((each) => each.name === name) as NamedPlugin);
      continue;
    }
    if (seen.has(name)) throw twice(name, point);
    seen.add(name);
    rest.push(plugin);
  }
  // What replaces a default comes first, then what only this point names, then the others.
  return [...overridden, ...enabled.filter((each) => !overridden.includes(each)), ...rest];
}

function twice(name: string, point: ExtensionPoint): Error {
  return new Error(`plugin ${goQuote(name)} already registered as ${goQuote(interfaceName(point))}`);
}
