import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import type { Container, PodSpec } from '../../core/pod-shape.ts';
import type { VolumeFile, VolumeInput } from '../../core/process/volume-files.ts';
import { isWritten, safePath, VolumeError, volumeFiles } from '../../core/process/volume-files.ts';
import type { PodDirectories } from './pod-directory.ts';

/** Makes a pod's volumes as directories; called again it brings written ones up to date. Throws VolumeError. */
export function prepareVolumes(uid: string, input: VolumeInput, directories: PodDirectories): void {
  const spec = input.pod['spec'] as PodSpec;
  for (const volume of spec.volumes ?? []) {
    const directory = directories.volume(uid, volume.name);
    if (isWritten(volume)) {
      mkdirSync(directory, { recursive: true });
      try {
        replaceFiles(directory, volumeFiles(volume, input));
      } catch (error) {
        if (error instanceof VolumeError)
          throw new VolumeError(`MountVolume.SetUp failed for volume "${volume.name}" : ${error.message}`);
        throw error;
      }
    } else if (volume.hostPath) prepareHostPath(volume.name, volume.hostPath, directory);
    else if (volume.emptyDir) mkdirSync(directory, { recursive: true });
    else
      throw new VolumeError(
        `volume "${volume.name}" is of a kind that process nodes do not have: want emptyDir, hostPath, configMap, secret, downwardAPI or projected`,
      );
  }
}

function prepareHostPath(name: string, hostPath: { path: string; type?: string }, link: string): void {
  const { type = '' } = hostPath;
  if (type === 'DirectoryOrCreate') mkdirSync(hostPath.path, { recursive: true });
  else if (type === 'FileOrCreate') {
    if (!existsSync(hostPath.path)) writeFileSync(hostPath.path, '');
  } else if (type !== '' && !existsSync(hostPath.path))
    throw new VolumeError(
      `MountVolume.SetUp failed for volume "${name}" : hostPath type check failed: ${hostPath.path} is not a ${type.toLowerCase()}`,
    );
  pointTo(link, hostPath.path);
}

/** Makes `link` a symbolic link to `target`, at once for every reader. */
function pointTo(link: string, target: string): void {
  mkdirSync(path.dirname(link), { recursive: true });
  const found = lstatSync(link, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() && readlinkSync(link) === target) return;
  if (found && !found.isSymbolicLink()) throw new VolumeError(`"${link}" is in the way of a mount`);
  rmSync(`${link}.new`, { force: true });
  symlinkSync(target, `${link}.new`);
  renameSync(`${link}.new`, link);
}

/**
 * Replaces all files together: they live in a directory of their own, `..data` points to it, and each name in the volume points into
 * `..data`, so that a reader sees all old or all new ones. Nothing is touched when nothing changed.
 */
export function replaceFiles(volume: string, files: readonly VolumeFile[]): void {
  const current = path.join(volume, '..data');
  const unchanged =
    existsSync(current) &&
    sameNames(
      current,
      files.map((each) => each.path),
    ) &&
    files.every((file) => Buffer.compare(readFileSync(path.join(current, file.path)), file.data) === 0);
  if (unchanged) return;
  const before = existsSync(current) ? readlinkSync(current) : undefined;
  const number = before === undefined ? 1 : Number(before.slice(2)) + 1;
  const name = `..${number}`;
  const directory = path.join(volume, name);
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const file of files) {
    const target = path.join(directory, file.path);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, file.data);
    chmodSync(target, file.mode);
  }
  pointTo(current, name);
  const tops = new Set(files.map((file) => file.path.split('/')[0] as string));
  for (const top of tops) pointTo(path.join(volume, top), `..data/${top}`);
  for (const entry of readdirSync(volume)) {
    if (!entry.startsWith('..') && !tops.has(entry)) rmSync(path.join(volume, entry), { force: true });
  }
  if (before !== undefined) rmSync(path.join(volume, before), { recursive: true, force: true });
}

function sameNames(directory: string, wanted: readonly string[]): boolean {
  const found: string[] = [];
  const walk = (below: string): void => {
    for (const entry of readdirSync(path.join(directory, below), { withFileTypes: true })) {
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) walk(name);
      else found.push(name);
    }
  };
  walk('');
  return found.sort().join('\0') === [...wanted].sort().join('\0');
}

/**
 * A container's view of its mounts: a directory in which each mountPath is a link to the volume. Processes are not confined to it; it is
 * what CONTAINER_ROOT names. Outer paths come first, so that an inner one lands inside the outer volume.
 */
export function prepareMounts(
  uid: string,
  container: Container,
  root: string,
  directories: PodDirectories,
  expandPath: (text: string) => string,
): void {
  mkdirSync(root, { recursive: true });
  const mounts = [...(container.volumeMounts ?? [])].sort((a, b) => a.mountPath.length - b.mountPath.length);
  for (const mount of mounts) {
    const volume = directories.volume(uid, mount.name);
    const below = mount.subPathExpr === undefined ? (mount.subPath ?? '') : expandPath(mount.subPathExpr);
    const source = below === '' ? volume : path.join(volume, safePath(below));
    if (below !== '' && !existsSync(source)) mkdirSync(source, { recursive: true });
    const link = path.join(root, safePath(mount.mountPath.replace(/^\/+/, '').replace(/\/+$/, '')));
    pointTo(link, source);
  }
}
