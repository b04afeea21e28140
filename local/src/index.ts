import type { RestoredStore, RestoreStoreOptions } from '@pilothouse/store';

/** A component's main program: parses its flags, runs until told to stop. */
type Main = (argv: readonly string[], environment: NodeJS.ProcessEnv) => Promise<void>;

/** Loaded on demand: a scheduler process must not pay for the store's modules. */
const mains: Readonly<Record<string, () => Promise<Main>>> = {
  store: async () => (await import('@pilothouse/store')).runStore,
  apiserver: async () => (await import('@pilothouse/apiserver')).runApiServer,
  scheduler: async () => (await import('@pilothouse/scheduler')).runScheduler,
  'controller-manager': async () => (await import('@pilothouse/controller-manager')).runControllerManager,
  'node-agent': async () => (await import('@pilothouse/node-agent')).runNodeAgent,
  console: async () => (await import('@pilothouse/console')).runConsole,
};

export const componentNames: readonly string[] = Object.keys(mains);

/** Runs one component in this process; resolves when it has stopped. */
export async function runComponent(
  name: string,
  argv: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const load = mains[name];
  if (!load) throw new Error(`Unknown component "${name}"`);
  await (
    await load()
  )(argv, environment);
}

/** Makes one store member's data directory from a backup. Rejects with a CodedError that says what is wrong. */
export async function restoreStore(options: RestoreStoreOptions): Promise<RestoredStore> {
  return (await import('@pilothouse/store')).restoreStore(options);
}
