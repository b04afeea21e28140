import { chmodSync, copyFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CommandError } from '../errors.ts';

const inVolume = '/var/lib/pilothouse';
const backupName = 'drill-backup.db';

/** What a restore needs of a container. */
interface Described {
  readonly Config: { readonly Image: string; readonly Env: readonly string[] };
  readonly Mounts: readonly { readonly Destination: string; readonly Source: string }[];
}

/** Takes a backup of a compose plane, stops all its members, and lets each begin anew with what the backup holds. */
export async function restoreContainers(
  stores: readonly { readonly id: string; readonly service: string }[],
  docker: (...args: string[]) => Promise<string>,
  hooks: { backedUp(): Promise<void>; down(): Promise<void> },
): Promise<void> {
  const describe = async (id: string): Promise<Described> =>
    (JSON.parse(await docker('inspect', id)) as Described[])[0] as Described;
  const volume = async (id: string): Promise<string> => {
    const found = (await describe(id)).Mounts.find((each) => each.Destination === inVolume)?.Source;
    if (found === undefined) throw new CommandError(`The member has no volume at ${inVolume}`);
    return found;
  };
  const setting = async (id: string, name: string): Promise<string> =>
    (await describe(id)).Config.Env.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  const run = async (id: string, network: string, ...args: string[]): Promise<string> =>
    docker(
      'run',
      '--rm',
      '--read-only',
      '--tmpfs=/tmp',
      `--network=${network}`,
      `--volumes-from=${id}`,
      (await describe(id)).Config.Image,
      ...args,
    );
  const first = stores[0];
  if (first === undefined) throw new CommandError('The project has no store');
  const backup = path.join(await volume(first.id), backupName);
  rmSync(backup, { force: true });
  await run(
    first.id,
    `container:${first.id}`,
    'backup',
    `${inVolume}/${backupName}`,
    `--endpoints=https://${first.service}:2379`,
    '--cacert=/pki/etcd/ca.crt',
    '--cert=/pki/etcd/client.crt',
    '--key=/pki/etcd/client.key',
  );
  await hooks.backedUp();
  await hooks.down();
  await docker('stop', ...stores.map(({ id }) => id));
  for (const { id, service } of stores) {
    const copy = path.join(await volume(id), backupName);
    if (copy !== backup) copyFileSync(backup, copy);
    chmodSync(copy, 0o644);
    rmSync(path.join(await volume(id), 'store'), { recursive: true, force: true });
    await run(
      id,
      'none',
      'restore',
      `${inVolume}/${backupName}`,
      `--member-dir=${(await setting(id, 'ETCD_DATA_DIR')) || `${inVolume}/store`}`,
      `--name=${service}`,
      `--initial-cluster=${await setting(id, 'ETCD_INITIAL_CLUSTER')}`,
      `--initial-cluster-token=${await setting(id, 'ETCD_INITIAL_CLUSTER_TOKEN')}`,
    );
  }
  for (const { id } of stores) rmSync(path.join(await volume(id), backupName), { force: true });
  await docker('start', ...stores.map(({ id }) => id));
}
