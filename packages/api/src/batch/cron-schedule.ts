/** The schedule language of CronJobs (five fields, names, `@daily` and the like), to say what is wrong with a text. */

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const fields: readonly Bounds[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: months },
  { min: 0, max: 6, names: days },
];
const descriptors = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

/** The first problem of a schedule, in the words of the parser that upstream uses; undefined when it is good. */
export function cronProblem(schedule: string): string | undefined {
  if (schedule === '') return 'empty spec string';
  let rest = schedule;
  if (rest.startsWith('TZ=') || rest.startsWith('CRON_TZ=')) {
    const space = rest.indexOf(' ');
    if (space < 0) return `provided bad location ${rest.slice(rest.indexOf('=') + 1)}`;
    rest = rest.slice(space).trim();
  }
  if (rest.startsWith('@')) return descriptorProblem(rest);
  const words = rest.split(/\s+/).filter((word) => word !== '');
  if (words.length !== 5) return `expected exactly 5 fields, found ${words.length}: [${words.join(' ')}]`;
  for (const [index, word] of words.entries()) {
    const problem = fieldProblem(word, fields[index] as Bounds);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function descriptorProblem(text: string): string | undefined {
  if (descriptors.includes(text)) return undefined;
  if (text.startsWith('@every ')) {
    const duration = text.slice('@every '.length);
    return /^[-+]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$/.test(duration)
      ? undefined
      : `failed to parse duration ${text}: time: invalid duration "${duration}"`;
  }
  return `unrecognized descriptor: ${text}`;
}

function fieldProblem(field: string, bounds: Bounds): string | undefined {
  for (const part of field.split(',')) {
    if (part === '') continue;
    const problem = rangeProblem(part, bounds);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function numberOf(text: string, bounds: Bounds): number | string {
  const named = bounds.names?.indexOf(text.toLowerCase()) ?? -1;
  if (named >= 0) return named + bounds.min;
  if (!/^[-+]?\d+$/.test(text))
    return `failed to parse int from ${text}: strconv.Atoi: parsing "${text}": invalid syntax`;
  const value = Number(text);
  return value < 0 ? `negative number (${value}) not allowed: ${text}` : value;
}

function rangeProblem(text: string, bounds: Bounds): string | undefined {
  const rangeAndStep = text.split('/');
  const lowAndHigh = (rangeAndStep[0] as string).split('-');
  let start: number;
  let end: number;
  const single = lowAndHigh.length === 1;
  if (lowAndHigh[0] === '*' || lowAndHigh[0] === '?') {
    start = bounds.min;
    end = bounds.max;
  } else {
    const low = numberOf(lowAndHigh[0] as string, bounds);
    if (typeof low === 'string') return low;
    start = low;
    if (single) end = low;
    else if (lowAndHigh.length === 2) {
      const high = numberOf(lowAndHigh[1] as string, bounds);
      if (typeof high === 'string') return high;
      end = high;
    } else return `too many hyphens: ${text}`;
  }
  let step = 1;
  if (rangeAndStep.length === 2) {
    const value = rangeAndStep[1] as string;
    const parsed = numberOf(value, { min: 0, max: 0 });
    if (typeof parsed === 'string') return parsed;
    step = parsed;
    if (single && lowAndHigh[0] !== '*' && lowAndHigh[0] !== '?') end = bounds.max;
  } else if (rangeAndStep.length > 2) return `too many slashes: ${text}`;
  if (start < bounds.min) return `beginning of range (${start}) below minimum (${bounds.min}): ${text}`;
  if (end > bounds.max) return `end of range (${end}) above maximum (${bounds.max}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  if (step === 0) return `step of range should be a positive number: ${text}`;
  return undefined;
}
