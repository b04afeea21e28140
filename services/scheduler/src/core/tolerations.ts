export interface Toleration {
  readonly key?: string;
  readonly operator?: string;
  readonly value?: string;
  readonly effect?: string;
}
export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  for (const toleration of tolerations) {
    if ((toleration.effect ?? '') !== '' && toleration.effect !== taint.effect) continue;
    if ((toleration.key ?? '') !== '' && toleration.key !== taint.key) continue;
    const value = toleration.value ?? '';
    const actual = taint.value ?? '';
    switch (toleration.operator ?? '') {
      case '':
      case 'Equal':
        if (value === actual) return true;
        break;
      case 'Exists':
        return true;
      case 'Lt':
      case 'Gt':
        if (/^-?[0-9]+$/.test(value) && /^-?[0-9]+$/.test(actual)) {
          if (toleration.operator === 'Lt' ? BigInt(actual) < BigInt(value) : BigInt(actual) > BigInt(value))
            return true;
        }
        break;
    }
  }
  return false;
}
