import type { Random } from '@pilothouse/base';

/** No vowels and no characters that look alike, so that names spell nothing (upstream's util/rand). */
export const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;
const generatedNameMaxLength = 63;

/** `length` characters of {@link suffixAlphabet}. */
export function randomSuffix(random: Random, length = suffixLength): string {
  let suffix = '';
  for (let index = 0; index < length; index++)
    suffix += suffixAlphabet[random.integer(suffixAlphabet.length)];
  return suffix;
}

/** The name of an object that gave only a generateName: the base cut to 58 characters, and five random ones. */
export function generateName(base: string, random: Random): string {
  return base.slice(0, generatedNameMaxLength - suffixLength) + randomSuffix(random);
}

/** Upstream's SafeEncodeString: maps each character of a hash into the alphabet of suffixes. */
export function safeEncode(text: string): string {
  let out = '';
  for (let index = 0; index < text.length; index++)
    out += suffixAlphabet[text.charCodeAt(index) % suffixAlphabet.length];
  return out;
}
