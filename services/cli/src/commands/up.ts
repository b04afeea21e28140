import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { errorMessage, sleep } from '@pilothouse/base';
import type { FlagSpecs, Pki } from '@pilothouse/host';
import { nodeClock, parseFlags } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { PlaneOptions, ProcessSpec } from '../plane/layout.ts';
import { consoleLinkPath, kubeconfigPath, planProcesses, serverUrl } from '../plane/layout.ts';
import { addLocalStorage } from '../plane/local-storage.ts';
import {
  checkPorts,
  keepRenewed,
  loadIdentity,
  prepareDirectories,
  prepareIdentities,
} from '../plane/prepare.ts';
import { probe } from '../plane/readiness.ts';
import { forgetPrograms, programOf } from '../plane/programs.ts';
import { isAlive, readState, writeState } from '../plane/state-file.ts';
import { Supervisor } from '../plane/supervisor.ts';
import { pilothouseCommand } from '../self.ts';
import { defaultDataDirectory, lastLine, stopLeftovers } from './shared.ts';
import { startDetached } from './up-detached.ts';

const specs: FlagSpecs = {
  'data-dir': {
    type: 'string',
    default: '',
    help: 'Where everything is kept (default: data in the current directory)',
  },
  port: { type: 'integer', default: 6443, help: 'Port of the API; the other ports follow from it' },
  members: { type: 'integer', default: 3, help: 'Store members: 1, 3, 5, 7 or 9' },
  replicas: { type: 'integer', default: 3, help: 'API servers' },
  nodes: { type: 'integer', default: 3, help: 'Nodes' },
  runtime: {
    type: 'string',
    default: 'simulated',
    help: 'What runs pods: simulated (on paper only) or process (processes of this host, not confined in any way)',
  },
  'images-dir': {
    type: 'string',
    default: '',
    help: 'With --runtime process: where images are directories of this host',
  },
  schedulers: { type: 'integer', default: 2, help: 'Schedulers, one of them active' },
  'controller-managers': { type: 'integer', default: 2, help: 'Controller managers, one of them active' },
  'apiserver-arg': { type: 'strings', default: [], help: 'A flag for every API server; may be repeated' },
  'store-arg': { type: 'strings', default: [], help: 'A flag for every store member; may be repeated' },
  'local-storage': {
    type: 'boolean',
    default: false,
    help: 'A default StorageClass "standard" whose volumes are directories of the nodes',
  },
  faketime: {
    type: 'string',
    default: '',
    help: 'libfaketimeMT.so.1, so that the clock-jump drill can move clocks one by one',
  },
  redis: {
    type: 'string',
    default: '',
    help: 'A redis-server program: one is run for what API servers share, and for the redis-loss drill',
  },
  'etcd-servers': {
    type: 'strings',
    default: [],
    help: 'An etcd that is there already, instead of store members of its own; TLS files by --apiserver-arg',
  },
  console: {
    type: 'boolean',
    default: false,
    help: 'The web console too, on the port + 71; prints a one-time link for the administrator',
  },
  'certificate-lifetime': {
    type: 'duration',
    default: '8760h',
    help: 'How long certificates live that are made now; they are renewed after two thirds of it',
  },
  'ready-timeout': {
    type: 'duration',
    default: `${limits.readyTimeoutMs / 1000}s`,
    help: 'How long everything together may take to be ready before it is stopped again',
  },
  detach: {
    type: 'boolean',
    default: false,
    help: 'Return when everything is ready and go on in the background',
  },
};

export const upFlags = specs;

/** Repeatable flags of other programs may contain commas, so they are collected before the comma-splitting parser sees them. */
function takeArguments(argv: readonly string[]): { rest: string[]; collected: Record<string, string[]> } {
  const collected: Record<string, string[]> = { 'apiserver-arg': [], 'store-arg': [] };
  const rest: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const match = /^--?(apiserver-arg|store-arg)(?:=(.*))?$/s.exec(argv[index] as string);
    if (!match) rest.push(argv[index] as string);
    else collected[match[1] as string]?.push(match[2] ?? argv[++index] ?? '');
  }
  return { rest, collected };
}

interface UpOptions {
  readonly options: PlaneOptions;
  readonly detach: boolean;
  readonly readyTimeoutMs: number;
}

function readOptions(argv: readonly string[]): UpOptions {
  const { rest, collected } = takeArguments(argv);
  const { values, positional } = parseFlags(specs, rest);
  if (positional.length > 0)
    throw new CommandError(`Unexpected argument "${positional[0]}"; see pilothouse help up`);
  const count = (name: string, least: number, most: number): number => {
    const value = values[name] as number;
    if (value < least || value > most)
      throw new CommandError(`Invalid value ${value} for --${name}: want ${least} to ${most}`);
    return value;
  };
  const members = count('members', 1, 9);
  if (members % 2 === 0)
    throw new CommandError(
      `Invalid value ${members} for --members: an even number tolerates no more failures than one less; want 1, 3, 5, 7 or 9`,
    );
  const runtime = values['runtime'] as string;
  if (runtime !== 'simulated' && runtime !== 'process')
    throw new CommandError(`Invalid value "${runtime}" for --runtime: want simulated or process`);
  if (runtime === 'process' && process.platform !== 'linux')
    throw new CommandError(
      `--runtime process needs Linux, where every address of 127.0.0.0/8 belongs to the host; this is ${process.platform}`,
    );
  const imagesDirectory = values['images-dir'] as string;
  return {
    detach: values['detach'] === true,
    readyTimeoutMs: values['ready-timeout'] as number,
    options: {
      dataDir: path.resolve((values['data-dir'] as string) || defaultDataDirectory()),
      port: count('port', 1024, 65_400),
      members,
      replicas: count('replicas', 1, 10),
      nodes: count('nodes', 0, 10),
      runtime,
      ...(imagesDirectory === '' ? {} : { imagesDirectory: path.resolve(imagesDirectory) }),
      schedulers: count('schedulers', 0, 10),
      controllerManagers: count('controller-managers', 0, 10),
      apiserverArguments: collected['apiserver-arg'] ?? [],
      storeArguments: collected['store-arg'] ?? [],
      etcdServers: values['etcd-servers'] as string[],
      localStorage: values['local-storage'] === true,
      certificateLifetimeMs: lifetimeOf(values['certificate-lifetime'] as number),
      console: values['console'] === true,
      ...(values['faketime'] === ''
        ? {}
        : { faketimeLibrary: existing('faketime', values['faketime'] as string) }),
      ...(values['redis'] === '' ? {} : { redisProgram: existing('redis', values['redis'] as string) }),
    },
  };
}

function lifetimeOf(ms: number): number {
  if (ms < limits.certificateLifetimeMinMs)
    throw new CommandError(
      `Invalid value for --certificate-lifetime: want ${limits.certificateLifetimeMinMs / 1000} s or more`,
    );
  return ms;
}

function existing(flag: string, file: string): string {
  if (!existsSync(file))
    throw new CommandError(`Invalid value "${file}" for --${flag}: there is no such file`);
  return path.resolve(file);
}

/** `pilothouse up`: starts a whole plane and keeps it running. */
export async function up(argv: readonly string[]): Promise<void> {
  const { options, detach, readyTimeoutMs } = readOptions(argv);
  const running = readState(options.dataDir);
  if (running && isAlive(running.supervisorPid)) {
    throw new CommandError(
      `A plane already runs in "${options.dataDir}" (process ${running.supervisorPid}, ${running.server}); stop it with: pilothouse down --data-dir ${options.dataDir}`,
    );
  }
  prepareDirectories(options.dataDir);
  if (running) await stopLeftovers(running);
  if (detach) {
    const seconds = await startDetached(argv, options.dataDir, readyTimeoutMs);
    process.stdout.write(
      `Ready after ${seconds.toFixed(1)} s: ${serverUrl(options)}\nexport KUBECONFIG=${kubeconfigPath(options.dataDir, 'admin')}\n${consoleLine(options)}`,
    );
  } else await runForeground(options, argv, readyTimeoutMs);
}

async function runForeground(
  options: PlaneOptions,
  argv: readonly string[],
  readyTimeoutMs: number,
): Promise<void> {
  const startedMs = nodeClock.monotonic();
  const say = (text: string): void =>
    void process.stdout.write(
      `[${((nodeClock.monotonic() - startedMs) / 1000).toFixed(1).padStart(5)} s] ${text}\n`,
    );
  const identity = loadIdentity(options);
  let pki = await prepareIdentities(options);
  say(
    `Certificates in ${pki.directory}${pki.changed.length === 0 ? '' : ` (made or renewed: ${pki.changed.length})`}`,
  );
  const processes = planProcesses(options, identity.clusterToken);
  await checkPorts(processes, options.port);

  forgetPrograms(options.dataDir);
  let ready = false;
  const exits = new Map<string, number>();
  let failure: CommandError | undefined;
  const logFile = (spec: ProcessSpec): string => path.join(options.dataDir, 'logs', `${spec.name}.log`);
  const supervisor = new Supervisor({
    command(spec) {
      if (spec.program !== undefined) return [spec.program];
      const next = programOf(options.dataDir, spec.name);
      return [...(next === undefined ? pilothouseCommand() : [next]), spec.component];
    },
    logDirectory: path.join(options.dataDir, 'logs'),
    clock: nodeClock,
    environment: (spec) => clockEnvironment(options, spec),
    onChange: (records) =>
      writeState(options.dataDir, {
        supervisorPid: process.pid,
        ready,
        server: serverUrl(options),
        processes: records,
        arguments: argv,
      }),
    onExit: (spec, how) => {
      say(`${spec.name} ended (${how}), starting it again; log: ${logFile(spec)}`);
      const count = (exits.get(spec.name) ?? 0) + 1;
      exits.set(spec.name, count);
      if (ready || count < limits.startAttempts) return;
      failure ??= new CommandError(
        `${spec.name} does not start (${how}, ${count} times): ${lastLine(logFile(spec))}; see ${logFile(spec)}`,
      );
    },
  });
  let stopping = false;
  const isStopping = (): boolean => {
    if (failure) throw failure;
    return stopping;
  };
  const stopped = new Promise<void>((resolve) => {
    const stop = (): void => {
      if (stopping) return;
      stopping = true;
      say('Stopping');
      void supervisor.stop().then(resolve);
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    process.on('SIGHUP', stop);
  });

  // From the start on: certificates that live short may end before everything is ready.
  const endRenewal = keepRenewed(options, nodeClock, say, (renewed) => (pki = renewed));
  const lateAt = { deadlineMs: startedMs + readyTimeoutMs, afterSeconds: readyTimeoutMs / 1000 };
  const layer = (...components: ProcessSpec['component'][]): ProcessSpec[] =>
    processes.filter((spec) => components.includes(spec.component));
  const comeUp = (
    what: string,
    waiting: readonly ProcessSpec[],
    isReady: (spec: ProcessSpec) => Promise<boolean>,
  ): Promise<void> => waitFor(what, waiting, isReady, { say, isStopping, ...lateAt });
  try {
    for (const spec of layer('redis', 'store', 'apiserver', 'load-balancer')) supervisor.start(spec);
    await comeUp('store', layer('store'), (spec) => storeReady(spec, pki));
    await comeUp('API servers', layer('apiserver'), (spec) => healthy(spec, pki, '/readyz'));
    if (options.localStorage)
      await addLocalStorage(serverUrl(options), {
        ca: pki.ca.certPem,
        cert: pki.admin.certPem,
        key: pki.admin.keyPem,
        timeoutMs: limits.rejoinCallTimeoutMs,
      });
    for (const spec of layer('scheduler', 'controller-manager', 'node-agent', 'console'))
      supervisor.start(spec);
    await comeUp('schedulers', layer('scheduler'), (spec) => healthy(spec, pki, '/healthz'));
    await comeUp('controller managers', layer('controller-manager'), (spec) =>
      healthy(spec, pki, '/healthz'),
    );
    await comeUp('nodes', layer('node-agent'), (spec) => nodeReady(spec, options, pki));
    await comeUp('console', layer('console'), consoleReady);
  } catch (error) {
    if (!stopping) {
      endRenewal();
      await supervisor.stop();
      throw error;
    }
  }
  if (!stopping) {
    ready = true;
    writeState(options.dataDir, {
      supervisorPid: process.pid,
      ready,
      server: serverUrl(options),
      processes: supervisor.processes(),
      arguments: argv,
    });
    say('Everything is ready');
    // Detached, standard output is a log, and the command in front tells the link.
    if (process.stdout.isTTY) process.stdout.write(consoleLine(options));
    process.stdout.write(`
  The API is at ${serverUrl(options)}. In another terminal:

    export KUBECONFIG=${kubeconfigPath(options.dataDir, 'admin')}
    kubectl get nodes
    kubectl create deployment web --image=nginx --replicas=3 && kubectl rollout status deployment/web

  Logs: ${path.join(options.dataDir, 'logs')}. Ctrl-C stops everything; the data stays.

`);
  }
  await stopped;
  endRenewal();
  writeState(options.dataDir, { supervisorPid: 0, ready: false, server: serverUrl(options), processes: [] });
  say('Stopped');
}

async function consoleReady(spec: ProcessSpec): Promise<boolean> {
  return (await probe({ url: `http://${spec.address}/readyz`, timeoutMs }))?.status === 200;
}

/** Where the console is, with the link that logs in once. */
function consoleLine(options: PlaneOptions): string {
  if (options.console !== true) return '';
  return `Console, for one login: ${readFileSync(consoleLinkPath(options.dataDir), 'utf8').trim()}\n`;
}

/** A clock of its own for each process, when the clock-jump drill is wanted; only the wall clock moves. */
function clockEnvironment(options: PlaneOptions, spec: ProcessSpec): Readonly<Record<string, string>> {
  if (options.faketimeLibrary === undefined) return {};
  const file = path.join(options.dataDir, 'run', `clock-${spec.name}`);
  writeFileSync(file, '+0\n');
  return {
    LD_PRELOAD: options.faketimeLibrary,
    FAKETIME_TIMESTAMP_FILE: file,
    // Reading the file at each look at the clock would slow everything down.
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
}

async function waitFor(
  what: string,
  waiting: readonly ProcessSpec[],
  isReady: (spec: ProcessSpec) => Promise<boolean>,
  how: {
    readonly deadlineMs: number;
    readonly afterSeconds: number;
    say(text: string): void;
    isStopping(): boolean;
  },
): Promise<void> {
  if (waiting.length === 0) return;
  let open = [...waiting];
  while (open.length > 0) {
    if (how.isStopping()) throw new CommandError('Stopped while starting');
    const checked = await Promise.all(
      open.map(async (spec) => ({ spec, ready: await isReady(spec).catch(() => false) })),
    );
    open = checked.filter((each) => !each.ready).map((each) => each.spec);
    if (open.length === 0) break;
    if (nodeClock.monotonic() > how.deadlineMs) {
      throw new CommandError(
        `Not ready after ${how.afterSeconds} s (--ready-timeout), everything was stopped again: ${open.map((spec) => spec.name).join(', ')}; their logs are beside this plane's data`,
      );
    }
    await sleep(nodeClock, limits.probeIntervalMs);
  }
  how.say(`${what} ready (${waiting.length})`);
}

const timeoutMs = limits.probeTimeoutMs;

async function storeReady(spec: ProcessSpec, pki: Pki): Promise<boolean> {
  const { certPem: cert, keyPem: key } = pki.storeClient;
  return (
    (await probe({ url: `https://${spec.address}/readyz`, ca: pki.storeCa.certPem, cert, key, timeoutMs }))
      ?.status === 200
  );
}

async function healthy(spec: ProcessSpec, pki: Pki, endpoint: string): Promise<boolean> {
  return (
    (await probe({ url: `https://${spec.address}${endpoint}`, ca: pki.ca.certPem, timeoutMs }))?.status ===
    200
  );
}

async function nodeReady(spec: ProcessSpec, options: PlaneOptions, pki: Pki): Promise<boolean> {
  const { certPem: cert, keyPem: key } = pki.admin;
  const answer = await probe({
    url: `${serverUrl(options)}/api/v1/nodes/${spec.name}`,
    ca: pki.ca.certPem,
    cert,
    key,
    timeoutMs,
  });
  if (answer?.status !== 200) return false;
  try {
    const node = JSON.parse(answer.body) as {
      status?: { conditions?: { type: string; status: string }[] };
      spec?: { taints?: { effect: string }[] };
    };
    const isReady =
      node.status?.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') ?? false;
    // A node that still carries the not-ready taint would not take the first pod.
    return (
      isReady &&
      (options.controllerManagers === 0 ||
        !(node.spec?.taints ?? []).some((taint) => taint.effect === 'NoSchedule'))
    );
  } catch (error) {
    throw new CommandError(`Node ${spec.name}: ${errorMessage(error)}`);
  }
}
