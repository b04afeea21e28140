/** Attributes of HTML elements that hold one URL. */
const urlAttributes: Readonly<Record<string, readonly string[]>> = {
  a: ['href'],
  applet: ['codebase'],
  area: ['href'],
  audio: ['src'],
  base: ['href'],
  blockquote: ['cite'],
  body: ['background'],
  button: ['formaction'],
  command: ['icon'],
  del: ['cite'],
  embed: ['src'],
  form: ['action'],
  frame: ['longdesc', 'src'],
  head: ['profile'],
  html: ['manifest'],
  iframe: ['longdesc', 'src'],
  img: ['longdesc', 'src', 'usemap'],
  input: ['src', 'usemap', 'formaction'],
  ins: ['cite'],
  link: ['href'],
  object: ['classid', 'codebase', 'data', 'usemap'],
  q: ['cite'],
  script: ['src'],
  source: ['src'],
  video: ['poster', 'src'],
};

/** Elements whose content is text up to their end tag, whatever it looks like. */
const rawElements = new Set(['script', 'style', 'textarea', 'title', 'xmp', 'iframe', 'noembed', 'noframes']);

/** How links of a workload lead through the proxy. */
export interface LinkRewriting {
  /** Path of the proxy before the workload's own, without a slash at its end. */
  readonly prefix: string;
  /** host:port of the workload, and the Host that the client sent: links to either are the workload's. */
  readonly hosts: readonly string[];
}

/** A link to the workload's own absolute path gets the prefix; relative ones and those to other hosts stay. */
export function rewriteLink(link: string, { prefix, hosts }: LinkRewriting): string {
  const match = /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(link);
  if (!match) return link;
  const [, scheme, host, path = '', query = '', fragment = ''] = match;
  if (scheme !== undefined && host === undefined) return link; // mailto:, data:, javascript:
  if (!path.startsWith('/')) return link;
  if (host !== undefined && host !== '' && !hosts.includes(host)) return link;
  if (path === prefix || path.startsWith(`${prefix}/`)) return `${path}${query}${fragment}`;
  return `${prefix}${path}${query}${fragment}`;
}

/** Passes HTML through with the links in its tags rewritten; everything else stays byte for byte. */
export function rewriteHtml(html: string, rewriting: LinkRewriting): string {
  let result = '';
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf('<', at);
    if (open < 0) break;
    result += html.slice(at, open);
    if (html.startsWith('<!--', open)) {
      const close = html.indexOf('-->', open + 4);
      const end = close < 0 ? html.length : close + 3;
      result += html.slice(open, end);
      at = end;
      continue;
    }
    const name = /^<([a-zA-Z][a-zA-Z0-9]*)(?=[\s/>])/.exec(html.slice(open, open + 64))?.[1]?.toLowerCase();
    const end = tagEnd(html, open);
    if (name === undefined || end < 0) {
      result += '<';
      at = open + 1;
      continue;
    }
    result += rewriteTag(html.slice(open, end), name, rewriting);
    at = end;
    if (rawElements.has(name)) {
      const close = html.toLowerCase().indexOf(`</${name}`, at);
      const stop = close < 0 ? html.length : close;
      result += html.slice(at, stop);
      at = stop;
    }
  }
  return result + html.slice(at);
}

/** Just behind the `>` that ends the tag at `open`; quotes may hold others. -1: there is none. */
function tagEnd(html: string, open: number): number {
  let quote = '';
  for (let at = open; at < html.length; at++) {
    const char = html[at] as string;
    if (quote !== '') {
      if (char === quote) quote = '';
    } else if ((char === '"' || char === "'") && /=\s*$/.test(html.slice(Math.max(open, at - 8), at)))
      quote = char;
    else if (char === '>') return at + 1;
  }
  return -1;
}

function rewriteTag(tag: string, name: string, rewriting: LinkRewriting): string {
  const attributes = urlAttributes[name];
  if (!attributes) return tag;
  return tag.replace(
    /(\s)([a-zA-Z-]+)(\s*=\s*)("([^"]*)"|'([^']*)'|([^\s"'>]+))/g,
    (
      whole,
      space: string,
      key: string,
      equals: string,
      value: string,
      double?: string,
      single?: string,
      bare?: string,
    ) => {
      if (!attributes.includes(key.toLowerCase())) return whole;
      const link = (double ?? single ?? bare ?? '').replaceAll('&amp;', '&');
      const rewritten = rewriteLink(link, rewriting);
      if (rewritten === link) return whole;
      const quote = value.startsWith("'") ? "'" : '"';
      return `${space}${key}${equals}${quote}${rewritten.replaceAll('&', '&amp;')}${quote}`;
    },
  );
}
