import { otlpEndpoint } from '@pilothouse/host';
import { readConfigDocument } from './security/config-document.ts';

/** Where spans go and how many; see TracingConfiguration of apiserver.config.k8s.io (KEP-647). */
export interface TracingConfig {
  readonly endpoint: string;
  readonly samplingRatePerMillion: number;
}

const million = 1_000_000;

/** Reads the file of `--tracing-config-file`. Throws an Error that names the bad member. */
export function readTracingConfig(text: string): TracingConfig {
  const document = readConfigDocument(text, 'TracingConfiguration', ['v1', 'v1beta1', 'v1alpha1'], {
    endpoint: 'string',
    samplingRatePerMillion: 'number',
  });
  const rate = (document['samplingRatePerMillion'] ?? 0) as number;
  const refuse = (field: string, value: unknown, why: string): never => {
    throw new Error(
      `failed to validate tracing configuration: tracing.${field}: Invalid value: ${JSON.stringify(value)}: ${why}`,
    );
  };
  if (rate < 0) refuse('samplingRatePerMillion', rate, 'sampling rate must be positive');
  if (rate > million)
    refuse(
      'samplingRatePerMillion',
      rate,
      'sampling rate per million must be less than or equal to one million',
    );
  if (!Number.isInteger(rate)) refuse('samplingRatePerMillion', rate, 'must be a whole number');
  const given = (document['endpoint'] ?? 'localhost:4317') as string;
  try {
    return { endpoint: otlpEndpoint(given), samplingRatePerMillion: rate };
  } catch (error) {
    return refuse('endpoint', given, (error as Error).message);
  }
}
