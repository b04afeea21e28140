/**
 * Rules for names (upstream's apimachinery/pkg/util/validation). Every function returns the problems of a value, none when it is
 * good; the texts are upstream's.
 */

function maxLengthError(length: number): string {
  return `must be no more than ${length} characters`;
}
function maxBytesError(length: number): string {
  return `must be no more than ${length} bytes`;
}
function regexError(message: string, pattern: string, ...examples: string[]): string {
  if (examples.length === 0) return `${message} (regex used for validation is '${pattern}')`;
  const shown = examples.map((example) => `'${example}', `).join(' or ');
  return `${message} (e.g. ${shown}regex used for validation is '${pattern}')`;
}
export const emptyError = 'must be non-empty';

/** Length in bytes of UTF-8, which is what upstream counts. */
export function utf8Length(text: string): number {
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && index + 1 < text.length) {
      length += 4;
      index++;
    } else length += 3;
  }
  return length;
}

const labelPattern = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const labelMessage =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const labelRegex = new RegExp(`^${labelPattern}$`);
export const dns1123LabelMaxLength = 63;

export function isDns1123Label(value: string): string[] {
  const errors: string[] = [];
  if (value.length > dns1123LabelMaxLength) errors.push(maxLengthError(dns1123LabelMaxLength));
  if (!labelRegex.test(value)) {
    if (subdomainRegex.test(value)) errors.push('must not contain dots');
    else errors.push(regexError(labelMessage, labelPattern, 'my-name', '123-abc'));
  }
  return errors;
}

const subdomainPattern = `${labelPattern}(\\.${labelPattern})*`;
const subdomainMessage =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const subdomainRegex = new RegExp(`^${subdomainPattern}$`);
export const dns1123SubdomainMaxLength = 253;

export function isDns1123Subdomain(value: string): string[] {
  const errors: string[] = [];
  if (value.length > dns1123SubdomainMaxLength) errors.push(maxLengthError(dns1123SubdomainMaxLength));
  if (!subdomainRegex.test(value)) errors.push(regexError(subdomainMessage, subdomainPattern, 'example.com'));
  return errors;
}

const underscoreLabelPattern = '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const underscoreSubdomainPattern = `${underscoreLabelPattern}(\\.${underscoreLabelPattern})*`;
const underscoreSubdomainRegex = new RegExp(`^${underscoreSubdomainPattern}$`);

/** As a subdomain, with underscores: names of DNS records. */
export function isDns1123SubdomainWithUnderscore(value: string): string[] {
  const errors: string[] = [];
  if (value.length > dns1123SubdomainMaxLength) errors.push(maxLengthError(dns1123SubdomainMaxLength));
  if (!underscoreSubdomainRegex.test(value)) {
    errors.push(
      regexError(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
        underscoreSubdomainPattern,
        'example.com',
      ),
    );
  }
  return errors;
}

const dns1035Pattern = '[a-z]([-a-z0-9]*[a-z0-9])?';
const dns1035Regex = new RegExp(`^${dns1035Pattern}$`);
export const dns1035LabelMaxLength = 63;

export function isDns1035Label(value: string): string[] {
  const errors: string[] = [];
  if (value.length > dns1035LabelMaxLength) errors.push(maxLengthError(dns1035LabelMaxLength));
  if (!dns1035Regex.test(value)) {
    errors.push(
      regexError(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        dns1035Pattern,
        'my-name',
        'abc-123',
      ),
    );
  }
  return errors;
}

const wildcardPattern = `\\*\\.${subdomainPattern}`;
const wildcardRegex = new RegExp(`^${wildcardPattern}$`);

/** `*.example.com`. */
export function isWildcardDns1123Subdomain(value: string): string[] {
  const errors: string[] = [];
  if (value.length > dns1123SubdomainMaxLength) errors.push(maxLengthError(dns1123SubdomainMaxLength));
  if (!wildcardRegex.test(value)) {
    errors.push(
      regexError(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        wildcardPattern,
        '*.example.com',
      ),
    );
  }
  return errors;
}

const namePartPattern = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const namePartMessage =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const namePartRegex = new RegExp(`^${namePartPattern}$`);
const goodQualifiedNames = new Set<string>();

/** `name` or `example.com/name`: keys of labels and annotations, finalizers, resource names, condition types. */
export function isQualifiedName(value: string): string[] {
  if (goodQualifiedNames.has(value)) return [];
  const errors: string[] = [];
  const parts = value.split('/');
  let name: string;
  if (parts.length === 1) name = value;
  else if (parts.length === 2) {
    const prefix = parts[0] as string;
    name = parts[1] as string;
    if (prefix === '') errors.push('prefix part ' + emptyError);
    else errors.push(...isDns1123Subdomain(prefix).map((text) => `prefix part ${text}`));
  } else {
    return [
      `a valid label key ${regexError(namePartMessage, namePartPattern, 'MyName', 'my.name', '123-abc')} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  if (name === '') errors.push('name part ' + emptyError);
  else if (utf8Length(name) > 63) errors.push('name part ' + maxBytesError(63));
  if (!namePartRegex.test(name)) {
    errors.push('name part ' + regexError(namePartMessage, namePartPattern, 'MyName', 'my.name', '123-abc'));
  }
  // The same few keys come with every object; the set stays small because it is emptied when it is full.
  if (errors.length === 0) {
    if (goodQualifiedNames.size >= 4096) goodQualifiedNames.clear();
    goodQualifiedNames.add(value);
  }
  return errors;
}

const labelValuePattern = `(${namePartPattern})?`;
const labelValueRegex = new RegExp(`^${labelValuePattern}$`);
export const labelValueMaxLength = 63;

export function isValidLabelValue(value: string): string[] {
  const errors: string[] = [];
  if (utf8Length(value) > labelValueMaxLength) errors.push(maxBytesError(labelValueMaxLength));
  if (!labelValueRegex.test(value)) {
    errors.push(
      regexError(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        labelValuePattern,
        'MyValue',
        'my_value',
        '12345',
      ),
    );
  }
  return errors;
}

const cIdentifierPattern = '[A-Za-z_][A-Za-z0-9_]*';
const cIdentifierRegex = new RegExp(`^${cIdentifierPattern}$`);

export function isCIdentifier(value: string): string[] {
  if (cIdentifierRegex.test(value)) return [];
  return [
    regexError(
      "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_'",
      cIdentifierPattern,
      'my_name',
      'MY_NAME',
      'MyName',
    ),
  ];
}

function dotErrors(value: string): string[] {
  if (value === '.') return ["must not be '.'"];
  if (value === '..') return ["must not be '..'"];
  if (value.startsWith('..')) return ["must not start with '..'"];
  return [];
}

const envVarPattern = '[-._a-zA-Z][-._a-zA-Z0-9]*';
const envVarRegex = new RegExp(`^${envVarPattern}$`);

/** The strict rule of environment variable names. */
export function isEnvVarName(value: string): string[] {
  const errors: string[] = [];
  if (!envVarRegex.test(value)) {
    errors.push(
      regexError(
        "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
        envVarPattern,
        'my.env-name',
        'MY_ENV.NAME',
        'MyEnvName1',
      ),
    );
  }
  errors.push(...dotErrors(value));
  return errors;
}

/** The rule since 1.34: printable ASCII without `=`. */
export function isRelaxedEnvVarName(value: string): string[] {
  if (value === '') return ['environment variable name ' + emptyError];
  for (const character of value) {
    const point = character.codePointAt(0) as number;
    if (point < 0x20 || point > 0x7e || character === '=') {
      return [
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
      ];
    }
  }
  return [];
}

const configKeyPattern = '[-._a-zA-Z0-9]+';
const configKeyRegex = new RegExp(`^${configKeyPattern}$`);

/** Keys of ConfigMap and Secret data. */
export function isConfigMapKey(value: string): string[] {
  const errors: string[] = [];
  if (value.length > dns1123SubdomainMaxLength) errors.push(maxLengthError(dns1123SubdomainMaxLength));
  if (!configKeyRegex.test(value)) {
    errors.push(
      regexError(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        configKeyPattern,
        'key.name',
        'KEY_NAME',
        'key-name',
      ),
    );
  }
  errors.push(...dotErrors(value));
  return errors;
}

const httpHeaderPattern = '[-A-Za-z0-9]+';
const httpHeaderRegex = new RegExp(`^${httpHeaderPattern}$`);

export function isHttpHeaderName(value: string): string[] {
  if (httpHeaderRegex.test(value)) return [];
  return [
    regexError(
      "a valid HTTP header must consist of alphanumeric characters or '-'",
      httpHeaderPattern,
      'X-Header-Name',
    ),
  ];
}

/** IANA service name: names of container ports. */
export function isValidPortName(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 15) errors.push(maxLengthError(15));
  if (!/^[-a-z0-9]+$/.test(value))
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) errors.push('must contain at least one letter (a-z)');
  if (value.includes('--')) errors.push('must not contain consecutive hyphens');
  if (value !== '' && (value.startsWith('-') || value.endsWith('-')))
    errors.push('must not begin or end with a hyphen');
  return errors;
}

export function isValidPortNumber(value: number): string[] {
  return value >= 1 && value <= 65535 ? [] : [rangeError(1, 65535)];
}

/** `must be between 1 and 65535, inclusive`. */
export function rangeError(low: number, high: number): string {
  return `must be between ${low} and ${high}, inclusive`;
}

export function isValidPercent(value: string): string[] {
  if (/^[0-9]+%$/.test(value)) return [];
  return [
    regexError(
      "a valid percent string must be a numeric string followed by an ending '%'",
      '[0-9]+%',
      '1%',
      '93%',
    ),
  ];
}

export function isValidGroupId(value: number): string[] {
  return value >= 0 && value <= 2147483647 ? [] : [rangeError(0, 2147483647)];
}
export function isValidUserId(value: number): string[] {
  return value >= 0 && value <= 2147483647 ? [] : [rangeError(0, 2147483647)];
}

/** What an object's name must satisfy to be one segment of a URL path. */
export function isValidPathSegmentName(value: string): string[] {
  if (value === '.' || value === '..') return [`may not be '${value}'`];
  const errors: string[] = [];
  for (const illegal of ['/', '%']) if (value.includes(illegal)) errors.push(`may not contain '${illegal}'`);
  return errors;
}

/** As {@link isValidPathSegmentName}, for a generateName. */
export function isValidPathSegmentPrefix(value: string): string[] {
  const errors: string[] = [];
  for (const illegal of ['/', '%']) if (value.includes(illegal)) errors.push(`may not contain '${illegal}'`);
  return errors;
}

/** At least two labels: an API group, a domain. */
export function isFullyQualifiedDomainName(value: string): string[] {
  if (value === '') return ['Required value'];
  const text = value.endsWith('.') ? value.slice(0, -1) : value;
  const errors = isDns1123Subdomain(text);
  if (errors.length > 0) return errors;
  if (text.split('.').length < 2) return ['should be a domain with at least two segments separated by dots'];
  return text.split('.').flatMap((label) => isDns1123Label(label));
}

/** A name rule for objects: `prefix` when the value is a generateName, whose last `-` will be followed by random characters. */
export type NameRule = (name: string, prefix: boolean) => string[];

function maskTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith('-') ? name.slice(0, -2) + 'a' : name;
}
export const nameIsDnsSubdomain: NameRule = (name, prefix) =>
  isDns1123Subdomain(prefix ? maskTrailingDash(name) : name);
/** A subdomain by the newer rule: prefixes are not looked at, and its length is told in bytes. */
export const nameIsLongName: NameRule = (name, prefix) =>
  prefix
    ? []
    : isDns1123Subdomain(name).map((problem) =>
        problem === maxLengthError(dns1123SubdomainMaxLength)
          ? maxBytesError(dns1123SubdomainMaxLength)
          : problem,
      );
export const nameIsDnsLabel: NameRule = (name, prefix) =>
  isDns1123Label(prefix ? maskTrailingDash(name) : name);
export const nameIsDns1035Label: NameRule = (name, prefix) =>
  isDns1035Label(prefix ? maskTrailingDash(name) : name);
export const nameIsPathSegment: NameRule = (name, prefix) =>
  prefix ? isValidPathSegmentPrefix(name) : isValidPathSegmentName(name);
