import fs from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { errorMessage } from '@pilothouse/base';
import { FlagError, flagUsage, nodeClock } from '@pilothouse/host';
import { parseConfig, type ParsedConfig } from './config.ts';
import { commitErrorOf, diskProblem } from './io/bootstrap.ts';
import { createStoreLogger, type StoreLogger } from './io/log.ts';
import { versions } from './io/rpc/store-service.ts';
import { RotatingFile, type LogRotation } from './io/rotating-file.ts';
import { startGateway } from './gateway-command.ts';
import { startStore } from './server.ts';
import { storeFlags } from './store-flags.ts';

/** As in the API server: V8 compiles after a seventh of what it usually waits for (bytes of bytecode that ran). */
const compileAfter = '--interrupt-budget=10000';

/**
 * Runs one member with etcd's flags until SIGTERM or SIGINT. Resolves when it has stopped; on failure it logs why and sets
 * the exit code.
 */
export async function runStore(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<void> {
  if (argv[0] === 'gateway') return runGateway(argv.slice(1));
  let parsed: ParsedConfig;
  try {
    const result = parseConfig(argv, env);
    if (result.kind === 'version') {
      const go = `node${process.version}`;
      process.stdout.write(
        `etcd Version: ${versions.server}\nGit SHA: pilothouse\nGo Version: ${go}\nGo OS/Arch: ${process.platform}/${process.arch}\n`,
      );
      return;
    }
    if (result.kind === 'help') {
      process.stdout.write(`Usage:\n\n  etcd [flags]\n\n${flagUsage(storeFlags)}\n`);
      return;
    }
    parsed = result;
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    const logger = stderrLogger('info');
    if (/TLS key\/cert|invalid value/.test(error.message)) logger.fatal(error.message);
    process.stderr.write(`${error.message}\nRun with --help to see all flags.\n`);
    process.exitCode = 1;
    return;
  }
  setFlagsFromString(compileAfter);
  const { config } = parsed;
  const logger = fileLogger(config.logLevel, config.logOutputs, config.logRotation);
  for (const warning of parsed.warnings) logger.warn(warning);
  logger.info('starting an etcd server', {
    'etcd-version': versions.server,
    'node-version': process.version,
    name: config.name,
    'data-dir': config.dataDir,
    'initial-cluster-state': config.initialClusterState,
    'heartbeat-interval': `${config.heartbeatMs}ms`,
    'election-timeout': `${config.electionMs}ms`,
    'snapshot-count': config.snapshotCount,
    'snapshot-catchup-entries': config.snapshotCatchUpEntries,
    'v2-deprecation': 'write-only',
    flags: parsed.given,
  });
  const fail = (problem: unknown): Promise<void> | void => {
    const pending = commitErrorOf(problem);
    if (pending !== undefined) return pending.then(fail);
    const error = diskProblem(config, problem);
    logger.fatal(
      errorMessage(error),
      error instanceof Error && error.cause !== undefined ? { cause: errorMessage(error.cause) } : {},
    );
    process.exit(1);
  };
  try {
    const server = await startStore(config, { logger, onFatal: fail, processMetrics: true });
    await new Promise<void>((resolve) => {
      const stop = (signal: NodeJS.Signals): void => {
        process.off('SIGTERM', stop);
        process.off('SIGINT', stop);
        logger.info('received signal; shutting down...', { signal });
        server.close().then(resolve, fail);
      };
      process.on('SIGTERM', stop);
      process.on('SIGINT', stop);
    });
    logger.info('closed etcd server', { name: config.name });
  } catch (error) {
    // Whoever called ends the process when this returns: the reason is waited for.
    await fail(error);
  }
}

/** `etcd gateway start` until SIGTERM or SIGINT. */
async function runGateway(argv: readonly string[]): Promise<void> {
  const logger = stderrLogger('info');
  try {
    const gateway = await startGateway(argv, logger);
    if (gateway === undefined) return;
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
    });
    await gateway.close();
  } catch (error) {
    if (!(error instanceof FlagError)) logger.fatal(errorMessage(error));
    else process.stderr.write(`${error.message}\nRun "etcd gateway start --help" to see all flags.\n`);
    process.exitCode = 1;
  }
}

type Level = Parameters<typeof createStoreLogger>[0]['level'];

const stderrLogger = (level: Level): StoreLogger => fileLogger(level, ['stderr']);

/** Writes to each of `outputs`: `default` and `stderr`, `stdout`, or the path of a file that is appended to. */
function fileLogger(level: Level, outputs: readonly string[], rotation?: LogRotation): StoreLogger {
  const now = (): number => nodeClock.now();
  const rotating = rotation === undefined ? undefined : new RotatingFile(outputs[0] as string, rotation, now);
  const files = outputs.length === 0 ? ['default'] : outputs;
  const descriptors = (rotating === undefined ? files : []).map((output) => {
    if (output === 'stdout') return 1;
    return output === 'default' || output === 'stderr' ? 2 : fs.openSync(output, 'a', 0o600);
  });
  return createStoreLogger({
    level,
    now,
    // Synchronous, so that the last line before an exit is complete.
    write: (line) => {
      try {
        rotating?.write(line);
      } catch {
        // Nor must a full disk of logs.
      }
      for (const descriptor of descriptors) {
        try {
          fs.writeSync(descriptor, line);
        } catch {
          // A closed terminal must not stop the server.
        }
      }
    },
  });
}
