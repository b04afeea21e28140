import { Environment } from '@marcbachmann/cel-js';
import { registerFormats } from './formats.ts';
import { registerLists } from './lists.ts';
import { registerNetwork } from './network.ts';
import { registerQuantities } from './quantities.ts';
import { registerStrings } from './strings.ts';
import { registerUrls } from './urls.ts';

let base: Environment | undefined;

/** A new environment with CEL's standard functions and those that Kubernetes adds. Variables are declared by the caller. */
export function celEnvironment(): Environment {
  if (base === undefined) {
    base = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false });
    for (const register of [
      registerLists,
      registerStrings,
      registerQuantities,
      registerNetwork,
      registerUrls,
      registerFormats,
    ]) {
      register(base);
    }
  }
  return base.clone();
}
