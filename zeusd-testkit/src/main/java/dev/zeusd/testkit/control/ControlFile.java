package dev.zeusd.testkit.control;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/**
 * The mapped control file of a fake library: atomic reads and writes at the offsets of the table in
 * its source.
 */
public final class ControlFile {
  /** Slots 0 to 15 are devices, this one is the library. */
  public static final int LIBRARY_SLOT = 16;

  /** Where the finished calls begin. */
  public static final long HISTORY = 131072;

  /** So many of them are kept. */
  public static final int HISTORY_LENGTH = 16384;

  /** So long is each. */
  public static final int HISTORY_ENTRY = 64;

  private static final long SIZE = HISTORY + HISTORY_LENGTH * HISTORY_ENTRY;
  private static final VarHandle INT = JAVA_INT.varHandle();
  private static final VarHandle LONG = JAVA_LONG.varHandle();
  private static final VarHandle DOUBLE = JAVA_DOUBLE.varHandle();

  private final Path path;
  private final MemorySegment memory;

  /** Made if it is missing. */
  public ControlFile(Path path) {
    this.path = path.toAbsolutePath();
    try {
      Files.createDirectories(this.path.getParent());
      try (var channel = FileChannel.open(this.path, CREATE, READ, WRITE)) {
        // Unmapped once unreachable; the file only ever grows, as the library may have it mapped.
        memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, SIZE, Arena.ofAuto());
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot map the control file " + this.path, e);
    }
  }

  /** The file itself. */
  public Path path() {
    return path;
  }

  /** Where the slot of a device begins. */
  public static long slot(int index) {
    return 4096 + index * 4096L;
  }

  /** Where a slot's entry of a function begins. */
  public static long entry(int slot, Enum<?> call) {
    return slot(slot) + 2048 + call.ordinal() * 32L;
  }

  /** A number of 32 bits. */
  public int getInt(long offset) {
    return (int) INT.getVolatile(memory, offset);
  }

  /** Writes it. */
  public void setInt(long offset, int value) {
    INT.setVolatile(memory, offset, value);
  }

  /** A number of 64 bits. */
  public long getLong(long offset) {
    return (long) LONG.getVolatile(memory, offset);
  }

  /** Writes it. */
  public void setLong(long offset, long value) {
    LONG.setVolatile(memory, offset, value);
  }

  /** A number with a fraction. */
  public double getDouble(long offset) {
    return (double) DOUBLE.getVolatile(memory, offset);
  }

  /** Writes it. */
  public void setDouble(long offset, double value) {
    DOUBLE.setVolatile(memory, offset, value);
  }

  /** Writes a text, with a zero at its end, for which there is room for {@code size} bytes. */
  public void setText(long offset, int size, String text) {
    if (text.length() >= size) {
      throw new IllegalArgumentException("longer than " + (size - 1) + ": " + text);
    }
    memory.setString(offset, text);
  }

  /** Zeros, from here to the end. */
  public void clearFrom(long offset) {
    memory.asSlice(offset).fill((byte) 0);
  }

  /** A delay as the fakes have it, in us. */
  public static int micros(Duration delay) {
    return Math.toIntExact(delay.toNanos() / 1000);
  }
}
