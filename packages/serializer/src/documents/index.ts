/** Configuration files of programs: apart from the kinds' codecs, which such a program may have no use for. */
export { joinedFindings, readConfigDocument } from '../config-document.ts';
export type { ConfigShape } from '../config-document.ts';
export { parseDuration } from '../go-duration.ts';
