package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What a daemon has.
 *
 * @param gpus its GPUs, by their ids
 * @param cpus its CPUs, by their ids
 * @param enabledApiGroups what it does: {@code gpu-read}, {@code gpu-control}, {@code cpu-read}
 * @param authRequired whether requests need a token
 * @param powerHistory for how long it keeps power; empty if it does not
 * @param problems why a kind of device is missing
 */
public record Discovery(
    List<Gpu> gpus,
    List<Cpu> cpus,
    List<String> enabledApiGroups,
    boolean authRequired,
    Optional<Duration> powerHistory,
    List<String> problems) {
  /** Keeps copies. */
  public Discovery {
    gpus = List.copyOf(gpus);
    cpus = List.copyOf(cpus);
    enabledApiGroups = List.copyOf(enabledApiGroups);
    problems = List.copyOf(problems);
  }

  /**
   * A GPU. What its driver does not tell is empty.
   *
   * @param id its index
   * @param name the model, or {@code unknown}
   * @param vendor {@code nvidia}, {@code amd}, {@code intel} or {@code simulated}
   * @param uuid as the driver has it
   * @param pciAddress as {@code lspci -D} prints it
   * @param cumulativeEnergyAvailable whether it counts its energy
   * @param ofModule whether its power and energy are of the module that carries it, CPU included
   */
  public record Gpu(
      int id,
      String name,
      Optional<String> vendor,
      Optional<String> uuid,
      Optional<String> pciAddress,
      Optional<Boolean> cumulativeEnergyAvailable,
      boolean ofModule) {}

  /**
   * A CPU package.
   *
   * @param id its index
   * @param dramAvailable whether the energy of its memory is measured
   * @param domain {@code package}; {@code psys} for the whole platform, which the packages are part
   *     of; or {@code module} for a Grace CPU with its GPU and memory
   */
  public record Cpu(int id, boolean dramAvailable, String domain) {}

  static Discovery of(JsonObject json) {
    return Json.understood(
        () ->
            new Discovery(
                Json.objects(json, "gpus").stream().map(Discovery::gpu).toList(),
                Json.objects(json, "cpus").stream().map(Discovery::cpu).toList(),
                Json.strings(json, "enabled_api_groups"),
                json.getBoolean("auth_required", false),
                Json.optionalLong(json, "power_history_s").stream()
                    .mapToObj(Duration::ofSeconds)
                    .findFirst(),
                Json.strings(json, "problems")));
  }

  private static Gpu gpu(JsonObject json) {
    return new Gpu(
        json.getInt("id"),
        json.getString("name", "unknown"),
        Json.optionalString(json, "vendor"),
        Json.optionalString(json, "uuid"),
        Json.optionalString(json, "pci_address"),
        Json.optionalBoolean(json, "cumulative_energy_available"),
        json.getString("power_scope", "gpu").equals("module"));
  }

  private static Cpu cpu(JsonObject json) {
    return new Cpu(
        json.getInt("id"),
        json.getBoolean("dram_available", false),
        json.getString("domain", "package"));
  }
}
