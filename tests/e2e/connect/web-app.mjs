// A small dashboard: a page with absolute links, a script, an API, a redirect, and a WebSocket that echoes. Runs inside a pod.
import { createHash } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';

const host = process.env.POD_IP;
const server = http.createServer((request, response) => {
  const path = (request.url ?? '/').split('?')[0];
  if (path === '/') {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(
      '<!doctype html><html><head><link href="/style.css" rel="stylesheet"><script src="/app.js"></script></head>' +
        '<body><a href="/items/1?x=1&amp;y=2">one</a> <a href="items/2">two</a> <a href="https://example.org/">out</a></body></html>',
    );
  } else if (path === '/old') response.writeHead(302, { location: '/new' }).end();
  else if (path === '/echo') {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          method: request.method,
          url: request.url,
          headers: request.headers,
          length: Buffer.concat(pieces).length,
          pod: process.env.HOSTNAME,
        }),
      );
    });
  } else response.writeHead(path === '/style.css' ? 200 : 404, { 'content-type': 'text/plain' }).end(path);
});
server.on('upgrade', (request, socket) => {
  const key = createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
  );
  // One short text frame from the client comes back with its letters in capitals.
  socket.once('data', (frame) => {
    const length = frame[1] & 0x7f;
    const mask = frame.subarray(2, 6);
    const text = Buffer.from(frame.subarray(6, 6 + length).map((byte, at) => byte ^ mask[at % 4]))
      .toString()
      .toUpperCase();
    socket.end(Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text), Buffer.from([0x88, 0])]));
  });
  socket.on('error', () => socket.destroy());
});
server.listen(8080, host, () => console.log(`listening on ${host}`));
// Beside it a TCP port that gives back what it gets.
net.createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket)).listen(9090, host);
