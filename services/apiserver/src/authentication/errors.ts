/** A credential was there and is bad. The text goes to TokenReview and the log; other clients only get `Unauthorized`. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

/** A bearer token that no method knows. */
export const invalidBearerToken = 'invalid bearer token';
