package dev.zeusd.core;

import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.PowerSampler;
import dev.zeusd.core.worker.DeviceWorker;
import java.util.List;

/**
 * The devices of one kind that a node has at one moment. Later ones hold these, and maybe more.
 *
 * @param <D> the kind of device
 * @param <S> the kind of sample that these give
 * @param devices by id, each with its thread
 * @param power their power readings, and those of no others; another set has other ones
 */
public record DeviceSet<D, S extends PowerSample>(
    List<DeviceWorker<D>> devices, PowerSampler<D, S> power) {
  /** Keeps the list as it is now. */
  public DeviceSet {
    devices = List.copyOf(devices);
  }
}
