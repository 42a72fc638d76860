package dev.zeusd.server.http;

import dev.zeusd.core.device.DeviceException;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Devices that failed, by id; the calls of the others have happened all the same. */
final class DeviceErrors extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final transient Map<Integer, DeviceException> byId;
  private final transient Optional<byte[]> others;

  DeviceErrors(Map<Integer, DeviceException> byId, Optional<byte[]> others) {
    super(describe(byId), null, false, false);
    this.byId = byId;
    this.others = others;
  }

  private static String describe(Map<Integer, DeviceException> byId) {
    return byId.entrySet().stream()
        .map(failed -> failed.getKey() + ": " + failed.getValue().getMessage())
        .collect(Collectors.joining("; "));
  }

  Map<Integer, DeviceException> byId() {
    return byId;
  }

  /** The answer without them, as JSON, if any other device was read. */
  Optional<byte[]> others() {
    return others;
  }
}
