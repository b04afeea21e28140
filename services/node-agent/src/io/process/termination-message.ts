import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Container } from '../../core/pod-shape.ts';
import { parseEntry } from '../../core/process/log-line.ts';

const messageBytesMax = 4096;
const logBytesMax = 2048;
const logLinesMax = 80;

/**
 * What a container left as its last words: the file at terminationMessagePath below CONTAINER_ROOT, or, where the policy says so and the
 * container failed, the end of its log.
 */
export function readTerminationMessage(
  container: Container,
  directory: string,
  logFile: string,
  failed: boolean,
): string {
  const file = path.join(
    directory,
    'root',
    path.normalize(`/${container.terminationMessagePath ?? 'dev/termination-log'}`),
  );
  const text = existsSync(file) && statSync(file).isFile() ? readEnd(file, messageBytesMax, true) : '';
  if (text !== '' || container.terminationMessagePolicy !== 'FallbackToLogsOnError' || !failed) return text;
  if (!existsSync(logFile)) return '';
  const lines = readEnd(logFile, logBytesMax * 2, false)
    .split('\n')
    .map((line) => parseEntry(Buffer.from(line)))
    .flatMap((entry) => (entry ? [entry.text.toString('utf8')] : []));
  return `${lines.slice(-logLinesMax).join('\n')}\n`.slice(-logBytesMax);
}

function readEnd(file: string, bytesMax: number, fromStart: boolean): string {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, bytesMax));
    readSync(fd, buffer, 0, buffer.length, fromStart ? 0 : size - buffer.length);
    return buffer.toString('utf8');
  } finally {
    closeSync(fd);
  }
}
