package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.amdsmi.raw.amdsmi_power_info_24_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_power_info_25_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_power_info_26_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_version_24_t;
import dev.zeusd.ffm.amdsmi.raw.amdsmi_version_26_t;
import java.lang.foreign.MemorySegment;

/** One of the incompatible forms of the library, newest first: its file says which it is. */
enum AmdSmiEdition {
  /** ROCm 7. */
  V26(26),
  /** ROCm 6.4. */
  V25(25),
  /** ROCm 6.3; the library of 6.2 has the same name and lacks functions. */
  V24(24);

  /** From this version on, calls for different GPUs may run side by side. */
  private static final int PARALLEL_MINOR = 2;

  private final int number;

  AmdSmiEdition(int number) {
    this.number = number;
  }

  /** The library's file. */
  String fileName() {
    return "libamd_smi.so." + number;
  }

  /** As the library tells it. */
  record Version(int year, int major, int minor, int release) {
    @Override
    public String toString() {
      String version = major + "." + minor + "." + release;
      return year == 0 ? version : year + "." + version;
    }
  }

  /** Reads a version struct. */
  Version version(MemorySegment version) {
    return switch (this) {
      case V26 ->
          new Version(
              0,
              amdsmi_version_26_t.major(version),
              amdsmi_version_26_t.minor(version),
              amdsmi_version_26_t.release(version));
      case V25, V24 ->
          new Version(
              amdsmi_version_24_t.year(version),
              amdsmi_version_24_t.major(version),
              amdsmi_version_24_t.minor(version),
              amdsmi_version_24_t.release(version));
    };
  }

  /** Whether a library with this version is what its file's name says. */
  boolean isOf(Version version) {
    return switch (this) {
      case V26 -> version.major == number;
      case V25 -> version.year == number;
      case V24 -> version.year == number && version.major >= 7;
    };
  }

  /** Whether different GPUs may be asked side by side: before, values got mixed up, or worse. */
  boolean isParallel(Version version) {
    return this == V26 && version.minor >= PARALLEL_MINOR;
  }

  /** Power now, of a power struct, in W, as an unsigned number that may mean "none". */
  long currentPowerW(MemorySegment power) {
    return Integer.toUnsignedLong(
        switch (this) {
          case V26 -> amdsmi_power_info_26_t.current_socket_power(power);
          case V25 -> amdsmi_power_info_25_t.current_socket_power(power);
          case V24 -> amdsmi_power_info_24_t.current_socket_power(power);
        });
  }

  /** The same of the average. */
  long averagePowerW(MemorySegment power) {
    return Integer.toUnsignedLong(
        switch (this) {
          case V26 -> amdsmi_power_info_26_t.average_socket_power(power);
          case V25 -> amdsmi_power_info_25_t.average_socket_power(power);
          case V24 -> amdsmi_power_info_24_t.average_socket_power(power);
        });
  }

  /** The same of whichever it has; edition 24 has no such field. */
  long socketPowerW(MemorySegment power) {
    return switch (this) {
      case V26 -> amdsmi_power_info_26_t.socket_power(power);
      case V25 -> amdsmi_power_info_25_t.socket_power(power);
      case V24 -> -1;
    };
  }
}
