import { join } from 'node:path';
import { Option } from 'commander';
import type { ServicesOptions } from '@infalign/experiment';

/** Where `infalign up` keeps what it starts. */
export const defaultServicesFolder = join('runs', 'services');

/** The services file that `infalign up` writes into its folder. */
export const servicesFileName = 'services.yaml';

/** The option that names the services file. */
export function servicesFileOption(): Option {
  return new Option('--services <file>', 'the services file, as docs/services.md describes it').default(
    join(defaultServicesFolder, servicesFileName),
    `what infalign up writes: ${join(defaultServicesFolder, servicesFileName)}`,
  );
}

/** The services of a file, and how they are reached. @throws InputError if the file cannot be read or is not valid */
export async function servicesOptions(file: string): Promise<ServicesOptions> {
  const { loadServices } = await import('@infalign/run-config');
  const { createLogger } = await import('@infalign/telemetry');
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env;
  return {
    services: await loadServices(file),
    logger: createLogger({ service: 'infalign', level: 'warn' }),
    ...(AWS_ACCESS_KEY_ID !== undefined &&
      AWS_SECRET_ACCESS_KEY !== undefined && {
        credentials: {
          accessKeyId: AWS_ACCESS_KEY_ID,
          secretAccessKey: AWS_SECRET_ACCESS_KEY,
          ...(AWS_SESSION_TOKEN !== undefined && { sessionToken: AWS_SESSION_TOKEN }),
        },
      }),
  };
}
