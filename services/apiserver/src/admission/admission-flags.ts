import { errorMessage } from '@pilothouse/base';
import { FlagError } from '@pilothouse/host';
import type { FlagValues } from '../flag-values.ts';
import { readFile } from '../flag-values.ts';
import { admissionPluginNames, defaultAdmissionPlugins, enabledAdmissionPlugins } from './admission.ts';
import type { AdmissionConfig } from './config.ts';
import { readPluginConfigs } from './plugin-configs.ts';

const configFlag = 'admission-control-config-file';

/** The flags of admission, with the file that one of them names. Throws FlagError in upstream's words. */
export function admissionOf(values: FlagValues): AdmissionConfig {
  const plugins = pluginsOf(values);
  try {
    const enabled = enabledAdmissionPlugins(plugins);
    const path = values.optional(configFlag);
    const file = path === undefined ? undefined : { path, text: readFile(configFlag, path) };
    return {
      ...plugins,
      configs: {
        ...readPluginConfigs(file, enabled, (other) => readFile(configFlag, other)),
        notReadySeconds: values.number('default-not-ready-toleration-seconds'),
        unreachableSeconds: values.number('default-unreachable-toleration-seconds'),
      },
      webhookBreaker: { enabled: values.boolean('admission-webhook-breaker') },
    };
  } catch (error) {
    throw error instanceof FlagError ? error : new FlagError(errorMessage(error));
  }
}

/** `--admission-control`, of old, names all plugins; the two other flags change the default ones. */
function pluginsOf(values: FlagValues): AdmissionConfig {
  const enable = values.list('enable-admission-plugins');
  const disable = values.list('disable-admission-plugins');
  if (!values.isGiven('admission-control')) return { enable, disable };
  if (values.isGiven('enable-admission-plugins') || values.isGiven('disable-admission-plugins')) {
    throw new FlagError(
      'admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive',
    );
  }
  const all = values.list('admission-control');
  const unknown = all.find((name) => !admissionPluginNames.has(name));
  if (unknown !== undefined) throw new FlagError(`admission-control plugin "${unknown}" is unknown`);
  return { enable: all, disable: [...defaultAdmissionPlugins].filter((name) => !all.includes(name)) };
}
