import { request } from 'node:https';

const timeoutMs = 20_000;
const bodyBytesMax = 10 * 1024;

/** GET of an HTTPS path on this machine. The certificate is not checked: nothing but the answer's status is believed. */
export function probeLocal(port: number, path: string): Promise<{ healthy: boolean; message: string }> {
  const url = `https://127.0.0.1:${port}${path}`;
  return new Promise((resolve) => {
    const fail = (text: string): void => resolve({ healthy: false, message: `Get "${url}": ${text}` });
    const call = request(url, { rejectUnauthorized: false, agent: false, timeout: timeoutMs }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        if (body.length < bodyBytesMax) body += chunk;
      });
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        const healthy = status >= 200 && status < 400;
        resolve({ healthy, message: healthy ? body : `HTTP probe failed with statuscode: ${status}` });
      });
      response.on('error', (error) => fail(error.message));
    });
    call.on('timeout', () => call.destroy(new Error('context deadline exceeded')));
    call.on('error', (error: NodeJS.ErrnoException) => {
      const refused = error.code === 'ECONNREFUSED';
      fail(refused ? `dial tcp 127.0.0.1:${port}: connect: connection refused` : error.message);
    });
    call.end();
  });
}
