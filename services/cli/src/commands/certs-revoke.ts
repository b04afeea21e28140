import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { FlagSpecs } from '@pilothouse/host';
import { flagUsage, nodeClock, parseFlags, revocationFile, revokeSerials } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { pkiDirectory } from '../plane/layout.ts';

const flags: FlagSpecs = {
  'data-dir': { type: 'string', default: '', help: 'Of a plane; its certificates are below' },
  'cert-dir': { type: 'string', default: 'pki', help: 'Directory of the certificates' },
};

export const revokeUsage = `pilothouse certs revoke WHAT…   API servers refuse these client certificates (--client-crl-file): names in the directory, files, or serial numbers in hex
${flagUsage(flags)}
`;

/** Serial number of what the command line names. */
function serialOf(directory: string, what: string): string {
  const inDirectory = path.join(directory, `${what}.crt`);
  const file = existsSync(inDirectory) ? inDirectory : what;
  if (existsSync(file)) {
    let certificate: X509Certificate;
    try {
      certificate = new X509Certificate(readFileSync(file));
    } catch {
      throw new CommandError(`Cannot read a certificate from "${file}"`);
    }
    if (certificate.ca)
      throw new CommandError(`"${what}" is an authority: replace it (pilothouse certs rotate-ca)`);
    const authority = new X509Certificate(readFileSync(path.join(directory, 'ca.crt')));
    if (certificate.issuer !== authority.issuer)
      throw new CommandError(
        `"${what}" is of another authority: API servers ask the list for certificates of "ca" only`,
      );
    return certificate.serialNumber;
  }
  const hex = what.replace(/^0x/i, '').replaceAll(':', '');
  if (/^[0-9a-f]{8,40}$/i.test(hex)) return hex;
  throw new CommandError(
    `No certificate "${what}": want a name in "${directory}", a file, or a serial number in hex`,
  );
}

/** `pilothouse certs revoke`. */
export async function revokeCertificates(argv: readonly string[]): Promise<void> {
  const { values, positional } = parseFlags(flags, argv);
  const dataDir = values['data-dir'] as string;
  const directory = dataDir === '' ? (values['cert-dir'] as string) : pkiDirectory(path.resolve(dataDir));
  if (positional.length === 0) throw new CommandError('Nothing to revoke; see pilothouse certs help');
  const read = (name: string): string => {
    try {
      return readFileSync(path.join(directory, name), 'utf8');
    } catch {
      throw new CommandError(`No "${name}" in "${directory}": revoking needs the authority and its key`);
    }
  };
  const authority = { certPem: read('ca.crt'), keyPem: read('ca.key') };
  const serials = positional.map((what) => serialOf(directory, what));
  const fresh = await revokeSerials(directory, serials, authority, nodeClock);
  process.stdout.write(
    fresh.length === 0
      ? 'All of them were revoked before\n'
      : `Revoked in ${revocationFile(directory)}: ${fresh.join(', ')}\n`,
  );
  const own = positional.filter((what) => existsSync(path.join(directory, `${what}.crt`)));
  if (own.length > 0)
    process.stdout.write(`New ones in their place: pilothouse certs renew ${own.join(' ')}\n`);
}
