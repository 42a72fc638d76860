package dev.zeusd.server.stream;

import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.GpuPowerSample;

/** Samples as JSON, the data of events of the sample dialect. */
final class SampleJson {
  private static final byte[] TIMESTAMP_MS = EventChunk.ascii("{\"timestamp_ms\":");
  private static final byte[] GPU_ID = EventChunk.ascii(",\"gpu_id\":");
  private static final byte[] POWER_MW = EventChunk.ascii(",\"power_mw\":");
  private static final byte[] CPU_ID = EventChunk.ascii(",\"cpu_id\":");
  private static final byte[] CPU_MW = EventChunk.ascii(",\"cpu_mw\":");
  private static final byte[] DRAM_MW = EventChunk.ascii(",\"dram_mw\":");
  private static final byte[] NULL = EventChunk.ascii("null");
  private static final byte[] END = EventChunk.ascii("}");

  private SampleJson() {}

  static void gpu(GpuPowerSample sample, EventChunk events) {
    events
        .text(TIMESTAMP_MS)
        .number(sample.timestampMs())
        .text(GPU_ID)
        .number(sample.gpuId())
        .text(POWER_MW)
        .number(sample.powerMw())
        .text(END);
  }

  static void cpu(CpuPowerSample sample, EventChunk events) {
    events
        .text(TIMESTAMP_MS)
        .number(sample.timestampMs())
        .text(CPU_ID)
        .number(sample.cpuId())
        .text(CPU_MW)
        .number(sample.cpuMw())
        .text(DRAM_MW);
    if (sample.dramMw().isPresent()) {
      events.number(sample.dramMw().getAsLong());
    } else {
      events.text(NULL);
    }
    events.text(END);
  }
}
