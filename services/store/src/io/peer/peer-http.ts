import http from 'node:http';
import https from 'node:https';
import type { StoreConfig } from '../../config.ts';
import { memberMessage } from '../../core/index.ts';
import { peerRequest } from '../bootstrap.ts';
import { answerHash } from '../corruption-check.ts';
import type { HttpReply } from '../rpc/http-routes.ts';
import { answerLeaderCall, type PeerPost } from '../rpc/leader-calls.ts';
import { versions, type StoreService } from '../rpc/store-service.ts';

/** Posts to other members over connections that are kept. */
export function peerPost(config: StoreConfig): PeerPost {
  const agents = {
    http: new http.Agent({ keepAlive: true, timeout: 30_000 }),
    https: new https.Agent({ keepAlive: true, timeout: 30_000 }),
  };
  return (url, body, timeoutMs = 2000) =>
    peerRequest(url, config.peerTls, {
      method: 'POST',
      body,
      timeoutMs,
      agent: url.startsWith('https:') ? agents.https : agents.http,
    });
}

/** What members ask each other over HTTP on the peer port. */
export async function servePeer(
  request: http.IncomingMessage,
  clusterId: bigint,
  service: StoreService | undefined,
): Promise<HttpReply> {
  const json = (value: unknown): HttpReply => ({
    status: 200,
    contentType: 'application/json',
    body: JSON.stringify(value),
  });
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += String(chunk);
    if (body.length > 4096) return { status: 413, contentType: 'text/plain', body: 'request is too large\n' };
  }
  if (service === undefined) return { status: 503, contentType: 'text/plain', body: 'not started\n' };
  if (pathname === '/version') {
    return json({
      etcdserver: versions.server,
      etcdcluster: service.machine.clusterVersion ?? 'not_decided',
      storage: versions.storage,
    });
  }
  if (pathname === '/members') {
    const members = service.machine.members
      .list()
      .map((member) => ({ ...memberMessage(member), ID: undefined, id: member.id.toString(16) }));
    return json({ clusterId: clusterId.toString(16), members });
  }
  if (pathname === '/members/hashkv' && request.method === 'POST')
    return { status: 200, contentType: 'application/json', body: answerHash(service, body) };
  const answer = request.method === 'POST' ? await answerLeaderCall(service, pathname, body) : undefined;
  return answer === undefined
    ? { status: 404, contentType: 'text/plain', body: '404 page not found\n' }
    : { status: 200, contentType: 'application/json', body: answer };
}
