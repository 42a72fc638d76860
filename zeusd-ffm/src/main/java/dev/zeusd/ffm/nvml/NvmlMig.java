package dev.zeusd.ffm.nvml;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.zeusd.ffm.nvml.raw.Nvml;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The instances that a GPU is partitioned into (Multi-Instance GPU). They come and go under a
 * running driver, and their handles with them, so each look begins anew; and what one of them does
 * not tell is missing, and no error of the GPU. For one thread at a time, as its {@link
 * NvmlDevice}.
 */
public final class NvmlMig {
  /** No GPU has more; a driver that counts more counts wrong. */
  private static final long MAX_INSTANCES = 64;

  private final NvmlHandle gpu;
  private final MemorySegment answer = Arena.ofAuto().allocate(JAVA_LONG, 8);

  NvmlMig(NvmlHandle gpu) {
    this.gpu = gpu;
  }

  /**
   * One instance, as far as it told.
   *
   * @param index its place among the GPU's instances, as {@code nvidia-smi -L} shows it
   * @param uuid {@code MIG-} and 36 characters
   * @param gpuInstanceId unique on the GPU
   * @param computeInstanceId unique in the GPU instance
   */
  public record Instance(
      int index,
      Optional<String> uuid,
      Optional<String> name,
      Optional<Long> gpuInstanceId,
      Optional<Long> computeInstanceId,
      Optional<NvmlSensors.Memory> memory) {}

  /** Whether the GPU is partitioned, into no instances as yet perhaps. */
  public boolean isEnabled() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_MIG_MODE;
    answer.fill((byte) -1);
    MemorySegment pending = answer.asSlice(JAVA_LONG.byteSize());
    gpu.run(function, (calls, handle) -> calls.call(function, handle, answer, pending));
    return number(function) == Nvml.NVML_DEVICE_MIG_ENABLE();
  }

  /** Those that there are, by index, which need not be one after the other. */
  public List<Instance> instances() throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_MAX_MIG_DEVICE_COUNT;
    answer.fill((byte) -1);
    gpu.run(function, (calls, handle) -> calls.call(function, handle, answer));
    long most = number(function);
    if (most > MAX_INSTANCES) {
      throw new NvmlException(function, most + " instances");
    }
    List<Instance> instances = new ArrayList<>();
    for (int index = 0; index < most; index++) {
      find(index, instances);
    }
    return instances;
  }

  /** Each by itself: together they could seem to hang. */
  private void find(int index, List<Instance> instances) throws NvmlException {
    NvmlFunction function = NvmlFunction.GET_MIG_DEVICE_HANDLE;
    gpu.run(
        function,
        (calls, handle) -> {
          answer.fill((byte) 0);
          int result = calls.call(function, handle, index, answer);
          if (result == NvmlReturn.NOT_FOUND.code()) {
            return NvmlReturn.SUCCESS.code();
          }
          MemorySegment instance = answer.get(ADDRESS, 0);
          if (result == NvmlReturn.SUCCESS.code() && !instance.equals(MemorySegment.NULL)) {
            instances.add(describe(calls, index, instance));
          }
          return result;
        });
  }

  private Instance describe(NvmlCalls calls, int index, MemorySegment instance) {
    return new Instance(
        index,
        told(() -> NvmlLibrary.uuidOf(calls, instance)),
        told(
            () ->
                NvmlText.ask(
                    calls,
                    NvmlFunction.GET_NAME,
                    instance,
                    Nvml.NVML_DEVICE_NAME_V2_BUFFER_SIZE())),
        told(() -> id(calls, NvmlFunction.GET_GPU_INSTANCE_ID, instance)),
        told(() -> id(calls, NvmlFunction.GET_COMPUTE_INSTANCE_ID, instance)),
        told(() -> memory(calls, instance)));
  }

  private interface Fact<T> {
    T ask() throws NvmlException;
  }

  private static <T> Optional<T> told(Fact<T> fact) {
    try {
      return Optional.of(fact.ask());
    } catch (NvmlException e) {
      return Optional.empty();
    }
  }

  private long id(NvmlCalls calls, NvmlFunction function, MemorySegment instance)
      throws NvmlException {
    answer.fill((byte) -1);
    function.check(calls.call(function, instance, answer));
    return number(function);
  }

  private NvmlSensors.Memory memory(NvmlCalls calls, MemorySegment instance) throws NvmlException {
    NvmlFunction.GET_MEMORY.check(NvmlSensors.Memory.ask(calls, instance, answer));
    return NvmlSensors.Memory.of(answer);
  }

  private long number(NvmlFunction function) throws NvmlException {
    return NvmlDevice.told(function, answer.get(JAVA_INT, 0));
  }
}
