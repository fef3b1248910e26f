import { AggregationTemporality, InstrumentType } from '@opentelemetry/sdk-metrics';

/** Sums go on for as long as the process; of gauges that are looked up, only what was found at the last look is there. */
export function latestOfGauges(kind: InstrumentType): AggregationTemporality {
  return kind === InstrumentType.OBSERVABLE_GAUGE ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE;
}
