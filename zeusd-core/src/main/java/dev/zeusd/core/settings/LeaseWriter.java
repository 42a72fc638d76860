package dev.zeusd.core.settings;

import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.Gpu;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * Changes settings by a lease: what to put back, and what is about to be written, is on its way to
 * the disk before the driver gets it. On the GPU's thread only.
 */
final class LeaseWriter {
  private final SettingTable table;
  private final SavedSettings saved;
  private final LockedClocks clocks;
  private final BaselineKeeper baseline;
  private final Runnable wake;

  LeaseWriter(LeaseParts parts) {
    table = parts.table();
    saved = parts.saved();
    clocks = parts.clocks();
    baseline = parts.baseline();
    wake = parts.wake();
  }

  /**
   * A write that is about to be done.
   *
   * @param earlier what was to be put back before it
   * @param line of the log
   */
  private record Asked(Optional<Change> earlier, WriteLog.Line line) {}

  /** As {@link SettingAccess#write}. */
  void write(Lease lease, Gpu gpu, SettingValue value) {
    Setting setting = new Setting(gpu.info().uuid().orElse(""), value.key());
    Asked asked;
    try {
      Optional<Asked> next = table.locked(() -> askUnlessFirst(lease, setting, value));
      if (next.isPresent()) {
        asked = next.get();
      } else {
        lookAgain(lease, gpu, setting);
        asked = table.locked(() -> ask(lease, setting, value, gpu.driverGeneration()));
      }
      saved.append(asked.line);
      if (saved.isLogLong()) {
        wake.run();
      }
    } catch (LeaseException.Ended e) {
      throw new DeviceException.LeaseEnded(e.getMessage());
    } catch (LeaseException e) {
      throw new DeviceException.InvalidArgument(e.getMessage(), e);
    } catch (IOException e) {
      throw new DeviceException.Failed(saved.cannotSave(e) + "; the setting was left as it is", e);
    }
    try {
      value.writeTo(gpu);
    } catch (DeviceException e) {
      saved.tryAppend(table.locked(() -> noteFailure(lease, setting, asked.earlier, e)));
      throw e;
    }
    table.locked(
        () -> noteOutcome(lease, setting, change -> change.succeeded(gpu.driverGeneration())));
    clocks.remember(gpu, value);
  }

  /** Before the first write: somebody may have used another tool since the lease was taken. */
  private void lookAgain(Lease lease, Gpu gpu, Setting setting) throws IOException {
    SettingValue value = clocks.valueOf(setting, gpu);
    boolean hasBaseline = baseline.of(setting, gpu).isPresent();
    boolean isNew =
        table.locked(
            () -> {
              SettingState state = lease.stateOf(setting);
              boolean differs = !state.found.equals(Optional.of(value));
              if (differs && !hasBaseline) {
                state.found = Optional.of(value);
                table.changed(List.of(setting));
              }
              return differs;
            });
    if (isNew) {
      saved.save();
    }
  }

  private Optional<Asked> askUnlessFirst(Lease lease, Setting setting, SettingValue value) {
    return lease
        .stateOf(setting)
        .leasedChange()
        .map(change -> ask(lease, setting, value, change.driverGeneration()));
  }

  private Asked ask(Lease lease, Setting setting, SettingValue value, int driverGeneration) {
    SettingState state = lease.stateOf(setting);
    lease.term().heardOfHolder();
    SettingValue before = state.found.orElseThrow();
    Optional<Change> earlier = state.change;
    Change change =
        state
            .leasedChange()
            .orElseGet(
                () -> new Change(before, Written.NOTHING, driverGeneration, Optional.empty()));
    state.change = Optional.of(change.with(change.written().ask(value), Optional.of(lease)));
    return new Asked(earlier, saved.nextLine(setting, lease, Optional.of(value)));
  }

  /** Gives the line of the log that says so. */
  private WriteLog.Line noteFailure(
      Lease lease, Setting setting, Optional<Change> earlier, DeviceException failure) {
    if (isRefusal(failure)) {
      if (table.isChangedBy(lease, setting)) {
        table.states.get(setting).change = earlier;
      }
    } else {
      // Whoever has changed it before is still the one to put it back.
      Optional<Lease> by = earlier.flatMap(Change::by).or(() -> Optional.of(lease));
      noteOutcome(lease, setting, change -> change.with(change.written().failed(), by));
    }
    return saved.nextLine(setting, lease, Optional.empty());
  }

  /** Whether nothing can have been set; of other failures, nobody knows. */
  private static boolean isRefusal(DeviceException failure) {
    return switch (failure) {
      case DeviceException.InvalidArgument _ -> true;
      case DeviceException.NotSupported _ -> true;
      case DeviceException.NoPermission _ -> true;
      case DeviceException.HeldByLease _ -> true;
      case DeviceException.LeaseEnded _ -> true;
      case DeviceException.Unavailable _ -> false;
      case DeviceException.Failed _ -> false;
    };
  }

  /** Does nothing if the lease has ended meanwhile. */
  private void noteOutcome(Lease lease, Setting setting, UnaryOperator<Change> outcome) {
    if (table.isChangedBy(lease, setting)) {
      SettingState state = table.states.get(setting);
      state.change = state.change.map(outcome);
    }
  }
}
