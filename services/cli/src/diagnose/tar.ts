/** One file of an archive. */
export interface ArchiveFile {
  /** Relative, below 100 characters. */
  readonly name: string;
  readonly text: string;
}

const block = 512;

/** A tar archive (POSIX ustar) of texts. Every file has the same owner and time, so that equal contents make equal archives. */
export function tarOf(files: readonly ArchiveFile[], timeSeconds: number): Buffer {
  const parts: Buffer[] = [];
  for (const { name, text } of files) {
    if (Buffer.byteLength(name) >= 100) throw new Error(`The name "${name}" is too long for an archive`);
    const body = Buffer.from(text);
    const header = Buffer.alloc(block);
    const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
    header.write(name, 0);
    header.write(octal(0o644, 8), 100);
    header.write(octal(0, 8), 108);
    header.write(octal(0, 8), 116);
    header.write(octal(body.length, 12), 124);
    header.write(octal(timeSeconds, 12), 136);
    header.write(' '.repeat(8), 148);
    header.write('0', 156);
    header.write('ustar\x0000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    parts.push(header, body, Buffer.alloc((block - (body.length % block)) % block));
  }
  parts.push(Buffer.alloc(2 * block));
  return Buffer.concat(parts);
}
