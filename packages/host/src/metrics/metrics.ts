/** Counters, gauges and histograms in the text format, with upstream's names. */
export class Metrics {
  readonly #families = new Map<string, Family>();

  counter(name: string, help: string): (labels?: Labels, by?: number) => void {
    const family = this.#family(name, 'counter', help);
    return (labels = {}, by = 1) => {
      const key = labelText(labels);
      family.values.set(key, (family.values.get(key) ?? 0) + by);
    };
  }
  gauge(name: string, help: string, read: () => readonly (readonly [Labels, number])[]): void {
    this.#family(name, 'gauge', help).read = read;
  }
  /** A counter that is read when it is asked for. */
  total(name: string, help: string, read: () => readonly (readonly [Labels, number])[]): void {
    this.#family(name, 'counter', help).read = read;
  }
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
  ): (value: number, labels?: Labels) => void {
    const family = this.#family(name, 'histogram', help);
    family.buckets = buckets;
    return (value, labels = {}) => {
      const key = labelText(labels);
      let series = family.histograms.get(key);
      if (series === undefined)
        family.histograms.set(key, (series = { counts: buckets.map(() => 0), sum: 0, count: 0 }));
      series.sum += value;
      series.count++;
      const index = buckets.findIndex((bound) => value <= bound);
      if (index >= 0) series.counts[index] = (series.counts[index] as number) + 1;
    };
  }

  #family(name: string, type: string, help: string): Family {
    const family: Family = {
      type,
      help,
      values: new Map(),
      histograms: new Map(),
      buckets: [],
      read: undefined,
    };
    this.#families.set(name, family);
    return family;
  }

  render(): string {
    let out = '';
    for (const [name, family] of this.#families) {
      out += `# HELP ${name} ${family.help}\n# TYPE ${name} ${family.type}\n`;
      for (const [labels, value] of family.read?.() ?? [])
        out += `${name}${braces(labelText(labels))} ${value}\n`;
      for (const [key, value] of family.values) out += `${name}${braces(key)} ${value}\n`;
      for (const [key, series] of family.histograms) {
        const with_ = (le: string): string => braces(key === '' ? `le="${le}"` : `${key},le="${le}"`);
        let total = 0;
        family.buckets.forEach((bound, index) => {
          total += series.counts[index] as number;
          out += `${name}_bucket${with_(String(bound))} ${total}\n`;
        });
        out += `${name}_bucket${with_('+Inf')} ${series.count}\n${name}_sum${braces(key)} ${series.sum}\n${name}_count${braces(key)} ${series.count}\n`;
      }
    }
    return out;
  }
}

export type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly type: string;
  readonly help: string;
  readonly values: Map<string, number>;
  readonly histograms: Map<string, { counts: number[]; sum: number; count: number }>;
  buckets: readonly number[];
  read: (() => readonly (readonly [Labels, number])[]) | undefined;
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',');
}
function braces(text: string): string {
  return text === '' ? '' : `{${text}}`;
}
