package dev.zeusd.core;

import dev.zeusd.core.amdsmi.AmdSmiBackend;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.nvml.NvmlBackend;
import dev.zeusd.core.simulated.SimulatedGpu;
import dev.zeusd.ffm.fake.FakeAmdSmi;
import dev.zeusd.testkit.nvml.FakeGpu;
import dev.zeusd.testkit.nvml.FakeNvml;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;

/** GPUs of one kind, two or more, and what can be done to them behind the daemon's back. */
enum GpuRig {
  NVML("nvidia") {
    private FakeNvml fake() {
      return FakeNvml.inProcess();
    }

    @Override
    Backend<Gpu> open() {
      // One can be partitioned, and is not.
      fake().reset().deviceCount(2).gpu(1).migMode(FakeGpu.MigMode.OFF);
      NodeConfig config = NodeConfig.defaults().withGpuBackend(GpuBackend.NVML);
      return NvmlBackend.open(config, Optional.empty(), new GpuIds());
    }

    @Override
    void fail(int gpu, boolean failing) {
      fake().gpu(gpu).allErrors(failing ? 999 : 0);
    }

    @Override
    void lose(int gpu, boolean lost) {
      fake().gpu(gpu).allErrors(lost ? 15 : 0);
    }

    @Override
    void hang(int gpu, boolean hanging) {
      for (FakeNvml.Call call : FakeNvml.Call.values()) {
        fake().gpu(gpu).delay(call, hanging ? HANG : Duration.ZERO);
      }
    }

    @Override
    void powerMw(int gpu, long powerMw) {
      fake().gpu(gpu).powerMw(powerMw);
    }

    @Override
    void unload(boolean unloaded) {
      fake().driverUnloaded(unloaded);
    }

    @Override
    void setBehindTheBack(int gpu, long powerLimitMw) {
      fake().gpu(gpu).powerLimitMw((int) powerLimitMw);
    }

    @Override
    boolean becomesModule(int gpu) {
      fake().gpu(gpu).moduleScope(true);
      return true;
    }

    @Override
    OptionalInt partition() {
      fake().gpu(1).migMode(FakeGpu.MigMode.ON).instance(3).create("MIG-3", 7, 0);
      return OptionalInt.of(1);
    }

    @Override
    long calls() {
      return fake().totalCalls();
    }
  },
  /** NVML's, of which commands change the settings. */
  COMMANDS("nvidia") {
    @Override
    Backend<Gpu> open() {
      Backend<Gpu> nvml = NVML.open();
      return Poke.commands(Path.of(System.getenv("FAKE_NVML_STATE"))).over(nvml);
    }

    @Override
    void fail(int gpu, boolean failing) {
      NVML.fail(gpu, failing);
    }

    @Override
    void lose(int gpu, boolean lost) {
      NVML.lose(gpu, lost);
    }

    @Override
    void hang(int gpu, boolean hanging) {
      NVML.hang(gpu, hanging);
    }

    @Override
    void powerMw(int gpu, long powerMw) {
      NVML.powerMw(gpu, powerMw);
    }

    @Override
    void unload(boolean unloaded) {
      NVML.unload(unloaded);
    }

    @Override
    void setBehindTheBack(int gpu, long powerLimitMw) {
      NVML.setBehindTheBack(gpu, powerLimitMw);
    }

    @Override
    boolean becomesModule(int gpu) {
      return NVML.becomesModule(gpu);
    }

    @Override
    OptionalInt partition() {
      return NVML.partition();
    }

    @Override
    long calls() {
      return NVML.calls();
    }
  },
  /** Of the library that can make one call at a time. */
  AMD_SMI_24("amd") {
    @Override
    Backend<Gpu> open() {
      return openAmd(24);
    }

    @Override
    FakeAmdSmi amd() {
      return FakeAmdSmi.inProcess(24);
    }
  },
  AMD_SMI_26("amd") {
    @Override
    Backend<Gpu> open() {
      return openAmd(26);
    }

    @Override
    FakeAmdSmi amd() {
      return FakeAmdSmi.inProcess(26);
    }
  },
  /** Which tell power and energy, and no more. */
  HWMON("intel") {
    private FakeHwmon fake;

    @Override
    Backend<Gpu> open() {
      fake = quietly(FakeHwmon::new);
      return fake;
    }

    @Override
    boolean isMeterOnly() {
      return true;
    }

    @Override
    void fail(int gpu, boolean failing) {
      quietly(() -> fake.fail(gpu, failing));
    }

    @Override
    void lose(int gpu, boolean lost) {
      quietly(() -> fake.lose(gpu, lost));
    }

    @Override
    void hang(int gpu, boolean hanging) {
      quietly(() -> fake.hang(gpu, hanging));
    }

    @Override
    void powerMw(int gpu, long powerMw) {
      fake.powerMw(gpu, powerMw);
    }

    @Override
    boolean isPower(long expectedMw, long powerMw) {
      // It is the difference of two reads of a counter that grows in steps.
      return Math.abs(powerMw - expectedMw) < expectedMw / 5;
    }

    @Override
    void unload(boolean unloaded) {
      lose(0, unloaded);
      lose(1, unloaded);
    }

    @Override
    long calls() {
      return fake.reads();
    }
  },
  SIMULATED("simulated") {
    @Override
    Backend<Gpu> open() {
      return Backend.of(SimulatedGpu.typicalNode());
    }
  },
  SIMULATED_MIG("simulated") {
    @Override
    Backend<Gpu> open() {
      return Backend.of(SimulatedGpu.nodeWithInstances());
    }

    @Override
    OptionalInt partition() {
      return OptionalInt.of(3);
    }
  };

  private static final Duration HANG = Duration.ofMinutes(10);

  final String vendor;

  GpuRig(String vendor) {
    this.vendor = vendor;
  }

  /** All as at first. */
  abstract Backend<Gpu> open();

  FakeAmdSmi amd() {
    throw new UnsupportedOperationException(this + " cannot be disturbed");
  }

  Backend<Gpu> openAmd(int edition) {
    return AmdSmiBackend.openIn(
        FakeAmdSmi.inProcess(edition).reset().libraryDirectory(), new GpuIds());
  }

  /** Whether there is a library that faults can be put into. */
  boolean canBeDisturbed() {
    return !vendor.equals("simulated");
  }

  /** Whether their vendor has tools that count them, as nvidia-smi does. */
  boolean hasVendorTools() {
    return canBeDisturbed() && this != HWMON;
  }

  /** Whether they have no settings, no telemetry and no UUID. */
  boolean isMeterOnly() {
    return false;
  }

  /** Whether a reading is what {@link #powerMw(int, long)} has set. */
  boolean isPower(long expectedMw, long powerMw) {
    return powerMw == expectedMw;
  }

  private interface Action {
    void run() throws Exception;
  }

  private static void quietly(Action action) {
    quietly(
        () -> {
          action.run();
          return true;
        });
  }

  private static <T> T quietly(Callable<T> action) {
    try {
      return action.call();
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** Whether a GPU that hangs lets the others answer. */
  boolean keepsGpusApart() {
    return this != AMD_SMI_24;
  }

  /** All calls for this GPU fail, and nobody knows why. */
  void fail(int gpu, boolean failing) {
    amd().gpu(gpu).allErrors(failing ? 7 : 0);
  }

  /** The driver does not reach this GPU. */
  void lose(int gpu, boolean lost) {
    amd().gpu(gpu).allErrors(lost ? 31 : 0);
  }

  void hang(int gpu, boolean hanging) {
    for (FakeAmdSmi.Call call : FakeAmdSmi.Call.values()) {
      amd().gpu(gpu).delay(call, hanging ? HANG : Duration.ZERO);
    }
  }

  void powerMw(int gpu, long powerMw) {
    amd().gpu(gpu).powerW((int) (powerMw / 1000), 0xFFFF);
  }

  void unload(boolean unloaded) {
    amd().driverUnloaded(unloaded);
  }

  /** Somebody else sets the power limit. */
  void setBehindTheBack(int gpu, long powerLimitMw) {
    amd().gpu(gpu).powerCapMw(powerLimitMw);
  }

  /** Partitions a GPU, if one can be, and gives its id. */
  OptionalInt partition() {
    return OptionalInt.empty();
  }

  /** Lets a module carry it, if one can. */
  boolean becomesModule(int gpu) {
    return false;
  }

  /** Calls of the library so far. */
  long calls() {
    return amd().totalCalls();
  }
}
