import { z } from 'zod';

const file = (description: string) => z.string().min(1).exactOptional().describe(description);

const clientTls = z.strictObject({
  ca_file: file("The authorities that servers' certificates may be of (PEM); those that Node.js trusts without it."),
  certificate_file: file("The client's certificate (PEM), where the server asks for one."),
  key_file: file('Its private key (PEM).'),
});

const plaintext = z
  .enum(['loopback-only', 'allow-off-loopback'])
  .default('loopback-only')
  .describe('Whether what is not encrypted may leave this machine: where the network is otherwise protected.');

const port = (defaultPort: number, metricsPort: number) =>
  z
    .strictObject({
      port: z.int().min(0).max(65_535).default(defaultPort).describe('Where it listens; 0 takes a free port.'),
      address: z
        .string()
        .min(1)
        .exactOptional()
        .describe('Where it is called, `host:port`; without it, at its port on this machine.'),
      metrics_port: z
        .int()
        .min(0)
        .max(65_535)
        .default(metricsPort)
        .describe('Where it answers Prometheus, if `telemetry.prometheus` is there; 0 takes a free port.'),
    })
    .prefault({});

/**
 * What services have to know of where they run: every field, its range, its default and its description, and nothing
 * anywhere else. Keys are in snake case, as in the file.
 */
export const servicesSchema = z.strictObject({
  stream: z
    .strictObject({
      brokers: z
        .array(
          z
            .string()
            .regex(/^[^\s:]+:\d+$/)
            .meta({ allowed: 'host:port' }),
        )
        .min(1)
        .describe('Kafka brokers to begin with, each `host:port`.'),
      prefix: z
        .string()
        .regex(/^[A-Za-z0-9._-]*$/)
        .default('')
        .describe('Begins the names of topics and groups: keeps apart those who share a cluster.'),
      partitions: z.int().min(1).default(6).describe('Partitions that topics are made with, where they are missing.'),
      replication: z.int().min(1).default(1).describe('Copies of each partition that topics are made with.'),
      retention_hours: z
        .int()
        .min(1)
        .default(168)
        .describe(
          'How long records stay, for topics that are made: not those of tables, policy versions and calibration events, which are kept.',
        ),
      session_timeout_ms: z
        .int()
        .min(3000)
        .default(10_000)
        .describe('A service that is not heard of for so long loses its partitions to the others of its kind.'),
      plaintext,
      tls: clientTls.exactOptional().describe('Encrypted connections to the brokers.'),
      sasl: z
        .strictObject({
          mechanism: z.enum(['scram-sha-256', 'scram-sha-512']).default('scram-sha-512').describe('How to prove it.'),
          username: z.string().min(1).describe('Who connects.'),
          password_file: z.string().min(1).describe('File with the password; of mode 600.'),
        })
        .exactOptional()
        .describe('SCRAM, for brokers that ask who connects.'),
    })
    .describe('The rollout stream.'),
  store: z
    .string()
    .min(1)
    .describe('The checkpoint store: a folder that all services see, or s3://bucket/prefix?region=… .'),
  store_cache: z
    .string()
    .min(1)
    .exactOptional()
    .describe('Folder in which files read from S3 are kept; none are without it.'),
  store_cache_mib: z.int().min(1).default(4096).describe('How large that folder may become, in MiB.'),
  rpc: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1').describe('The address of this machine that services listen on.'),
      plaintext,
      health_port: z
        .int()
        .min(0)
        .max(65_535)
        .exactOptional()
        .describe(
          'A second port, which answers gRPC health alone, unencrypted: for probes that speak no TLS. One service a host can have it.',
        ),
      tls: z
        .strictObject({
          certificate_file: z.string().min(1).describe("The services' certificate (PEM)."),
          key_file: z.string().min(1).describe('Its private key (PEM).'),
          client_ca_file: file('With it, only clients with a certificate of these authorities may connect (mTLS).'),
        })
        .exactOptional()
        .describe('Encrypted calls.'),
      tokens_file: file('Who may call what: name, token hash and methods of each caller. Without it, all may.'),
      max_message_mib: z.int().min(1).max(1024).default(16).describe('Largest request and response, in MiB.'),
      max_running_calls: z.int().min(1).default(64).describe('Calls in work at once; more are answered OVERLOADED.'),
    })
    .prefault({})
    .describe('Calls to the services.'),
  client: z
    .strictObject({
      plaintext,
      tls: clientTls.exactOptional().describe('Encrypted calls.'),
      token_file: file('File with the token to call with; of mode 600.'),
    })
    .prefault({})
    .describe('Calls of the command line to the services.'),
  services: z
    .strictObject({
      policy_sampler: port(50_051, 9464).describe('The policy-sampler.'),
      reward_scorer: port(50_052, 9465).describe('The reward-scorer.'),
      calibrator: port(50_053, 9466).describe('The calibrator.'),
      ppo_learner: port(50_054, 9467).describe('The PPO learner.'),
      evaluator: port(50_055, 9468).describe('The evaluator.'),
    })
    .prefault({})
    .describe('The services.'),
  telemetry: z
    .strictObject({
      otlp: z
        .strictObject({
          endpoint: z
            .string()
            .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/)
            .meta({ allowed: 'http://host:port or https://host:port' })
            .describe('The collector, such as http://127.0.0.1:4318: OTLP over HTTP, as protobuf.'),
          plaintext,
          interval_seconds: z.number().min(1).default(15).describe('How often metrics are sent.'),
          trace_share: z
            .number()
            .min(0)
            .max(1)
            .default(0.01)
            .describe('The share of prompts, and of calls that come without a trace, whose traces are kept.'),
        })
        .exactOptional()
        .describe('Metrics and traces are sent to a collector.'),
      prometheus: z
        .strictObject({
          host: z
            .string()
            .min(1)
            .default('127.0.0.1')
            .describe("The address of this machine where Prometheus is answered, at each service's `metrics_port`."),
          plaintext,
        })
        .exactOptional()
        .describe('Prometheus is answered; `{}` takes the defaults.'),
      log_content: z
        .boolean()
        .default(false)
        .describe('Whether prompts and responses may stand in logs, such as those of records that cannot be used.'),
    })
    .prefault({})
    .describe('Metrics, traces and logs: telemetry.md. Nothing is measured without `otlp` or `prometheus`.'),
  models_in_memory: z.int().min(2).default(6).describe('Models that a service keeps in memory.'),
  threads: z
    .int()
    .min(1)
    .default(1)
    .describe("TensorFlow's threads in each service: so many parts of a batch are computed at the same time."),
  kept_versions: z
    .int()
    .min(0)
    .default(5)
    .describe(
      'Policy versions of a run whose checkpoints stay, beside those that are still needed: what `infalign rollback` can go back to.',
    ),
  drain_seconds: z
    .number()
    .min(0)
    .default(30)
    .describe('How long a service that is told to end may take to finish what is under way.'),
  log_level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info').describe('What services log.'),
});

/** The services file as it is written, with every default filled in. */
export type ServicesFile = z.output<typeof servicesSchema>;
