/** What `kafkaAvailable` found. Each missing thing is a sentence that tells how to get it. */
export type Availability = { readonly ok: true } | { readonly ok: false; readonly missing: readonly string[] };

/** Whether this machine can run Kafka: Java 17 or later, and Maven unless the jars are here already. */
export function kafkaAvailable(): Availability;

/**
 * Brings Kafka's jars from Maven Central into `.cache/` (once; 45 MB), and prepares them to start quickly. Processes that
 * do it at the same time end with one complete copy.
 *
 * @returns the folder of the jars
 * @throws Error telling what is missing, or Maven's messages
 */
export function provisionKafka(): Promise<string>;

export interface ClusterOptions {
  /** Where data, logs, certificates and the password are kept. Made if missing; a cluster that is there goes on. */
  readonly folder: string;
  /** Default: 1. */
  readonly nodes?: 1 | 3;
  /** Settings of the brokers, over those that a cluster of this size has. */
  readonly properties?: Readonly<Record<string, string | number | boolean>>;
  /** One more listener a node, reached only through a fault proxy in this process. Default: false. */
  readonly proxied?: boolean;
  /** The nodes outlive this process: `stopCluster` ends them. Default: false, they end with it however it ends. */
  readonly detached?: boolean;
  /** The largest heap of a node, in MiB. Default: 256. */
  readonly heapMebibytes?: number;
  /** Options of the Java machine, over those that start it quickly. */
  readonly javaOptions?: readonly string[];
  /** How long all nodes together may take until they are ready, in seconds. Default: 90. */
  readonly timeoutSeconds?: number;
}

/** Addresses (`127.0.0.1:port`) of the nodes in their order, by the listener that answers there. */
export interface BrokerAddresses {
  readonly plaintext: readonly string[];
  /** SASL/SCRAM (SHA-256 or SHA-512), not encrypted. */
  readonly sasl: readonly string[];
  /** SASL/SCRAM over TLS. */
  readonly saslTls: readonly string[];
  /** TLS with client certificates: who has none is refused. */
  readonly tls: readonly string[];
  /** The fault proxies' addresses, not encrypted; empty unless the cluster is `proxied`. */
  readonly proxied: readonly string[];
}

/** Paths of PEM files. The server's certificate is for `localhost` and `127.0.0.1`. */
export interface TlsFiles {
  readonly ca: string;
  readonly clientCert: string;
  readonly clientKey: string;
}

export interface ScramCredentials {
  readonly username: string;
  readonly password: string;
}

export interface KafkaNode {
  /** 1, 2, 3: Kafka's `node.id`. */
  readonly id: number;
  /** Of its process, or undefined while it does not run. */
  readonly pid: number | undefined;
  /** Its log, to look at. */
  readonly logFile: string;
  /** In front of its `proxied` listener; undefined unless the cluster is `proxied`. */
  readonly proxy: FaultProxy | undefined;
  /** SIGKILL: it ends as in a crash. Resolves when it has ended. */
  kill(): Promise<void>;
  /** SIGTERM, and SIGKILL if it has not ended 20 seconds later. */
  stop(): Promise<void>;
  /** Starts it again at the same addresses, and waits until it is ready. */
  start(): Promise<void>;
  /** SIGSTOP: it keeps its connections and answers nothing. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

export interface KafkaCluster {
  readonly folder: string;
  readonly brokers: BrokerAddresses;
  readonly tls: TlsFiles;
  readonly scram: ScramCredentials;
  /** @param id from 1 */
  node(id: number): KafkaNode;
  /** Stops all nodes; their data stay. */
  stop(): Promise<void>;
}

/**
 * Starts a cluster on free ports of 127.0.0.1 and waits until every node serves. The nodes are brokers and controllers in
 * one. Nodes that an earlier process left behind on the folder are ended first; ports, certificates, password and data
 * are those that the folder has.
 *
 * @throws Error with the end of the log of a node that does not start
 */
export function startCluster(options: ClusterOptions): Promise<KafkaCluster>;

/** What is known of the cluster of a folder. */
export interface ClusterStatus {
  readonly brokers: BrokerAddresses;
  readonly tls: TlsFiles;
  readonly scram: ScramCredentials;
  /** `pid` is undefined for a node that does not run; `residentMebibytes` where the system does not tell. */
  readonly nodes: readonly {
    readonly id: number;
    readonly pid: number | undefined;
    readonly residentMebibytes: number | undefined;
  }[];
}

/** @returns undefined if the folder holds no cluster */
export function clusterStatus(folder: string): ClusterStatus | undefined;

/** Stops the nodes that run on a folder, whoever started them. @returns how many ran */
export function stopCluster(folder: string): Promise<number>;

/** A TCP proxy on 127.0.0.1 that delays, holds back and cuts. */
export interface FaultProxy {
  /** Where it listens: `127.0.0.1:port`. */
  readonly address: string;
  /** From now on, everything arrives this many milliseconds later, in each direction, in order. 0 ends it. */
  delay(milliseconds: number): void;
  /** Keeps connections and takes new ones, but lets nothing pass, until `restore`. */
  stall(): void;
  /** Drops all connections and refuses new ones until `restore`. Resolves when it refuses. */
  cut(): Promise<void>;
  /** Ends a cut or a stall, after which what was held back arrives. A delay stays. */
  restore(): Promise<void>;
  /** Drops all connections and ends. */
  close(): Promise<void>;
}

export interface FaultProxyOptions {
  /** `host:port`. */
  readonly target: string;
  /** Where to listen. Default: 0, any free port. */
  readonly port?: number;
}

/** @throws Error if the port is taken */
export function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy>;
