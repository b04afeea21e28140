import { x509 } from './certificate.ts';

/** Reads revocation lists; gives the serial numbers in them, lower-case hex without leading zeros. Throws on other input. */
export type RevocationReader = (list: Buffer) => Set<string>;

/** The form in which serial numbers are compared. */
export function plainSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}

/** The library is loaded once; afterwards lists (PEM or DER) are read without waiting. */
export async function loadRevocationReader(): Promise<RevocationReader> {
  const { X509Crl } = await x509();
  return (list) => {
    const parsed = new X509Crl(list.includes('-----BEGIN') ? list.toString('latin1') : list);
    return new Set(parsed.entries.map(({ serialNumber }) => plainSerial(serialNumber)));
  };
}
