package dev.zeusd.core.device;

import java.util.Locale;
import java.util.Objects;

/** Which GPU is meant, in a configuration. */
public sealed interface GpuSelector {
  /**
   * {@return whether it is this one}
   *
   * @param gpu a GPU that there is
   */
  boolean matches(GpuInfo gpu);

  /**
   * By its index, which may be another one's after a change of the hardware.
   *
   * @param id 0 or more
   */
  record Index(int id) implements GpuSelector {
    @Override
    public boolean matches(GpuInfo gpu) {
      return gpu.id() == id;
    }

    @Override
    public String toString() {
      return Integer.toString(id);
    }
  }

  /**
   * By its UUID, as the driver prints it.
   *
   * @param uuid in any case
   */
  record Uuid(String uuid) implements GpuSelector {
    /** Refuses null. */
    public Uuid {
      Objects.requireNonNull(uuid);
    }

    @Override
    public boolean matches(GpuInfo gpu) {
      return gpu.uuid().filter(own -> lower(own).equals(lower(uuid))).isPresent();
    }

    private static String lower(String text) {
      return text.toLowerCase(Locale.ROOT);
    }

    @Override
    public String toString() {
      return uuid;
    }
  }
}
