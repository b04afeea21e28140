import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { metadataPath, specPath } from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { byteLength, nameIsDnsSubdomain } from '../validation/names.ts';
import { text } from '../validation/values.ts';
import { validateSignerName } from './certificate-signing-request.ts';
import { trustAnchorFaults } from './trust-anchors.ts';

const bundleBytesMax = 1024 * 1024;

const signerOf = (bundle: KubeObject): string => text(bundle['spec']?.signerName);
const anchorsOf = (bundle: KubeObject): string => text(bundle['spec']?.trustBundle);

/** Names of bundles of a signer begin with it: who may write them is decided by the signer. */
function nameFaults(name: string, signer: string): string[] {
  if (signer === '')
    return name.includes(':')
      ? ['ClusterTrustBundle without signer name must not have ":" in its name']
      : nameIsDnsSubdomain(name, false);
  const prefix = `${signer.replaceAll('/', ':')}:`;
  return name.startsWith(prefix)
    ? nameIsDnsSubdomain(name.slice(prefix.length), false)
    : [`ClusterTrustBundle for signerName ${signer} must be named with prefix ${prefix}`];
}

function validateHead(bundle: KubeObject): FieldError[] {
  const name = bundle.metadata.name ?? '';
  const signer = signerOf(bundle);
  return [
    ...nameFaults(name, signer).map((fault) => fieldError.invalid(metadataPath.child('name'), name, fault)),
    ...(signer === '' ? [] : validateSignerName(signer)),
  ];
}

function validateAnchors(bundle: KubeObject): FieldError[] {
  const path = specPath.child('trustBundle');
  const anchors = anchorsOf(bundle);
  if (byteLength(anchors) > bundleBytesMax) return [fieldError.tooLong(path, bundleBytesMax)];
  return trustAnchorFaults(anchors).map((fault) => fieldError.invalid(path, '<value omitted>', fault));
}

/** Behind gate ClusterTrustBundle, which is off by default. */
export const clusterTrustBundleStrategy: ResourceStrategy = {
  group: 'certificates.k8s.io',
  version: 'v1beta1',
  kind: 'ClusterTrustBundle',
  resource: 'clustertrustbundles',
  allowUnconditionalUpdate: false,
  // The name depends on the signer: validateHead.
  validateName: () => [],
  validate: (bundle) => [...validateHead(bundle), ...validateAnchors(bundle)],
  validateUpdate: (bundle, old) => [
    ...validateHead(bundle),
    // What is there already stays good, whatever parsers learn.
    ...(anchorsOf(bundle) === anchorsOf(old) ? [] : validateAnchors(bundle)),
    ...(signerOf(bundle) === signerOf(old)
      ? []
      : [fieldError.invalid(specPath.child('signerName'), signerOf(bundle), 'field is immutable')]),
  ],
};
