package dev.zeusd.client;

import jakarta.json.JsonObject;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * What a daemon has.
 *
 * @param gpus its GPUs, by their ids
 * @param cpus its CPUs, by their ids
 * @param enabledApiGroupNames what it does, as the daemon names it; {@link #enabledApiGroups} has
 *     what is known here
 * @param authRequired whether requests need a token
 * @param powerHistory for how long it keeps power; empty if it does not
 * @param problems why a kind of device is missing
 */
public record Discovery(
    List<Gpu> gpus,
    List<Cpu> cpus,
    List<String> enabledApiGroupNames,
    boolean authRequired,
    Optional<Duration> powerHistory,
    List<String> problems) {
  /** Keeps copies. */
  public Discovery {
    gpus = List.copyOf(gpus);
    cpus = List.copyOf(cpus);
    enabledApiGroupNames = List.copyOf(enabledApiGroupNames);
    problems = List.copyOf(problems);
  }

  /** {@return what it does, but for what is unknown here} */
  public Set<ApiGroup> enabledApiGroups() {
    return WireNames.findAll(ApiGroup.class, enabledApiGroupNames);
  }

  /**
   * A GPU. What its driver does not tell is empty.
   *
   * @param id its index
   * @param name the model, or {@code unknown}
   * @param vendor {@code nvidia}, {@code amd}, {@code intel} or {@code simulated}, or whatever a
   *     program that embeds the server calls GPUs of its own: no closed set, so it is a text
   * @param uuid as the driver has it
   * @param pciAddress as {@code lspci -D} prints it
   * @param cumulativeEnergyAvailable whether it counts its energy
   * @param powerScopeName what its power and energy cover, as the daemon names it; see {@link
   *     #powerScope}
   */
  public record Gpu(
      int id,
      String name,
      Optional<String> vendor,
      Optional<String> uuid,
      Optional<String> pciAddress,
      Optional<Boolean> cumulativeEnergyAvailable,
      String powerScopeName) {
    /** {@return what its power and energy cover; empty for what is unknown here} */
    public Optional<PowerScope> powerScope() {
      return WireNames.find(PowerScope.class, powerScopeName);
    }
  }

  /**
   * A CPU package.
   *
   * @param id its index
   * @param dramAvailable whether the energy of its memory is measured
   * @param domainName which part of the machine it is, as the daemon names it; see {@link #domain}
   */
  public record Cpu(int id, boolean dramAvailable, String domainName) {
    /** Which part of a machine a counter belongs to. */
    public enum Domain {
      /** A CPU package, or one die of it. */
      PACKAGE,
      /** The module that carries a CPU, a GPU and their memory (Grace Hopper). */
      MODULE,
      /** The platform, with all packages in it. */
      PSYS,
      /** A newer daemon has a name for it that is unknown here: {@link Cpu#domainName}. */
      OTHER
    }

    /** {@return which part of the machine it is} */
    public Domain domain() {
      return WireNames.find(Domain.class, domainName).orElse(Domain.OTHER);
    }
  }

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
        json.getString("power_scope", "gpu"));
  }

  private static Cpu cpu(JsonObject json) {
    return new Cpu(
        json.getInt("id"),
        json.getBoolean("dram_available", false),
        json.getString("domain", "package"));
  }
}
