import { errorCode, errorMessage } from './errors.ts';

/** What the codes of TLS failures mean for whoever set the two sides up; OpenSSL's words name neither file nor side. */
const meanings: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is from an authority that is not trusted here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is from an authority that is not trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is from an authority that is not trusted here',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself, and not trusted here',
  CERT_SIGNATURE_FAILURE: 'its certificate is from another authority of the same name',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: compare the clocks',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'it does not trust the authority of our certificate',
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'it says that our certificate has expired',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: 'it does not accept our certificate',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'it asks for a certificate, and we have none',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS on this port',
  EPROTO: 'it does not speak TLS on this port, or another version of it',
};

/** Why a connection failed, in words for people where the error has a code that is known, else the error's own. */
export function connectionProblem(error: unknown): string {
  const code = errorCode(error) ?? '';
  const meaning = Object.hasOwn(meanings, code) ? meanings[code] : undefined;
  return meaning === undefined ? errorMessage(error) : `${meaning} (${errorMessage(error)})`;
}
