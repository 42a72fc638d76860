package dev.zeusd.cli;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/**
 * What a daemon's devices are doing, as last heard.
 *
 * @param daemon where it is
 * @param devices its devices; none before it was heard of
 * @param problem why it is not heard of now
 */
record DaemonState(String daemon, List<Device> devices, Optional<String> problem) {
  /** Those whose power is added up: no CPUs where a GPU's is its module's, which has them in it. */
  List<Device> counted() {
    return devices.stream().anyMatch(Device::ofModule)
        ? devices.stream().filter(each -> each.kind() == Kind.GPU).toList()
        : devices;
  }

  /** Kinds of devices, in their order on the screen. */
  enum Kind {
    GPU,
    CPU,
    DRAM
  }

  /**
   * One device.
   *
   * @param daemon where it is
   * @param kind which kind
   * @param id its index
   * @param name its model, or empty
   * @param powerW now, in W
   * @param limitW what holds, in W
   * @param energyJ since this program was started, in J
   * @param clockMhz of the processors, in MHz
   * @param temperatureC in °C
   * @param utilizationPct in percent
   * @param ofModule whether power and energy are of the module that carries it, CPU included
   * @param holder who has a lease of a setting of it, or empty
   * @param historyW its power so far, the oldest first
   */
  record Device(
      String daemon,
      Kind kind,
      int id,
      String name,
      OptionalDouble powerW,
      OptionalDouble limitW,
      OptionalDouble energyJ,
      OptionalInt clockMhz,
      OptionalInt temperatureC,
      OptionalInt utilizationPct,
      boolean ofModule,
      String holder,
      double[] historyW) {
    String title() {
      return kind + " " + id;
    }
  }
}
