package dev.zeusd.server.http;

import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.PowerLimitConstraints;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.GpuPowerSample;
import dev.zeusd.core.sampling.PowerSample;
import dev.zeusd.core.sampling.TimestampClock;
import dev.zeusd.server.ApiGroup;
import dev.zeusd.server.auth.Claims;
import jakarta.json.JsonArrayBuilder;
import jakarta.json.JsonObject;
import jakarta.json.JsonObjectBuilder;
import jakarta.json.JsonValue;
import jakarta.json.spi.JsonProvider;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/**
 * JSON that clients see; that about leases is {@link LeaseJson}'s, and events of single samples are
 * written by the streams. What is sent often is put together by hand: it holds nothing but numbers.
 */
public final class WireJson {
  /** Looked up once: to look through all modules takes a hundred times as long as an error. */
  private static final class Library {
    static final JsonProvider JSON = JsonProvider.provider();
  }

  private WireJson() {}

  /** To build what is not sent often. */
  static JsonProvider json() {
    return Library.JSON;
  }

  static byte[] time(long timestampMs) {
    return ascii(new StringBuilder("{\"timestamp_ms\":").append(timestampMs).append('}'));
  }

  static byte[] error(String message) {
    return bytes(json().createObjectBuilder().add("error", message).build());
  }

  static byte[] deviceErrors(Map<Integer, DeviceException> errors) {
    JsonObjectBuilder byId = json().createObjectBuilder();
    errors.forEach((id, e) -> byId.add(id.toString(), text(e)));
    return bytes(json().createObjectBuilder().add("errors", byId).build());
  }

  private static String text(DeviceException e) {
    String wayOut = e instanceof DeviceException.LeaseEnded ? LeaseJson.TAKE_ANOTHER : "";
    return e.getMessage() + wayOut;
  }

  /** One object with the members of both, of which neither may be empty. */
  static byte[] joined(byte[] first, byte[] second) {
    byte[] both = Arrays.copyOf(first, first.length + second.length - 1);
    both[first.length - 1] = ',';
    System.arraycopy(second, 1, both, first.length, second.length - 1);
    return both;
  }

  static byte[] discovery(
      List<DiscoveryService.KnownGpu> gpus,
      List<CpuInfo> cpus,
      Set<ApiGroup> groups,
      boolean authRequired,
      Optional<Duration> historyLength,
      List<String> problems) {
    JsonArrayBuilder gpuIds = json().createArrayBuilder();
    JsonArrayBuilder gpuObjects = json().createArrayBuilder();
    for (DiscoveryService.KnownGpu gpu : gpus) {
      gpuIds.add(gpu.info().id());
      gpuObjects.add(GpuJson.gpu(gpu));
    }
    JsonArrayBuilder cpuIds = json().createArrayBuilder();
    JsonArrayBuilder dramAvailable = json().createArrayBuilder();
    JsonArrayBuilder cpuObjects = json().createArrayBuilder();
    for (CpuInfo cpu : cpus) {
      cpuIds.add(cpu.id());
      dramAvailable.add(cpu.dramAvailable());
      cpuObjects.add(
          json()
              .createObjectBuilder()
              .add("id", cpu.id())
              .add("dram_available", cpu.dramAvailable())
              .add("domain", cpu.domain().wireName()));
    }
    JsonArrayBuilder groupNames = json().createArrayBuilder();
    if (!groups.isEmpty()) {
      EnumSet.copyOf(groups).forEach(group -> groupNames.add(group.wireName()));
    }
    JsonObjectBuilder json =
        json()
            .createObjectBuilder()
            .add("gpu_ids", gpuIds)
            .add("cpu_ids", cpuIds)
            .add("dram_available", dramAvailable)
            .add("gpus", gpuObjects)
            .add("cpus", cpuObjects)
            .add("enabled_api_groups", groupNames)
            .add("auth_required", authRequired);
    historyLength.ifPresent(kept -> json.add("power_history_s", kept.toSeconds()));
    if (!problems.isEmpty()) {
      json.add("problems", json().createArrayBuilder(problems));
    }
    return bytes(json.build());
  }

  static JsonValue orNull(Optional<? extends JsonValue> value) {
    return value.isPresent() ? value.get() : JsonValue.NULL;
  }

  /** When these were read: the newest of their times or, if there are none, now. */
  private static long timestampMs(Collection<? extends PowerSample> samples) {
    if (samples.isEmpty()) {
      return TimestampClock.SYSTEM.nowMs();
    }
    long newestMs = Long.MIN_VALUE;
    for (PowerSample sample : samples) {
      newestMs = Math.max(newestMs, sample.timestampMs());
    }
    return newestMs;
  }

  /** The body of {@code /gpu/get_power}, and an event of the snapshot dialect. */
  public static byte[] gpuPower(Collection<GpuPowerSample> samples) {
    StringBuilder power = new StringBuilder();
    for (GpuPowerSample sample : samples) {
      key(power, sample.gpuId()).append(sample.powerMw());
    }
    StringBuilder json = new StringBuilder("{\"timestamp_ms\":").append(timestampMs(samples));
    return ascii(json.append(",\"power_mw\":{").append(power).append("}}"));
  }

  static byte[] gpuEnergy(Map<Integer, Long> energyMjById) {
    StringBuilder json = new StringBuilder("{");
    energyMjById.forEach(
        (id, energyMj) ->
            key(json, id)
                .append("{\"energy_mj\":")
                .append(Long.toUnsignedString(energyMj))
                .append('}'));
    return ascii(json.append('}'));
  }

  static byte[] gpuPowerLimits(Map<Integer, Long> limitMwById) {
    StringBuilder json = new StringBuilder("{");
    limitMwById.forEach(
        (id, limitMw) -> key(json, id).append("{\"power_limit_mw\":").append(limitMw).append('}'));
    return ascii(json.append('}'));
  }

  static byte[] gpuPowerLimitConstraints(Map<Integer, PowerLimitConstraints> constraintsById) {
    StringBuilder json = new StringBuilder("{");
    constraintsById.forEach(
        (id, constraints) ->
            key(json, id)
                .append("{\"min_power_limit_mw\":")
                .append(constraints.minPowerLimitMw())
                .append(",\"max_power_limit_mw\":")
                .append(constraints.maxPowerLimitMw())
                .append('}'));
    return ascii(json.append('}'));
  }

  static byte[] gpuPersistenceModes(Map<Integer, Boolean> enabledById) {
    StringBuilder json = new StringBuilder("{");
    enabledById.forEach(
        (id, enabled) -> key(json, id).append("{\"enabled\":").append(enabled).append('}'));
    return ascii(json.append('}'));
  }

  /** The body of {@code /cpu/get_power}, and an event of the snapshot dialect. */
  public static byte[] cpuPower(Collection<CpuPowerSample> samples) {
    StringBuilder power = new StringBuilder();
    for (CpuPowerSample sample : samples) {
      key(power, sample.cpuId()).append('{');
      cpuAndDram(power, sample).append('}');
    }
    StringBuilder json = new StringBuilder("{\"timestamp_ms\":").append(timestampMs(samples));
    return ascii(json.append(",\"power_mw\":{").append(power).append("}}"));
  }

  private static StringBuilder cpuAndDram(StringBuilder json, CpuPowerSample sample) {
    json.append("\"cpu_mw\":").append(sample.cpuMw()).append(",\"dram_mw\":");
    return orNull(json, sample.dramMw());
  }

  static byte[] cpuEnergy(Map<Integer, CpuReadService.Energy> energyById) {
    StringBuilder json = new StringBuilder("{");
    energyById.forEach(
        (id, energy) -> {
          key(json, id).append("{\"cpu_energy_uj\":");
          orNull(json, energy.cpuUj()).append(",\"dram_energy_uj\":");
          orNull(json, energy.dramUj()).append('}');
        });
    return ascii(json.append('}'));
  }

  static StringBuilder orNull(StringBuilder json, OptionalLong value) {
    return value.isPresent() ? json.append(value.getAsLong()) : json.append("null");
  }

  static byte[] claims(Claims claims, Optional<String> certificate) {
    JsonObjectBuilder json =
        json()
            .createObjectBuilder()
            .add("sub", claims.sub())
            .add("scopes", json().createArrayBuilder(claims.scopes()));
    claims.exp().ifPresent(exp -> json.add("exp", exp.getEpochSecond()));
    certificate.ifPresent(subject -> json.add("certificate", subject));
    return bytes(json.build());
  }

  /** Begins the member of a device, after a comma unless it is the first. */
  static StringBuilder key(StringBuilder json, int id) {
    boolean first = json.isEmpty() || json.charAt(json.length() - 1) == '{';
    return json.append(first ? "\"" : ",\"").append(id).append("\":");
  }

  static byte[] bytes(JsonObject json) {
    return json.toString().getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] ascii(StringBuilder json) {
    return json.toString().getBytes(StandardCharsets.ISO_8859_1);
  }
}
