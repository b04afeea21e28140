import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { errorMessage } from '@pilothouse/base';
import { createAuthority, plainSerial, type RevocationReader } from '@pilothouse/host';
import type { StoreConfig, TlsFiles } from '../config.ts';
import { StartupError } from './startup-error.ts';

interface Material {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
  readonly revoked: ReadonlySet<string>;
}

/**
 * One group of TLS flags (`--cert-file …` or `--peer-cert-file …`) at work: what a server and a client take, and who is let in.
 * The files are read again when they changed, at the next connection: renewed certificates need no restart.
 */
export class TlsContext {
  readonly #files: TlsFiles;
  readonly #flag: string;
  readonly #revocations: RevocationReader | undefined;
  #seen = '';
  #material: Material;
  /** Counts what was read, so that each server hears of a change, whoever noticed it first. */
  #generation = 0;

  /** `revocations` is required where the files name a revocation list. Throws StartupError with the file and `flag`. */
  constructor(files: TlsFiles, flag: string, revocations?: RevocationReader) {
    this.#files = files;
    this.#revocations = revocations;
    this.#flag = flag;
    this.#material = this.#read();
    this.#seen = this.#stamp();
    try {
      tls.createSecureContext(secrets(this.#material));
    } catch (error) {
      throw new StartupError(
        `Cannot use the certificate "${files.certFile}" with the key "${files.keyFile}" for --${flag}: ${errorMessage(error)}`,
        { cause: error },
      );
    }
  }

  #read(): Material {
    const { certFile, keyFile, trustedCaFile, crlFile } = this.#files;
    const read = (file: string, what: string): Buffer => {
      try {
        return fs.readFileSync(file);
      } catch (error) {
        throw new StartupError(`Cannot read ${what} "${file}" for --${this.#flag}: ${errorMessage(error)}`, {
          cause: error,
        });
      }
    };
    return {
      cert: read(certFile, 'the certificate'),
      key: read(keyFile, 'the key'),
      ...(trustedCaFile === '' ? {} : { ca: read(trustedCaFile, 'the authority') }),
      revoked: crlFile === '' ? new Set() : this.#readRevoked(crlFile, read(crlFile, 'the revocation list')),
    };
  }

  /** PEM texts of the server's certificate; its validity is worth a line at the start. */
  get certificate(): Buffer {
    return this.#material.cert;
  }

  #readRevoked(file: string, bytes: Buffer): Set<string> {
    try {
      return this.#revocations?.(bytes) ?? new Set();
    } catch (error) {
      throw new StartupError(`Cannot use the revocation list "${file}": ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }

  #stamp(): string {
    const { certFile, keyFile, trustedCaFile, crlFile } = this.#files;
    return [certFile, keyFile, trustedCaFile, crlFile]
      .map((file) => {
        const found = file === '' ? undefined : fs.statSync(file, { throwIfNoEntry: false });
        return found === undefined ? '' : `${found.ino}:${found.size}:${found.mtimeMs}`;
      })
      .join();
  }

  /** Reads files that changed; a half-written pair waits for the next connection. */
  #refresh(): void {
    const stamp = this.#stamp();
    if (stamp === this.#seen) return;
    try {
      const material = this.#read();
      tls.createSecureContext(secrets(material));
      this.#material = material;
      this.#seen = stamp;
      this.#generation++;
    } catch {
      // The next connection tries again.
    }
  }

  /** Of a TLS server; keep it current with {@link TlsContext.renew}. */
  serverOptions(): tls.TlsOptions {
    const { clientCertAuth, trustedCaFile, minVersion, maxVersion, ciphers } = this.#files;
    const wantsClientCert = clientCertAuth || trustedCaFile !== '';
    return {
      ...secrets(this.#material),
      requestCert: wantsClientCert,
      rejectUnauthorized: wantsClientCert,
      minVersion,
      ...(maxVersion === undefined ? {} : { maxVersion }),
      ...(ciphers === '' ? {} : { ciphers }),
    };
  }

  /** Makes `server` use renewed files from its next connection on. */
  renew(server: tls.Server): void {
    let served = this.#generation;
    server.prependListener('connection', () => {
      this.#refresh();
      if (served === this.#generation) return;
      server.setSecureContext(this.serverOptions());
      served = this.#generation;
    });
  }

  /** Why the holder of a verified certificate may not come in all the same; undefined: it may. */
  refusal(socket: tls.TLSSocket): string | undefined {
    const { allowedCns, allowedHostnames } = this.#files;
    const { revoked } = this.#material;
    if (allowedCns.length === 0 && allowedHostnames.length === 0 && revoked.size === 0) return undefined;
    const certificate = socket.getPeerCertificate();
    // As in etcd the list is believed as it stands: its signature and its age do not count.
    if (certificate.serialNumber !== undefined && revoked.has(plainSerial(certificate.serialNumber)))
      return 'client certificate authentication failed: the certificate is revoked';
    if (allowedCns.length === 0 && allowedHostnames.length === 0) return undefined;
    if (allowedCns.length > 0) {
      const name = certificate.subject?.CN;
      return typeof name === 'string' && allowedCns.includes(name)
        ? undefined
        : 'client certificate authentication failed: the common name is not allowed';
    }
    return allowedHostnames.some((host) => tls.checkServerIdentity(host, certificate) === undefined)
      ? undefined
      : 'client certificate authentication failed: the certificate is for another host';
  }

  /** Of a connection to another member. */
  clientOptions(): tls.ConnectionOptions {
    this.#refresh();
    const { clientCertFile, clientKeyFile, isSelfSigned, minVersion, maxVersion } = this.#files;
    const { cert, key, ca } = this.#material;
    const own = clientCertFile === '' ? { cert, key } : readPair(clientCertFile, clientKeyFile);
    return {
      ...own,
      ...(ca === undefined ? {} : { ca }),
      minVersion,
      ...(maxVersion === undefined ? {} : { maxVersion }),
      // Nobody can check a certificate that its holder signed.
      ...(isSelfSigned ? { rejectUnauthorized: false } : {}),
    };
  }
}

export const hasCertificate = (files: TlsFiles): boolean => files.certFile !== '' && files.keyFile !== '';

function secrets({ cert, key, ca }: Material): { cert: Buffer; key: Buffer; ca?: Buffer } {
  return { cert, key, ...(ca === undefined ? {} : { ca }) };
}

function readPair(certFile: string, keyFile: string): { cert: Buffer; key: Buffer } {
  return { cert: fs.readFileSync(certFile), key: fs.readFileSync(keyFile) };
}

/** Certificates that the server signs itself where `--auto-tls` or `--peer-auto-tls` asks for it; they live in the data directory. */
export async function withAutoTls(config: StoreConfig, nowMs: number): Promise<StoreConfig> {
  const make = async (files: TlsFiles, folder: string): Promise<TlsFiles> => {
    if (!files.auto || files.certFile !== '') return files;
    const directory = path.join(config.dataDir, 'fixtures', folder);
    const certFile = path.join(directory, 'cert.pem');
    const keyFile = path.join(directory, 'key.pem');
    if (!isUsable(certFile, nowMs)) {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
      const { certPem, keyPem } = await createAuthority(
        'etcd',
        nowMs - 300_000,
        nowMs + config.selfSignedCertValidityYears * 365 * 86_400_000,
      );
      fs.writeFileSync(certFile, certPem, { mode: 0o600 });
      fs.writeFileSync(keyFile, keyPem, { mode: 0o600 });
    }
    return { ...files, certFile, keyFile, isSelfSigned: true };
  };
  return {
    ...config,
    clientTls: await make(config.clientTls, 'client'),
    peerTls: await make(config.peerTls, 'peer'),
  };
}

function isUsable(certFile: string, nowMs: number): boolean {
  try {
    return Date.parse(new crypto.X509Certificate(fs.readFileSync(certFile)).validTo) > nowMs;
  } catch {
    return false;
  }
}
