import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const usage = 'usage: pilothouse-probe URL [--ca=FILE] [--cert=FILE --key=FILE] [--timeout=SECONDS]\n';

/**
 * Health check for containers without a shell: ends with status 0 when URL answers 2xx, else with 1 and the reason on stderr.
 * Loads nothing but Node's HTTP client, since it runs every few seconds beside the component.
 */
export function runProbe(argv: readonly string[]): void {
  const flags = new Map<string, string>();
  let url = '';
  for (const argument of argv) {
    const match = /^--(ca|cert|key|timeout)=(.*)$/.exec(argument);
    if (match) flags.set(match[1] as string, match[2] as string);
    else url = argument;
  }
  const fail = (reason: string): never => {
    process.stderr.write(`${reason}\n`);
    process.exit(1);
  };
  if (!/^https?:\/\//.test(url)) fail(usage);
  const pem = (name: string): Record<string, Buffer> => {
    const file = flags.get(name);
    return file === undefined ? {} : { [name]: readFileSync(file) };
  };
  const options = { timeout: Number(flags.get('timeout') ?? '3') * 1000, agent: false as const };
  const request = url.startsWith('https:')
    ? https.get(url, { ...options, ...pem('ca'), ...pem('cert'), ...pem('key') })
    : http.get(url, options);
  request.on('timeout', () => fail(`No answer from ${url}`));
  request.on('error', (error) => fail(`Cannot reach ${url}: ${error.message}`));
  request.on('response', (response) => {
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) process.exit(0);
    response.setEncoding('utf8');
    let body = '';
    response.on('data', (chunk: string) => (body += chunk));
    response.on('end', () => fail(`${url} answered ${status}: ${body.slice(0, 500)}`));
  });
}
