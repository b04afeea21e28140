import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { Clock, Random } from '@pilothouse/base';
import type { Container } from '../../core/pod-shape.ts';
import { configMapData, secretData } from '../../core/process/volume-files.ts';
import { containerEnvironment } from '../../core/process/environment.ts';
import { expand } from '../../core/process/expand.ts';
import { commandOf } from '../../core/process/image-reference.ts';
import { ContainerProcess } from './container-process.ts';
import type { ImageStore } from './image-store.ts';
import type { PodObjects } from './object-source.ts';
import type { PodDirectories } from './pod-directory.ts';
import { prepareMounts } from './volume-manager.ts';

/** What is the same for every container of the node. */
export interface RunnerSettings {
  readonly nodeName: string;
  readonly hostIp: string;
  readonly allocatable: Readonly<Record<string, string>>;
  /** Where processes find the API: there is no service network that would carry 10.0.0.1. */
  readonly api: { readonly host: string; readonly port: number };
  /** Of the agent: PATH, HOME and the like are the host's. */
  readonly baseEnv: Readonly<Record<string, string>>;
  readonly logBytesMax: number;
  readonly logFilesMax: number;
}

/** A container's surroundings, for its process, its hooks and what is executed in it. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly argv: readonly string[];
  readonly image: string;
}

/** Turns a container of a pod into a process. */
export class ContainerRunner {
  readonly #settings: RunnerSettings;
  readonly #images: ImageStore;
  readonly #directories: PodDirectories;
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(options: {
    settings: RunnerSettings;
    images: ImageStore;
    directories: PodDirectories;
    clock: Clock;
    random: Random;
  }) {
    this.#settings = options.settings;
    this.#images = options.images;
    this.#directories = options.directories;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** Throws ImageError, ConfigError or VolumeError. `target`: the container whose surroundings an ephemeral one shares. */
  surroundings(
    pod: KubeObject,
    container: Container,
    podIp: string,
    objects: PodObjects,
    target?: Container,
  ): Surroundings {
    const { nodeName, hostIp, allocatable, api, baseEnv } = this.#settings;
    const uid = pod.metadata.uid ?? '';
    const image = this.#images.find(container.image, (container.command ?? []).length > 0);
    const own = containerEnvironment({
      pod,
      container,
      podIp,
      hostIp,
      nodeName,
      allocatable,
      services: objects.services,
      configMap: (name) => texts(configMapData(objects.configMaps.get(name))),
      secret: (name) => texts(secretData(objects.secrets.get(name))),
    });
    const root = path.join(this.#directories.container(uid, (target ?? container).name), 'root');
    const imageEnv: Record<string, string> = {};
    for (const entry of image.config.Env ?? []) {
      const at = entry.indexOf('=');
      if (at > 0) imageEnv[entry.slice(0, at)] = entry.slice(at + 1);
    }
    const env: Record<string, string> = {
      ...baseEnv,
      HOSTNAME: pod.metadata.name ?? '',
      POD_IP: podIp,
      CONTAINER_ROOT: root,
      KUBERNETES_SERVICE_HOST: api.host,
      KUBERNETES_SERVICE_PORT: String(api.port),
      KUBERNETES_SERVICE_PORT_HTTPS: String(api.port),
      ...(image.directory === undefined ? {} : { IMAGE_ROOT: image.directory }),
      ...imageEnv,
      ...own,
    };
    prepareMounts(uid, container, root, this.#directories, (text) => expand(text, env));
    // So that a program can write its last words to "$CONTAINER_ROOT/dev/termination-log".
    const lastWords = path.join(
      root,
      path.normalize(`/${container.terminationMessagePath ?? 'dev/termination-log'}`),
    );
    mkdirSync(path.dirname(lastWords), { recursive: true });
    const start = path.resolve(image.directory ?? root, image.config.WorkingDir ?? '.');
    const cwd = container.workingDir === undefined ? start : path.resolve(start, container.workingDir);
    return {
      env,
      cwd,
      argv: commandOf(image.config, container.command, container.args).map((word) => expand(word, env)),
      image: image.directory ?? '',
    };
  }

  /** Rejects with SpawnError. */
  start(
    pod: KubeObject,
    container: Container,
    surroundings: Surroundings,
    restarts: number,
  ): Promise<ContainerProcess> {
    const uid = pod.metadata.uid ?? '';
    const id = Buffer.from(this.#random.bytes(32)).toString('hex');
    const files = this.files(uid, container.name, id, restarts);
    this.#forgetOlder(uid, container.name, restarts);
    mkdirSync(path.dirname(files.logFile), { recursive: true });
    mkdirSync(path.dirname(files.exitFile), { recursive: true });
    const spec = {
      argv: surroundings.argv,
      env: surroundings.env,
      cwd: surroundings.cwd,
      tty: container.tty === true,
      stdin: container.stdin === true,
      stdinOnce: container.stdinOnce === true,
      logBytesMax: this.#settings.logBytesMax,
      logFilesMax: this.#settings.logFilesMax,
      ...files,
    };
    const specFile = path.join(path.dirname(files.exitFile), 'spec.json');
    return ContainerProcess.start(id, spec, specFile, this.#clock);
  }

  /** A container that fails for ever must not fill the disk: the log of the previous run stays, older ones and what earlier guards wrote go. */
  #forgetOlder(uid: string, name: string, restarts: number): void {
    const directory = this.#directories.container(uid, name);
    for (const entry of existsSync(directory) ? readdirSync(directory) : [])
      if (entry !== 'root') rmSync(path.join(directory, entry), { recursive: true, force: true });
    const logs = path.dirname(this.#directories.logFile(uid, name, restarts));
    for (const entry of existsSync(logs) ? readdirSync(logs) : [])
      if (Number.parseInt(entry, 10) < restarts - 1) rmSync(path.join(logs, entry), { force: true });
  }

  files(
    uid: string,
    name: string,
    id: string,
    restarts: number,
  ): { logFile: string; socket: string; exitFile: string } {
    return {
      logFile: this.#directories.logFile(uid, name, restarts),
      socket: this.#directories.socket(id),
      exitFile: path.join(this.#directories.container(uid, name), id.slice(0, 24), 'exit.json'),
    };
  }

  /** Goes on with a container of an earlier agent. */
  adopt(
    uid: string,
    name: string,
    state: { id: string; pid: number; startedMs: number },
    restarts: number,
  ): ContainerProcess {
    const { socket, exitFile } = this.files(uid, name, state.id, restarts);
    return ContainerProcess.adopt({ ...state, socket }, exitFile, this.#clock);
  }
}

function texts(data: Record<string, Buffer> | undefined): Record<string, string> | undefined {
  return (
    data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, value.toString('utf8')]))
  );
}
