import { createHash, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { PkiOptions } from '@pilothouse/host';
import { CommandError } from '../errors.ts';

const dayMs = 86_400_000;

export interface CertificateStatus {
  /** File without its ending, relative to the directory, e.g. `etcd/server`. */
  readonly name: string;
  readonly subject: string;
  readonly issuer: string;
  readonly authority: boolean;
  /** RFC 3339. */
  readonly expires: string;
  /** Whole days; negative when expired. */
  readonly daysLeft: number;
  /** Less than a third of its life is left. */
  readonly due: boolean;
  readonly sha256: string;
}

/** Every certificate of the `*.crt` below the directory, by name; of a bundle of authorities each. */
export function certificateStatuses(directory: string, nowMs: number): CertificateStatus[] {
  let files: string[];
  try {
    files = readdirSync(directory, { recursive: true }) as string[];
  } catch {
    throw new CommandError(`No certificates in "${directory}": name their directory with --cert-dir`);
  }
  const commonName = (text: string): string => /(?:^|\n)CN=([^\n]*)/.exec(text)?.[1] ?? text;
  return files
    .filter((file) => file.endsWith('.crt') && !file.startsWith('rotation'))
    .sort()
    .flatMap((file) =>
      blocksOf(readFileSync(path.join(directory, file), 'utf8')).map((block) => {
        const certificate = new X509Certificate(block);
        const startsMs = Date.parse(certificate.validFrom);
        const expiresMs = Date.parse(certificate.validTo);
        return {
          name: file.slice(0, -'.crt'.length),
          subject: commonName(certificate.subject),
          issuer: commonName(certificate.issuer),
          authority: certificate.ca,
          expires: new Date(expiresMs).toISOString(),
          daysLeft: Math.floor((expiresMs - nowMs) / dayMs),
          due: expiresMs - nowMs < (expiresMs - startsMs) / 3,
          sha256: createHash('sha256').update(certificate.raw).digest('hex'),
        };
      }),
    );
}

/** Certificates of a PEM text. */
export function blocksOf(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
}

/** DNS names and addresses that a certificate is good for; none when it is missing. */
function namesIn(directory: string, name: string): string[] {
  let pem: string;
  try {
    pem = readFileSync(path.join(directory, `${name}.crt`), 'utf8');
  } catch {
    return [];
  }
  const names = new X509Certificate(pem).subjectAltName ?? '';
  return names
    .split(', ')
    .map((each) => each.replace(/^(DNS|IP Address):/, ''))
    .filter((each) => each !== '');
}

/** What was asked for when the leaves of a directory were made, so that new ones have the same names. */
export function optionsOfIssued(
  directory: string,
  nowMs: number,
): Required<Pick<PkiOptions, 'hosts' | 'storeHosts' | 'consoleHosts' | 'nodes'>> {
  const nodes = certificateStatuses(directory, nowMs)
    .map((each) => each.name)
    .filter((name) => name.startsWith('nodes/'));
  return {
    hosts: namesIn(directory, 'apiserver'),
    storeHosts: namesIn(directory, 'etcd/server'),
    consoleHosts: namesIn(directory, 'console'),
    nodes: [...new Set(nodes)].map((name) => ({
      name: name.slice('nodes/'.length),
      hosts: namesIn(directory, name),
    })),
  };
}
