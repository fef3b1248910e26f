export { clusterStatus, stopCluster } from './cluster-folder.mjs';
export { startFaultProxy } from './fault-proxy.mjs';
export { kafkaAvailable } from './jars.mjs';
export { provisionKafka, startCluster } from './start-cluster.mjs';
