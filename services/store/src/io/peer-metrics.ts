import type { Clock } from '@pilothouse/base';
import type { MemberId } from '@pilothouse/raft';
import type { Registry } from 'prom-client';
import { Counter, Gauge, Histogram } from 'prom-client';
import { PeerTraffic } from './peer/peer-traffic.ts';
import type { PeerCounts } from './peer/peer-traffic.ts';

/** etcd's etcd_network_*: what members send each other. */
export function peerMetrics(registry: Registry, clock: Clock, local: MemberId): PeerTraffic {
  const registers = [registry];
  const idOf = (peer: MemberId): string => peer.toString(16);
  const roundTrip = new Histogram({
    name: 'etcd_network_peer_round_trip_time_seconds',
    help: 'Time to a peer and back, measured with heartbeats while this member leads.',
    labelNames: ['To'],
    buckets: Array.from({ length: 16 }, (_, index) => 0.0001 * 2 ** index),
    registers,
  });
  const traffic = new PeerTraffic(clock, (peer, seconds) => roundTrip.observe({ To: idOf(peer) }, seconds));
  const total = (name: string, help: string, label: string, read: (counts: PeerCounts) => number): void => {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [peer, counts] of traffic.counts) this.inc({ [label]: idOf(peer) }, read(counts));
      },
    });
  };
  total('etcd_network_peer_sent_bytes_total', 'Bytes sent to a peer.', 'To', ({ sentBytes }) => sentBytes);
  total(
    'etcd_network_peer_received_bytes_total',
    'Bytes received from a peer.',
    'From',
    ({ receivedBytes }) => receivedBytes,
  );
  total(
    'etcd_network_peer_sent_failures_total',
    'Messages to a peer that were dropped.',
    'To',
    ({ sentFailures }) => sentFailures,
  );
  total(
    'etcd_network_peer_received_failures_total',
    'Connections of a peer that ended with a malformed message.',
    'From',
    ({ receivedFailures }) => receivedFailures,
  );
  new Counter({
    name: 'etcd_server_heartbeat_send_failures_total',
    help: 'Heartbeats that were dropped.',
    registers,
    collect() {
      this.reset();
      let sum = 0;
      for (const { heartbeatFailures } of traffic.counts.values()) sum += heartbeatFailures;
      this.inc(sum);
    },
  });
  const pair = (peer: MemberId): { Local: string; Remote: string } => ({
    Local: idOf(local),
    Remote: idOf(peer),
  });
  const labelNames = ['Local', 'Remote'];
  new Gauge({
    name: 'etcd_network_active_peers',
    help: 'Whether a peer is connected.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [peer, { connections }] of traffic.counts) this.set(pair(peer), connections > 0 ? 1 : 0);
    },
  });
  new Counter({
    name: 'etcd_network_disconnected_peers_total',
    help: 'Connections of peers that broke.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [peer, { disconnects }] of traffic.counts) this.inc(pair(peer), disconnects);
    },
  });
  new Gauge({
    name: 'etcd_network_known_peers',
    help: 'Members that this member knows of, itself included.',
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const peer of [local, ...traffic.counts.keys()]) this.set(pair(peer), 1);
    },
  });
  return traffic;
}
