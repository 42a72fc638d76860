package dev.zeusd.ffm.fake;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.nio.file.StandardOpenOption.CREATE;
import static java.nio.file.StandardOpenOption.READ;
import static java.nio.file.StandardOpenOption.WRITE;

import dev.zeusd.ffm.fake.FakeNvml.Call;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** The mapped control file: atomic reads and writes at the offsets of the table in fake_nvml.c. */
final class ControlFile {
  /** Slots 0 to 15 are devices, this one is the library. */
  static final int LIBRARY_SLOT = 16;

  static final long HISTORY = 65536;
  static final int HISTORY_LENGTH = 16384;
  static final int HISTORY_ENTRY = 64;

  private static final long SIZE = HISTORY + HISTORY_LENGTH * HISTORY_ENTRY;
  private static final VarHandle INT = JAVA_INT.varHandle();
  private static final VarHandle LONG = JAVA_LONG.varHandle();
  private static final VarHandle DOUBLE = JAVA_DOUBLE.varHandle();

  final Path path;
  private final MemorySegment memory;

  ControlFile(Path path) {
    this.path = path.toAbsolutePath();
    try {
      Files.createDirectories(this.path.getParent());
      try (var channel = FileChannel.open(this.path, CREATE, READ, WRITE)) {
        // Unmapped once unreachable; the file only ever grows, as the library may have it mapped.
        memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, SIZE, Arena.ofAuto());
      }
    } catch (IOException e) {
      throw new UncheckedIOException("Cannot map the fake NVML's control file " + this.path, e);
    }
  }

  static long slot(int index) {
    return 4096 + index * 2048L;
  }

  static long entry(int slot, Call call) {
    return slot(slot) + 1024 + call.ordinal() * 32L;
  }

  int getInt(long offset) {
    return (int) INT.getVolatile(memory, offset);
  }

  void setInt(long offset, int value) {
    INT.setVolatile(memory, offset, value);
  }

  long getLong(long offset) {
    return (long) LONG.getVolatile(memory, offset);
  }

  void setLong(long offset, long value) {
    LONG.setVolatile(memory, offset, value);
  }

  double getDouble(long offset) {
    return (double) DOUBLE.getVolatile(memory, offset);
  }

  void setDouble(long offset, double value) {
    DOUBLE.setVolatile(memory, offset, value);
  }

  void setText(long offset, int size, String text) {
    if (text.length() >= size) {
      throw new IllegalArgumentException("longer than " + (size - 1) + ": " + text);
    }
    memory.setString(offset, text);
  }

  void clearFrom(long offset) {
    memory.asSlice(offset).fill((byte) 0);
  }
}
