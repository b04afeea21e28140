/** One SRV record (RFC 2782). */
export interface ServiceRecord {
  /** Host name, without a dot at its end. */
  readonly host: string;
  readonly port: number;
  /** Lower ones first. */
  readonly priority: number;
  readonly weight: number;
}

/** Names of the network as a parameter. Both calls reject when there is no answer, or none with what was asked for. */
export interface NameLookup {
  /** SRV records of `name`, such as `_etcd-server._tcp.example.com`. */
  services(name: string): Promise<readonly ServiceRecord[]>;
  /** IP addresses of a host; an address is its own. */
  addresses(host: string): Promise<readonly string[]>;
}
