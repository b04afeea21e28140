import { parseQuantity } from '@pilothouse/apimachinery';
import type { Quantity } from '@pilothouse/apimachinery';
import type { Container, PodSpec } from './pod-shape.ts';

/** Amounts by resource name. */
export type Amounts = Map<string, Quantity>;

export function amountsOf(list: Readonly<Record<string, string>> | undefined): Amounts {
  return new Map(Object.entries(list ?? {}).map(([name, text]) => [name, parseQuantity(text)]));
}

export function addAmounts(target: Amounts, more: Amounts): void {
  for (const [name, amount] of more) {
    const known = target.get(name);
    target.set(name, known === undefined ? amount : known.add(amount));
  }
}

function raiseAmounts(target: Amounts, floor: Amounts): void {
  for (const [name, amount] of floor) {
    const known = target.get(name);
    if (known === undefined || known.compare(amount) < 0) target.set(name, amount);
  }
}

/**
 * What a pod takes as a whole: the sum of its containers and sidecars, or what initialisation needs at its peak, with
 * pod-level values in place of the sums, and overhead on top.
 */
export function podAmounts(spec: PodSpec, kind: 'requests' | 'limits'): Amounts {
  const total: Amounts = new Map();
  for (const container of spec.containers ?? []) addAmounts(total, of(container, kind));
  const sidecars: Amounts = new Map();
  const peak: Amounts = new Map();
  for (const container of spec.initContainers ?? []) {
    const own = new Map(of(container, kind));
    if (container.restartPolicy === 'Always') {
      addAmounts(total, own);
      addAmounts(sidecars, own);
      raiseAmounts(peak, new Map(sidecars));
    } else {
      addAmounts(own, sidecars);
      raiseAmounts(peak, own);
    }
  }
  raiseAmounts(total, peak);
  for (const [name, amount] of amountsOf(spec.resources?.[kind])) total.set(name, amount);
  for (const [name, amount] of amountsOf(spec.overhead)) {
    const known = total.get(name);
    // Overhead raises a limit only where there is one.
    if (known !== undefined) total.set(name, known.add(amount));
    else if (kind === 'requests') total.set(name, amount);
  }
  return total;
}

function of(container: Container, kind: 'requests' | 'limits'): Amounts {
  return amountsOf(container.resources?.[kind]);
}
