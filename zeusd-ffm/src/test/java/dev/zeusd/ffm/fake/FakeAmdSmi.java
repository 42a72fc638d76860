package dev.zeusd.ffm.fake;

import static java.lang.foreign.ValueLayout.ADDRESS;

import dev.zeusd.testkit.control.ControlFile;
import dev.zeusd.testkit.nvml.FakeNvml;
import dev.zeusd.testkit.nvml.FakeNvmlLibrary;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Drives and watches the fake AMD SMI through its control file, whose layout is the table at the
 * top of {@code fake_amdsmi.c}. Thread-safe; settings count from the library's next call on.
 */
public final class FakeAmdSmi {
  /** Most GPUs that there can be. */
  public static final int MAX_GPUS = 16;

  private static final int LIBRARY_SLOT = MAX_GPUS;
  private static final long MAGIC = 0x49534D444D415A46L;
  private static final Map<Integer, FakeAmdSmi> IN_PROCESS = new HashMap<>();

  private final ControlFile file;
  private final int edition;

  /** The library's functions; the ordinal is the function's number in the control file. */
  public enum Call {
    INIT,
    SHUT_DOWN,
    GET_LIB_VERSION,
    GET_SOCKETS,
    GET_PROCESSORS,
    GET_ASIC_INFO,
    GET_BDF,
    GET_UUID,
    GET_POWER,
    GET_ENERGY,
    GET_POWER_CAP,
    SET_POWER_CAP,
    GET_CLOCK,
    SET_CLOCK_LIMIT,
    SET_PERF_LEVEL,
    GET_TEMPERATURE,
    GET_ACTIVITY,
    GET_VRAM
  }

  private FakeAmdSmi(Path path, int edition) {
    file = new ControlFile(path);
    this.edition = edition;
    reset();
  }

  /** The library of an edition (24, 25 or 26) in this JVM; always the same object. */
  public static synchronized FakeAmdSmi inProcess(int edition) {
    return IN_PROCESS.computeIfAbsent(edition, FakeAmdSmi::attached);
  }

  @SuppressWarnings("restricted")
  private static FakeAmdSmi attached(int edition) {
    try (Arena call = Arena.ofConfined()) {
      Path state = Files.createTempFile("fake-amdsmi", ".state");
      state.toFile().deleteOnExit();
      FakeAmdSmi fake = new FakeAmdSmi(state, edition);
      Path library = fake.libraryDirectory().resolve("libamd_smi.so." + edition);
      Linker.nativeLinker()
          .downcallHandle(
              SymbolLookup.libraryLookup(library, Arena.global())
                  .find("fake_amdsmi_attach")
                  .orElseThrow(),
              FunctionDescriptor.ofVoid(ADDRESS))
          .invoke(call.allocateFrom(state.toString()));
      return fake;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** For a child process, which must be started with {@link #environment()}. Resets the file. */
  public static FakeAmdSmi create(Path file) {
    return new FakeAmdSmi(file, 26);
  }

  /** The folder that holds the fake library. */
  public Path libraryDirectory() {
    return FakeNvmlLibrary.directory().resolve("amdsmi-" + edition);
  }

  /** What a child process needs in its environment to find the library and to share this file. */
  public Map<String, String> environment() {
    return Map.of(
        "FAKE_AMDSMI_STATE",
        file.path().toString(),
        "AMDSMI_LIB_DIR",
        libraryDirectory().toString());
  }

  /**
   * All settings as at first, all counters 0. Also counts as a reload of the driver, so that
   * nothing leaks from test to test.
   */
  public synchronized FakeAmdSmi reset() {
    int epoch = (file.getInt(12) | 1) + 1;
    file.clearFrom(8);
    file.setInt(12, epoch);
    gpuCount(2);
    file.setInt(32, 1);
    for (int i = 0; i < MAX_GPUS; i++) {
      // The library writes the same values where there is no control file.
      gpu(i)
          .name("AMD Fake Instinct")
          .uuid("fa4e%04x-0000-1000-8000-000000000000".formatted(i))
          .bdf((0xc1L + i) << 8)
          .powerW(150 + 10 * i, 0xFFFF)
          .energy(15.259F, 150 + 10 * i)
          .powerCapsMw(750_000, 750_000, 100_000, 750_000)
          .clocks(0, 132, 2100, 1900)
          .clocks(1, 900, 1300, 1300)
          .doing(50 + i, 45 + i, 80, 40, 192 << 10, 64 << 10);
    }
    file.setLong(0, MAGIC);
    return this;
  }

  /** 0 to 16. A handle of a GPU beyond it answers NOT_FOUND. */
  public FakeAmdSmi gpuCount(int count) {
    file.setInt(8, count);
    return this;
  }

  /** How many GPUs are in one socket, 1 to 16. */
  public FakeAmdSmi gpusInSocket(int count) {
    file.setInt(32, count);
    return this;
  }

  /**
   * True: every call fails with NOT_INIT, init with DRIVER_NOT_LOADED. False after that: init works
   * again, and handles from before are refused. A GPU's settings stay as they are.
   */
  public synchronized FakeAmdSmi driverUnloaded(boolean unloaded) {
    int epoch = file.getInt(12);
    if ((epoch & 1) != (unloaded ? 1 : 0)) {
      file.setInt(12, epoch + 1);
    }
    return this;
  }

  /** What the call answers with, on all GPUs if it is a GPU's; 0: it works. */
  public FakeAmdSmi error(Call call, int status) {
    for (int slot = 0; slot <= LIBRARY_SLOT; slot++) {
      file.setInt(entry(slot, call), status);
    }
    return this;
  }

  /** How long the call takes, on all GPUs if it is a GPU's. */
  public FakeAmdSmi delay(Call call, Duration delay) {
    for (int slot = 0; slot <= LIBRARY_SLOT; slot++) {
      file.setInt(entry(slot, call) + 4, ControlFile.micros(delay));
    }
    return this;
  }

  /** Calls begun, of all functions, on all GPUs and none. */
  public long totalCalls() {
    return file.getLong(16);
  }

  /** Calls of one function begun, on all GPUs and none. */
  public long calls(Call call) {
    return IntStream.rangeClosed(0, LIBRARY_SLOT)
        .mapToLong(slot -> file.getLong(entry(slot, call) + 8))
        .sum();
  }

  /** Most calls in flight at a time, on whatever GPU. */
  public int maxInFlight() {
    return file.getInt(24);
  }

  /** Calls waiting now. */
  public int inFlight() {
    return file.getInt(28);
  }

  private static long entry(int slot, Call call) {
    return slot(slot) + 1024 + call.ordinal() * 32L;
  }

  /** As the table at the top of {@code fake_amdsmi.c} has it, which is not the fake NVML's. */
  private static long slot(int index) {
    return 4096 + index * 2048L;
  }

  /** The GPU with this index, 0 to 15, whether the count has it or not. */
  public Gpu gpu(int index) {
    return new Gpu(index);
  }

  /** One fake GPU: setters return this, to be chained. */
  public final class Gpu {
    private final int index;
    private final long slot;

    private Gpu(int index) {
      this.index = index;
      this.slot = slot(index);
    }

    public Gpu name(String name) {
      file.setText(slot, 96, name);
      return this;
    }

    public Gpu uuid(String uuid) {
      file.setText(slot + 96, 40, uuid);
      return this;
    }

    /** As the library packs it: function, device, bus, domain. */
    public Gpu bdf(long bdf) {
      file.setLong(slot + 136, bdf);
      return this;
    }

    /** The power now and the average; 0xFFFF: not told. The energy goes on as it was told to. */
    public Gpu powerW(int current, int average) {
      file.setInt(slot + 144, current);
      file.setInt(slot + 148, average);
      return this;
    }

    /** The energy grows from 0 as at this power, in units of so many uJ. */
    public Gpu energy(float unitUj, double powerW) {
      file.setLong(slot + 152, 0);
      file.setLong(slot + 160, Math.round(powerW * 1e6 / unitUj));
      file.setLong(slot + 168, System.nanoTime());
      file.setInt(slot + 176, Float.floatToRawIntBits(unitUj));
      return this;
    }

    /** The limit, the driver's own, and the ends of the range. */
    public Gpu powerCapsMw(long cap, long byDefault, long min, long max) {
      file.setLong(slot + 184, cap * 1000);
      file.setLong(slot + 192, byDefault * 1000);
      file.setLong(slot + 200, min * 1000);
      file.setLong(slot + 208, max * 1000);
      return this;
    }

    Gpu clocks(int clock, int min, int max, int now) {
      file.setInt(slot + 216 + 8 * clock, min);
      file.setInt(slot + 220 + 8 * clock, max);
      file.setInt(slot + 232 + 8 * clock, min);
      file.setInt(slot + 236 + 8 * clock, max);
      file.setInt(slot + 248 + 4 * clock, now);
      return this;
    }

    Gpu doing(int celsius, int memoryCelsius, int pct, int memoryPct, int mib, int usedMib) {
      file.setLong(slot + 256, celsius);
      file.setLong(slot + 264, memoryCelsius);
      file.setInt(slot + 272, pct);
      file.setInt(slot + 276, memoryPct);
      file.setInt(slot + 280, mib);
      file.setInt(slot + 284, usedMib);
      return this;
    }

    /** What the call answers with; 0: it works. */
    public Gpu error(Call call, int status) {
      file.setInt(entry(index, call), status);
      return this;
    }

    /** The same for all calls. */
    public Gpu allErrors(int status) {
      for (Call call : Call.values()) {
        error(call, status);
      }
      return this;
    }

    /** How long the call takes. Shortening it lets a waiting call go within 10 ms. */
    public Gpu delay(Call call, Duration delay) {
      file.setInt(entry(index, call) + 4, ControlFile.micros(delay));
      return this;
    }

    /** Whether the call, although it succeeds, writes nothing (1) or sets all bits (2). */
    public Gpu oddity(Call call, int oddity) {
      file.setInt(entry(index, call) + 16, oddity);
      return this;
    }

    /** Calls of one function begun on this GPU. */
    public long calls(Call call) {
      return file.getLong(entry(index, call) + 8);
    }

    public long powerCapMw() {
      return file.getLong(slot + 184) / 1000;
    }

    /** As if somebody else had set it. */
    public Gpu powerCapMw(long capMw) {
      file.setLong(slot + 184, capMw * 1000);
      return this;
    }

    /** Bounds of the GPU's clock, in MHz. */
    public FakeNvml.Clocks gpuBounds() {
      return new FakeNvml.Clocks(file.getInt(slot + 216), file.getInt(slot + 220));
    }

    /** Bounds of the memory's clock, in MHz. */
    public FakeNvml.Clocks memBounds() {
      return new FakeNvml.Clocks(file.getInt(slot + 224), file.getInt(slot + 228));
    }
  }
}
