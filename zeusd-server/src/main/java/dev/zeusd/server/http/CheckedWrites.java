package dev.zeusd.server.http;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.settings.Leases;
import dev.zeusd.core.settings.SettingAccess;
import dev.zeusd.core.settings.SettingKey;
import dev.zeusd.core.settings.SettingValue;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * What one request writes to a GPU, on that one's thread: as far as the requester may, and the
 * audit log is told.
 *
 * @param access by a lease, or beside those that there are
 */
record CheckedWrites(
    Requester requester, SettingAccess access, Leases leases, List<SettingCommand.Write> writes)
    implements Function<Gpu, Boolean> {
  /** All are tried; the first failure is the one reported. */
  @Override
  public Boolean apply(Gpu gpu) {
    Optional<DeviceException> first = Optional.empty();
    for (SettingCommand.Write each : writes) {
      try {
        write(gpu, each.valueFor(gpu));
      } catch (DeviceException e) {
        first.ifPresent(earlier -> earlier.addSuppressed(e));
        first = first.or(() -> Optional.of(e));
      }
    }
    if (first.isPresent()) {
      throw first.get();
    }
    return true;
  }

  private void write(Gpu gpu, SettingValue value) {
    requester
        .rights()
        .refusalOf(gpu.info(), value)
        .ifPresent(
            why -> {
              throw new DeviceException.NoPermission(why, Access.forbidden(why));
            });
    if (requester.audited().isPresent()) {
      writeAudited(requester.audited().get(), gpu, value);
    } else {
      access.write(gpu, value);
    }
  }

  private void writeAudited(AuditedRequest audited, Gpu gpu, SettingValue value) {
    Optional<SettingValue> before = valueBefore(gpu, value.key());
    try {
      access.write(gpu, value);
      audited.wrote(gpu.info(), before, value, Optional.empty());
    } catch (DeviceException e) {
      audited.wrote(gpu.info(), before, value, Optional.of(e));
      throw e;
    }
  }

  private Optional<SettingValue> valueBefore(Gpu gpu, SettingKey key) {
    try {
      return Optional.of(leases.valueOf(key, gpu));
    } catch (DeviceException e) {
      return Optional.empty();
    }
  }
}
