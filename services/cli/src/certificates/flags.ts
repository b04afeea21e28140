import type { FlagSpecs } from '@pilothouse/host';

export const directoryFlag: FlagSpecs = {
  'cert-dir': { type: 'string', default: 'pki', help: 'Directory of the certificates' },
};

/** What certificates are made with. */
export const initFlags: FlagSpecs = {
  ...directoryFlag,
  server: {
    type: 'string',
    default: 'https://127.0.0.1:6443',
    help: 'Address of the API that goes into the kubeconfigs',
  },
  'internal-server': {
    type: 'string',
    default: '',
    help: 'Address for the components and nodes, where it differs from --server',
  },
  'kubeconfig-dir': { type: 'string', default: '', help: 'Where kubeconfigs go; empty: none are written' },
  hosts: { type: 'strings', default: [], help: 'Further names and addresses of the API servers' },
  'store-hosts': { type: 'strings', default: [], help: 'Names and addresses of the store members' },
  'console-hosts': {
    type: 'strings',
    default: [],
    help: 'Names and addresses of the web console; empty: it gets no certificate',
  },
  nodes: { type: 'strings', default: [], help: 'Nodes that get a certificate' },
  'service-address': { type: 'string', default: '10.96.0.1', help: 'First address of the service network' },
  'secret-prefix': {
    type: 'string',
    default: '',
    help: "Inside a cluster: keep everything in Secrets of the pod's namespace whose names start so",
  },
  'cluster-domain': { type: 'string', default: 'cluster.local', help: 'DNS domain of the cluster' },
};
