import { setFlagsFromString } from 'node:v8';
import { errorMessage } from '@pilothouse/base';
import { createLogger, FlagError, flagUsage } from '@pilothouse/host';
import { parseConfig } from './config.ts';
import { flagSpecs } from './flags.ts';
import { startApiServer } from './start.ts';
import { buildVersion } from './version.ts';

/**
 * V8 compiles what has run this much (bytes of bytecode) instead of the usual seven times as much: clients that ask one after the other
 * would otherwise meet slow code for minutes. See docs/performance.md.
 */
const compileAfter = '--interrupt-budget=10000';

/** Runs a server until a signal ends it. `argv` without program and script. A bad flag ends the process with code 1. */
export async function runApiServer(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`Usage: pilothouse apiserver [flags]\n\n${flagUsage(flagSpecs)}\n`);
    return;
  }
  if (argv.includes('--version')) {
    process.stdout.write(`Kubernetes ${buildVersion.info.gitVersion}\n`);
    return;
  }
  let config;
  let warnings: readonly string[];
  try {
    ({ config, warnings } = parseConfig(argv));
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
    return;
  }
  setFlagsFromString(compileAfter);
  const logger = createLogger({ level: config.logLevel, component: 'apiserver' });
  for (const warning of warnings) logger.warn(warning);
  let running;
  try {
    running = await startApiServer(config, { logger });
  } catch (error) {
    process.stderr.write(
      `${error instanceof FlagError || !(error instanceof Error) ? errorMessage(error) : (error.stack ?? error.message)}\n`,
    );
    // What was opened before the failure would keep the process alive.
    process.exit(1);
  }
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        logger.info('Shutting down', { signal });
        resolve();
      });
    }
  });
  await running.close();
}
